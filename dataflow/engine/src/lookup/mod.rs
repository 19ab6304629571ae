//! Lookups: single users and their events, the users there are, the members of segments, and why a user is in one.
//!
//! Everything is answered from the memberships in memory, the event log and the catalogue. A lookup changes nothing and
//! holds no worker for longer than a few thousand ids.

mod breakdown;
mod columns;
mod curve;
mod explain;
mod find;
mod leaders;
mod members;
mod pipeline;
mod profile;
mod recent;
mod refusals;
mod refused_list;
mod user;
mod users;

use std::ops::ControlFlow;
use std::sync::Arc;

use audience_catalogue::{Editor, unavailable};
use audience_contract::{CatalogueStore, EventLog, Notes};
use audience_kernel::aliases::IdSince;
use audience_kernel::membership::shard_of;
use audience_protocol::Result;
use parking_lot::Mutex;

pub(crate) use self::refusals::Refusals;
use self::refused_list::RefusedList;
use crate::engine::Engine;

/// The parts of the running platform that lookups read.
pub(crate) struct Lookup {
    engine: Arc<Engine>,
    events: Arc<dyn EventLog>,
    catalogue: Arc<dyn CatalogueStore>,
    editor: Arc<Editor>,
    /// Held while the events of all users are in memory.
    all_users: Mutex<()>,
    /// Held while the leaders of a segment are found.
    leaders: Mutex<()>,
    /// The newest events that were refused.
    pub refusals: Arc<Refusals>,
    /// The messages that were refused and are kept.
    pub refused: RefusedList,
}

impl Lookup {
    /// Lookups in an engine, its event log, its catalogue and its notes.
    pub(crate) fn new(
        engine: &Arc<Engine>,
        events: &Arc<dyn EventLog>,
        catalogue: &Arc<dyn CatalogueStore>,
        editor: &Arc<Editor>,
        notes: &Arc<dyn Notes>,
    ) -> Lookup {
        Lookup {
            engine: engine.clone(),
            events: events.clone(),
            catalogue: catalogue.clone(),
            editor: editor.clone(),
            all_users: Mutex::default(),
            leaders: Mutex::default(),
            refusals: Arc::default(),
            refused: RefusedList::new(notes.clone()),
        }
    }

    /// The id that a user goes by.
    pub(crate) fn root(&self, id: &str) -> String {
        let aliases = self.engine.aliases().read();
        aliases.root(id).map_or_else(|| id.to_owned(), |root| root.to_string())
    }

    /// All ids that are the user now.
    pub(crate) fn ids(&self, id: &str) -> Vec<String> {
        let root = self.root(id);
        self.engine.aliases().read().ids(&root)
    }

    /// The worker that holds a user.
    fn worker_of(&self, user: &str) -> usize {
        (shard_of(user.as_bytes()) % self.engine.workers() as u64) as usize
    }

    /// Every record of the user who has these ids.
    fn records_of(&self, ids: &[IdSince]) -> Result<Vec<u8>> {
        let known: Vec<&str> = ids.iter().map(|(id, _)| id.as_str()).collect();
        let mut history = Vec::new();
        self.events
            .visit_users(&known, self.events.end(), &mut |run| {
                user::of_user(run, ids).for_each(|record| history.extend_from_slice(record.bytes()));
                ControlFlow::Continue(())
            })
            .map_err(unavailable)?;
        Ok(history)
    }
}

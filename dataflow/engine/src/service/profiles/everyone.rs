//! All users, gone through some at a time.

use audience_kernel::aliases::Aliases;
use audience_rules::ast::Millis;
use parking_lot::RwLock;

use super::touched::{IDS_AT_A_TIME, User};
use crate::engine::Engine;

/// All users, gone through once.
#[derive(Debug)]
pub struct Sweep {
    /// When it was begun.
    pub begun: Millis,
    /// The digest of the computed traits that are gone by.
    pub traits: u64,
    /// When the first of the profiles written since becomes another by time alone, if any does.
    pub due: Option<Millis>,
    /// Whether others than users may have a profile too.
    pub is_first: bool,
    /// Whether all are written, which is yet to be noted.
    pub is_done: bool,
    place: Place,
}

/// Where it goes on: a worker, and a number there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    worker: usize,
    slot: u32,
}

impl Sweep {
    /// From the first one on.
    pub fn new(begun: Millis, traits: u64, is_first: bool) -> Self {
        Sweep { begun, traits, due: None, is_first, is_done: false, place: Place::default() }
    }

    /// Begins again: computed traits are others. Whoever was gone through is as of an instant behind the first beginning.
    pub fn begin_again(&mut self, traits: u64) {
        *self = Sweep::new(self.begun, traits, self.is_first);
    }

    /// Where it goes on.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Goes on there again: who was gone through since is not written.
    pub fn go_back(&mut self, place: Place) {
        self.place = place;
    }

    /// The next ids, at most so many; none where all are gone through. Not each is a user.
    pub fn next_ids(&mut self, engine: &Engine, most: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.len() < most
            && let Some(membership) = engine.memberships().get(self.place.worker)
        {
            let membership = membership.read();
            let some = (most - ids.len()).min(IDS_AT_A_TIME) as u32;
            let end = (membership.users.len() as u32).min(self.place.slot + some);
            if end == self.place.slot {
                self.place = Place { worker: self.place.worker + 1, slot: 0 };
                continue;
            }
            ids.extend((self.place.slot..end).map(|slot| membership.users.id(slot).to_owned()));
            self.place.slot = end;
        }
        ids
    }

    /// How many ids are left.
    pub fn left(&self, engine: &Engine) -> u64 {
        let counts =
            engine.memberships().iter().skip(self.place.worker).map(|membership| membership.read().users.len() as u64);
        counts.sum::<u64>().saturating_sub(self.place.slot.into())
    }
}

/// Those of the ids that are not merged into another.
pub fn users(ids: &[String], aliases: &RwLock<Aliases>) -> Vec<User> {
    let mut users = Vec::new();
    for ids in ids.chunks(IDS_AT_A_TIME) {
        let aliases = aliases.read();
        let roots = ids.iter().filter(|id| aliases.root(id).is_none());
        users.extend(roots.map(|root| User { root: root.clone(), ids: aliases.ids_since(root) }));
    }
    users
}

//! Erases a user: a record of it joins the order of acceptance. From its tick on the user is unknown, and no state of
//! theirs is left. The next checkpoint [finishes](super::erasures) it.

use std::sync::Arc;

use audience_background::clock;
use audience_catalogue::{Editor, unavailable};
use audience_protocol::PlatformError;
use audience_rules::record::{erasure, records};

use crate::engine::Engine;
use crate::intake::acceptance::Intake;
use crate::lookup::Lookup;

/// Erases users on request.
pub(crate) struct Eraser {
    engine: Arc<Engine>,
    intake: Arc<Intake>,
    editor: Arc<Editor>,
    lookup: Arc<Lookup>,
}

impl Eraser {
    /// An eraser of users of an engine.
    pub(crate) fn new(engine: Arc<Engine>, intake: Arc<Intake>, editor: Arc<Editor>, lookup: Arc<Lookup>) -> Eraser {
        Eraser { engine, intake, editor, lookup }
    }

    /// Erases the user that an id stands for; they are unknown when this returns.
    pub(crate) fn erase(&self, id: &str, author: &str) -> Result<(), PlatformError> {
        self.lookup.refusals.forget();
        let events = self.intake.events();
        self.intake.settle(events.end())?;
        let ids = self.lookup.ids(id);
        self.lookup.refused.erase(&ids).map_err(unavailable)?;
        let known: Vec<&str> = ids.iter().map(String::as_str).collect();
        let history = events.of_users(&known, events.end()).map_err(unavailable)?;
        let has_history = records(&history).next().is_some();
        // The audit log has it before it is done: an erasure that is done and not there could not be told any more.
        self.editor.erase_user(&ids, has_history, author)?;
        if !has_history {
            return Ok(());
        }
        let mut record = Vec::new();
        erasure(id, clock::now(), &mut record);
        let accepted = self.intake.accept(record)?;
        self.intake.settle(accepted.end)?;
        // Ids that became the user only just now.
        let erased = self.engine.aliases().read().erased();
        let others = erased.into_iter().filter(|(_, sequence)| *sequence == accepted.start).map(|(id, _)| id);
        let others: Vec<String> = others.filter(|id| !ids.contains(id)).collect();
        self.editor.erase_user(&others, !others.is_empty(), author)
    }
}

//! Users who are to be forgotten.
//!
//! 1. A record of it joins the order of acceptance: from its tick on the user is unknown, and no state of theirs is left.
//! 2. A checkpoint behind that record has nothing of them. All older ones go, and only then the records themselves, that
//!    of the erasure among them: no start can need any of them now. What was left undone by a crash is still noted in that
//!    checkpoint's aliases, and the next one, which has not even the ids, goes on with it. A history that is kept loses its
//!    records just before the event log, which says which they are.
//! 3. The files of the stores are written anew, at most once a day, so that no byte is left in them.
//!
//! What was given out says that the user left, with their id, until it is forgotten by age like all changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use audience_catalogue::unavailable;
use audience_contract::StoreError;
use audience_kernel::aliases::IdSince;
use audience_kernel::message::Control;
use audience_protocol::PlatformError;
use audience_rules::record::{erasure, records};
use parking_lot::Mutex;

use super::{Service, clock};
use crate::engine::EngineError;

/// Between purges: each may write all of the log anew.
const PURGE_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// How far erasures are, in this run.
#[derive(Debug, Default)]
pub struct Erasures {
    /// When the events were purged.
    events_purged: LastPurge,
    /// When the lists of members were.
    lists_purged: LastPurge,
    /// Whether the newest checkpoint notes ids that are gone since.
    are_noted: AtomicBool,
}

/// When something was purged last.
#[derive(Debug, Default)]
struct LastPurge(Mutex<Option<Instant>>);

impl LastPurge {
    /// Purges where that is due: `purge` says whether there was anything.
    fn again(&self, purge: impl FnOnce() -> Result<bool, StoreError>) -> Result<(), StoreError> {
        let mut last = self.0.lock();
        if last.is_none_or(|last| last.elapsed() >= PURGE_INTERVAL) && purge()? {
            *last = Some(Instant::now());
        }
        Ok(())
    }
}

impl Service {
    /// Erases the user that an id stands for; they are unknown when this returns.
    pub(super) fn erase(&self, id: &str, author: &str) -> Result<(), PlatformError> {
        self.settle(self.stores.events.end())?;
        let ids = self.ids(id);
        let known: Vec<&str> = ids.iter().map(String::as_str).collect();
        let history = self.stores.events.of_users(&known, self.stores.events.end()).map_err(unavailable)?;
        let has_history = records(&history).next().is_some();
        // The audit log has it before it is done: what is done and not there could not be told any more.
        self.editor.erase_user(&ids, has_history, author)?;
        if !has_history {
            return Ok(());
        }
        let mut record = Vec::new();
        erasure(id, clock::now(), &mut record);
        let accepted = self.accept(record)?;
        self.settle(accepted.end)?;
        // Who became one with the user only just now.
        let erased = self.engine.aliases().read().erased();
        let others = erased.into_iter().filter(|(_, sequence)| *sequence == accepted.start).map(|(id, _)| id);
        let others: Vec<String> = others.filter(|id| !ids.contains(id)).collect();
        self.editor.erase_user(&others, !others.is_empty(), author)
    }

    /// All ids that are the user now.
    fn ids(&self, id: &str) -> Vec<String> {
        let root = self.lookup.root(id);
        self.engine.aliases().read().ids(&root)
    }

    /// Waits until all events below `end` are done.
    fn settle(&self, end: u64) -> Result<(), PlatformError> {
        let submitted = self.engine.wait_submitted(end).and_then(|()| self.empty_tick());
        submitted
            .and_then(|tick| self.engine.wait_for(tick))
            .map(drop)
            .map_err(|error| PlatformError::Unavailable(error.to_string()))
    }

    /// Submits a tick in which only the clock moves: it is done once all before it are.
    pub(super) fn empty_tick(&self) -> Result<u64, EngineError> {
        self.engine.submit_steps(Vec::new())
    }

    /// Removes what is still stored of these ids, now that a finished checkpoint is behind their erasure. The caller holds
    /// the turn: a backfill may not be reading what goes.
    pub(super) fn finish_erasures(&self, erased: Vec<IdSince>) -> Result<(), EngineError> {
        let are_noted = !erased.is_empty();
        if self.erasures.are_noted.swap(are_noted, Ordering::AcqRel) || are_noted {
            self.stores.checkpoints.prune(1)?;
        }
        if are_noted {
            // The records of the erasures themselves go too.
            let below: Vec<IdSince> = erased.iter().map(|(id, sequence)| (id.clone(), sequence + 1)).collect();
            match &self.archive {
                Some(archive) => archive.erase(&*self.stores.events, &below)?,
                None => self.stores.events.erase(&below)?,
            }
            tracing::info!(ids = erased.len(), "erased from the log and the checkpoints");
            self.engine.submit_steps(vec![Control::ForgetErased(erased)])?;
        }
        if !self.is_ending() {
            self.erasures.events_purged.again(|| self.stores.events.purge())?;
        }
        Ok(())
    }

    /// Forgets who was in lists that newer ones have replaced, as far as no start can need them.
    pub(super) fn forget_lists(&self) -> Result<(), StoreError> {
        let progress = self.stores.changes.progress()?.unwrap_or_default();
        self.stores.catalogue.forget_replaced_members(progress.catalogue_version)?;
        if !self.is_ending() {
            self.erasures.lists_purged.again(|| self.stores.catalogue.purge())?;
        }
        Ok(())
    }
}

//! Erasures after a checkpoint: whatever no start needs any more is deleted for good.
//!
//! A checkpoint after the record of an erasure has nothing of the user. All older ones go, and only then the records
//! themselves, that of the erasure among them: no start can need any of them now. Work that a crash left undone is noted in
//! that checkpoint's aliases, and the next one, which has not even the ids, goes on with it. A history that is kept loses
//! its records just before the event log, which says which they are. The files of the stores are written anew, at most once
//! a day, so that no byte is left in them.
//!
//! Emitted changes say that the user left, with their id, until they are forgotten by age like all changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use audience_background::Stop;
use audience_contract::StoreError;
use audience_kernel::aliases::IdSince;
use audience_kernel::message::Control;
use parking_lot::Mutex;

use super::archive::Archive;
use crate::engine::{Engine, EngineError};
use crate::stores::PlatformStores;

/// Between purges: each may write all of the log anew.
const PURGE_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// The erasures of a run.
pub(super) struct Erasures {
    stores: PlatformStores,
    archive: Option<Arc<Archive>>,
    stop: Stop,
    events_purged: LastPurge,
    /// The last purge of the lists of members.
    lists_purged: LastPurge,
    /// True if the newest checkpoint notes ids that are gone since.
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

impl Erasures {
    /// Erasures in these stores, and in the history that is kept, if one is.
    pub(super) fn new(stores: &PlatformStores, archive: Option<Arc<Archive>>, stop: Stop) -> Erasures {
        let (events_purged, lists_purged) = (LastPurge::default(), LastPurge::default());
        Erasures {
            stores: stores.clone(),
            archive,
            stop,
            events_purged,
            lists_purged,
            are_noted: AtomicBool::new(false),
        }
    }

    /// Removes all that is stored of these ids, now that a finished checkpoint is after their erasure. The caller holds the
    /// turn: a backfill may not be reading what goes.
    pub(super) fn finish(&self, erased: Vec<IdSince>, engine: &Engine) -> Result<(), EngineError> {
        let are_noted = !erased.is_empty();
        if self.are_noted.swap(are_noted, Ordering::AcqRel) || are_noted {
            self.stores.checkpoints.prune(1)?;
        }
        if are_noted {
            // The records of the erasures themselves go too.
            let below: Vec<IdSince> = erased.iter().map(|(id, sequence)| (id.clone(), sequence + 1)).collect();
            match &self.archive {
                Some(archive) => archive.erase(&below)?,
                None => self.stores.events.erase(&below)?,
            }
            tracing::info!(ids = erased.len(), "erased from the log and the checkpoints");
            engine.submit_steps(vec![Control::ForgetErased(erased)])?;
        }
        if !self.stop.is_requested() {
            self.events_purged.again(|| self.stores.events.purge())?;
        }
        Ok(())
    }

    /// Forgets who was in lists that newer ones have replaced, as far as no start can need them.
    pub(super) fn forget_lists(&self) -> Result<(), StoreError> {
        let progress = self.stores.changes.progress()?.unwrap_or_default();
        self.stores.catalogue.forget_replaced_members(progress.catalogue_version)?;
        if !self.stop.is_requested() {
            self.lists_purged.again(|| self.stores.catalogue.purge())?;
        }
        Ok(())
    }
}

//! A round of a sink's writers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use audience_contract::Progress;
use parking_lot::Mutex;

use super::error::FollowError;
use super::snapshot::Snapshot;
use super::upstream::Upstream;

/// The state that the writers of a sink share from its opening until one of them fails.
#[derive(Default)]
pub(super) struct Round {
    /// The progress to which they bring the sink, and no further.
    until: Option<Progress>,
    is_broken: AtomicBool,
    /// True if a writer has written changes, or found that there are none to write.
    is_well: AtomicBool,
    snapshot: Mutex<Weak<Snapshot>>,
}

impl Round {
    /// A round that ends at `until`, if there is such a progress.
    pub(super) fn up_to(until: Option<Progress>) -> Round {
        Round { until, ..Round::default() }
    }

    /// The progress to which writers bring the sink before they end.
    pub(super) fn until(&self) -> Option<Progress> {
        self.until
    }

    /// Returns whether one of the writers has failed: the others end.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Acquire)
    }

    /// Returns whether a writer has written changes, or found that there are none to write.
    pub(super) fn is_well(&self) -> bool {
        self.is_well.load(Ordering::Acquire)
    }

    /// Notes that a writer has written changes, or found that there are none to write.
    pub(super) fn note_well(&self) {
        self.is_well.store(true, Ordering::Release);
    }

    /// Ends the other writers.
    pub(super) fn break_off(&self) {
        self.is_broken.store(true, Ordering::Release);
    }

    /// Returns a snapshot as of `newest`, or of a progress not before `least`: one for all writers that need one at the same
    /// time.
    pub(super) fn snapshot(
        &self,
        upstream: &Upstream,
        least: u64,
        newest: Progress,
    ) -> Result<Arc<Snapshot>, FollowError> {
        let mut held = self.snapshot.lock();
        if let Some(snapshot) = held.upgrade().filter(|snapshot| snapshot.progress().tick >= least) {
            return Ok(snapshot);
        }
        let snapshot = Arc::new(Snapshot::take(upstream, newest)?);
        *held = Arc::downgrade(&snapshot);
        Ok(snapshot)
    }
}

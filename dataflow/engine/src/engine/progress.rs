//! The progress of the workers: the ticks that are done, the ticks that readers see, and the sizes.

use std::sync::Arc;

use audience_background::Stop;
use audience_kernel::message::{Leader, PreviewResult};
use audience_kernel::operator::{Outward, SizesCounted};
use audience_rules::ast::{Millis, SegmentId};
use hashbrown::HashMap;
use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard};

use super::error::{EngineError, EngineFailure};

/// The ticks that are done, and the state that they led to.
#[derive(Clone, Debug, Default)]
pub struct DoneTicks {
    /// Every tick below this is done.
    pub ticks: u64,
    /// Scans ended, over all workers.
    pub scans: u64,
    /// The clock of the last tick done.
    pub clock: Millis,
    /// When the next user may change by time alone, to the second below.
    pub next_due: Option<Millis>,
    /// The deepest rank.
    pub deepest_rank: u32,
    /// Users that are known, over all workers.
    pub users: u64,
    /// Users that the worker has a number for who has most.
    pub most_users: u64,
    /// The counts of the last preview, over all workers.
    pub previewed: Option<Arc<PreviewResult>>,
    /// The members that were found last, of all workers and in no order, with the clock then.
    pub leaders: Option<Arc<(Vec<Leader>, Millis)>>,
    /// Why nothing more will be done.
    pub failure: Option<EngineFailure>,
}

/// The progress that workers, collector and callers share.
#[derive(Default)]
pub(crate) struct SharedProgress {
    done: Mutex<DoneTicks>,
    changed: Condvar,
    /// Per worker, the ticks that readers see already, whether the sink has them or not.
    seen: Mutex<Vec<HiddenFrom>>,
    seen_changed: Condvar,
    /// Given once there is a failure.
    failed: Stop,
    /// The sizes of the segments that have members, over all workers.
    sizes: RwLock<HashMap<SegmentId, u64>>,
}

/// The first tick of a worker that readers do not see yet.
#[derive(Clone, Copy, Default)]
struct HiddenFrom {
    /// In the memberships.
    applied: u64,
    /// In the sizes of the segments that this worker counts.
    counted: u64,
}

impl SharedProgress {
    /// The progress of so many workers that have done nothing yet. A failure gives the signal `failed`.
    pub(crate) fn new(workers: usize, failed: Stop) -> SharedProgress {
        SharedProgress { seen: Mutex::new(vec![HiddenFrom::default(); workers]), failed, ..SharedProgress::default() }
    }

    /// Notes the first failure, and wakes everyone who waits.
    pub(crate) fn fail(&self, failure: EngineFailure) {
        self.done.lock().failure.get_or_insert(failure);
        self.failed.request();
        self.changed.notify_all();
        drop(self.seen.lock());
        self.seen_changed.notify_all();
    }

    /// The failure after which nothing more is done, if there is one.
    pub(crate) fn failure(&self) -> Option<EngineFailure> {
        self.done.lock().failure.clone()
    }

    /// The ticks that are done.
    pub(crate) fn done(&self) -> DoneTicks {
        self.done.lock().clone()
    }

    /// Notes that more is done.
    pub(crate) fn update(&self, change: impl FnOnce(&mut DoneTicks)) {
        change(&mut self.done.lock());
        self.changed.notify_all();
    }

    /// Waits until `is_met`, or until nothing more will be done.
    pub(crate) fn wait(&self, mut is_met: impl FnMut(&DoneTicks) -> bool) -> Result<DoneTicks, EngineError> {
        let mut done = self.done.lock();
        loop {
            if is_met(&done) {
                return Ok(done.clone());
            }
            if let Some(failure) = &done.failure {
                return Err(EngineError::Stopped(failure.clone()));
            }
            self.changed.wait(&mut done);
        }
    }

    /// A tick of a worker is in the memberships.
    pub(crate) fn applied(&self, worker: usize, tick: u64) {
        self.note(|seen| seen[worker].applied = tick + 1);
    }

    /// A worker has counted sizes. True if this was the last of them that some tick waited for.
    pub(crate) fn counted(&self, worker: usize, counted: &SizesCounted) -> bool {
        if !counted.sizes.is_empty() {
            let mut sizes = self.sizes.write();
            for (segment, size) in &counted.sizes {
                match size {
                    0 => sizes.remove(segment),
                    _ => sizes.insert(segment.clone(), *size),
                };
            }
        }
        self.note(|seen| {
            let before = counted_by_all(seen);
            seen[worker].counted = counted.below;
            counted_by_all(seen) > before
        })
    }

    /// Notes what readers see, and wakes who waits for it only where a further tick is seen in whole.
    fn note<T>(&self, change: impl FnOnce(&mut [HiddenFrom]) -> T) -> T {
        let mut seen = self.seen.lock();
        let before = seen_in_whole(&seen);
        let noted = change(&mut seen);
        if seen_in_whole(&seen) > before {
            self.seen_changed.notify_all();
        }
        noted
    }

    /// Every tick below this one is in the sizes.
    pub(crate) fn counted_below(&self) -> u64 {
        counted_by_all(&self.seen.lock())
    }

    /// Waits until a tick is in the memberships and sizes that are read.
    pub(crate) fn wait_applied(&self, tick: u64) -> Result<(), EngineError> {
        let mut seen = self.seen.lock();
        while seen_in_whole(&seen) <= tick {
            if let Some(failure) = self.failure() {
                return Err(EngineError::Stopped(failure));
            }
            self.seen_changed.wait(&mut seen);
        }
        Ok(())
    }

    /// The sizes of the segments that have members.
    pub(crate) fn sizes(&self) -> RwLockReadGuard<'_, HashMap<SegmentId, u64>> {
        self.sizes.read()
    }
}

/// Every tick below this one is in the sizes of all workers.
fn counted_by_all(seen: &[HiddenFrom]) -> u64 {
    seen.iter().map(|seen| seen.counted).min().unwrap_or_default()
}

/// Every tick below this one is in the memberships and sizes of all workers.
fn seen_in_whole(seen: &[HiddenFrom]) -> u64 {
    seen.iter().map(|seen| seen.applied.min(seen.counted)).min().unwrap_or(u64::MAX)
}

/// A message of a worker, with the worker's number.
pub(crate) type OutwardMessage = (usize, Outward);

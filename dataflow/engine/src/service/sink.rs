//! The outward side of the running engine: what ticks bring is committed, in order, before it counts as given out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::Backoff;
use audience_contract::{Progress, StoreError};
use audience_emit::Emitted;
use parking_lot::Mutex;

use super::lifecycle::Lifecycle;
use super::metrics::Metrics;
use crate::engine::{EngineError, Sink, TickDone};

/// Progress without changes is committed this often: a start then has no more than this to look at again.
const IDLE_COMMIT: Duration = Duration::from_secs(1);

/// How long a stop waits for a store that cannot be written: what was accepted is done by the next start.
const LAST: Duration = Duration::from_secs(10);

/// Commits ticks, in order.
pub struct TickSink {
    /// The change log, and its followers.
    pub emitted: Arc<Emitted>,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// The phase of the run: before it emits, nothing is committed.
    pub lifecycle: Arc<Lifecycle>,
    /// Why nothing can be written, for health.
    pub store_fault: Arc<Mutex<Option<String>>>,
    /// What is not written yet.
    pub gathered: Gathered,
    /// When something was written last.
    pub last_commit: Option<Instant>,
}

/// Of ticks that are done and not yet written.
#[derive(Default)]
pub struct Gathered {
    changes: Vec<u8>,
    ticks: u64,
    events: u64,
    entered: u64,
    left: u64,
    oldest: Option<Instant>,
    must_be_written: bool,
}

impl TickSink {
    /// The sink as the engine calls it.
    pub fn into_sink(mut self) -> Sink {
        Box::new(move |done| self.commit(done))
    }

    /// Ticks that are done while one is being written are written together, as the last of them.
    fn commit(&mut self, done: TickDone) -> Result<(), EngineError> {
        for output in &done.outputs {
            self.gathered.changes.extend_from_slice(&output.changes);
            self.gathered.events += output.events;
            self.gathered.entered += output.entered_count;
            self.gathered.left += output.change_count - output.entered_count;
        }
        self.gathered.ticks += 1;
        // A checkpoint that is ahead of the progress is of no use.
        self.gathered.must_be_written |= done.is_captured;
        self.gathered.oldest = self.gathered.oldest.or(done.oldest_accepted);
        if done.has_more { Ok(()) } else { self.write_gathered(done.progress) }
    }

    fn write_gathered(&mut self, progress: Progress) -> Result<(), EngineError> {
        let mut gathered = std::mem::take(&mut self.gathered);
        let is_due = gathered.must_be_written || self.last_commit.is_none_or(|last| last.elapsed() >= IDLE_COMMIT);
        if self.lifecycle.is_emitting() && (!gathered.changes.is_empty() || is_due) {
            let count = usize::try_from(gathered.entered + gathered.left).unwrap_or(usize::MAX);
            self.write(progress, &mut gathered.changes, count)?;
            self.last_commit = Some(Instant::now());
        }
        let changed = (gathered.entered, gathered.left);
        self.metrics.ticks_done(gathered.ticks, gathered.events, changed, gathered.oldest);
        Ok(())
    }

    /// Waits before the next attempt. A stop cuts a wait short, but no attempt that follows it is without a wait.
    fn rest(&self, wait: Duration) {
        if self.lifecycle.is_stopping() {
            std::thread::park_timeout(wait);
        } else {
            self.lifecycle.stop().wait(wait);
        }
    }

    /// Tries until it is written, or is damaged: nothing is given out before. Meanwhile the workers wait; only an end does not
    /// for long.
    fn write(&self, progress: Progress, changes: &mut Vec<u8>, count: usize) -> Result<(), EngineError> {
        let (mut backoff, mut stopping_since, mut has_failed) = (Backoff::default(), None, false);
        loop {
            match self.emitted.commit(progress, changes, count) {
                Ok(()) => {
                    if has_failed {
                        *self.store_fault.lock() = None;
                    }
                    return Ok(());
                }
                Err(error @ StoreError::Unavailable { .. }) => {
                    self.metrics.store_failed();
                    tracing::error!(%error, "membership changes could not be committed; trying again");
                    *self.store_fault.lock() = Some(error.to_string());
                    has_failed = true;
                    if self.lifecycle.is_stopping() && stopping_since.get_or_insert_with(Instant::now).elapsed() >= LAST
                    {
                        return Err(error.into());
                    }
                    self.rest(backoff.next());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

//! The outward side of the running engine: what ticks bring is committed, in order, before it counts as given out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use audience_background::Backoff;
use audience_contract::{Progress, StoreError};
use audience_emit::Emitted;
use audience_kernel::operator::TickOutput;
use parking_lot::Mutex;

use super::checkpoint::Part;
use super::metrics::Metrics;
use super::standing::Standing;
use crate::engine::{EngineError, Sink, TickDone};

/// Progress without changes is committed this often: a start then has no more than this to look at again.
const IDLE_COMMIT: Duration = Duration::from_secs(1);

/// How long a stop waits for a store that cannot be written: what was accepted is done by the next start.
const LAST: Duration = Duration::from_secs(10);

/// Commits ticks, in order.
pub struct TickSink {
    /// The change log, and its followers.
    pub emitted: Arc<Emitted>,
    /// What each tick will have brought.
    pub standing: Arc<Standing>,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// Where the parts of checkpoints go.
    pub parts: SyncSender<Part>,
    /// Set once the silence of a start is over: before, nothing is given out.
    pub is_live: Arc<AtomicBool>,
    /// Why nothing can be written, for health.
    pub store_fault: Arc<Mutex<Option<String>>>,
    /// The platform is to end.
    pub is_stopping: Arc<AtomicBool>,
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
        let Some(under_way) = self.standing.done(done.tick) else { return Ok(()) };
        let clock = done.outputs.iter().map(|output| output.clock).max().unwrap_or(under_way.progress.clock);
        let progress = Progress { clock, ..under_way.progress };
        for output in &done.outputs {
            self.gathered.changes.extend_from_slice(&output.changes);
            self.gathered.events += output.events;
            self.gathered.entered += output.entered_count;
            self.gathered.left += output.change_count - output.entered_count;
        }
        self.gathered.ticks += 1;
        // A checkpoint that is ahead of the progress is of no use.
        self.gathered.must_be_written |= done.outputs.iter().any(TickOutput::has_part);
        self.gathered.oldest = self.gathered.oldest.or(under_way.oldest);
        if !done.has_more {
            self.write_gathered(progress)?;
        }
        for output in done.outputs {
            if output.has_part() {
                let part = Part { shards: output.shards, sources: output.sources, aliases: output.aliases };
                // Nobody takes parts any more only when the platform is given up.
                if let Err(TrySendError::Full(_)) = self.parts.try_send(part) {
                    return Err(EngineError::Stopped("parts of a checkpoint are not taken".to_owned()));
                }
            }
        }
        Ok(())
    }

    fn write_gathered(&mut self, progress: Progress) -> Result<(), EngineError> {
        let mut gathered = std::mem::take(&mut self.gathered);
        let is_due = gathered.must_be_written || self.last_commit.is_none_or(|last| last.elapsed() >= IDLE_COMMIT);
        if self.is_live.load(Ordering::Acquire) && (!gathered.changes.is_empty() || is_due) {
            let count = usize::try_from(gathered.entered + gathered.left).unwrap_or(usize::MAX);
            self.write(progress, &mut gathered.changes, count)?;
            self.last_commit = Some(Instant::now());
        }
        let changed = (gathered.entered, gathered.left);
        self.metrics.ticks_done(gathered.ticks, gathered.events, changed, gathered.oldest);
        Ok(())
    }

    /// Tries until it is written, or is damaged: nothing is given out before. Meanwhile the workers wait; only an end does not
    /// for long.
    fn write(&self, progress: Progress, changes: &mut Vec<u8>, count: usize) -> Result<(), EngineError> {
        let (mut backoff, mut stopping_since) = (Backoff::default(), None);
        loop {
            match self.emitted.commit(progress, changes, count) {
                Ok(()) => return Ok(()),
                Err(error @ StoreError::Unavailable { .. }) => {
                    self.metrics.store_failed();
                    tracing::error!(%error, "membership changes could not be committed; trying again");
                    *self.store_fault.lock() = Some(error.to_string());
                    if self.is_stopping.load(Ordering::Acquire)
                        && stopping_since.get_or_insert_with(Instant::now).elapsed() >= LAST
                    {
                        return Err(error.into());
                    }
                    super::pause(backoff.next());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

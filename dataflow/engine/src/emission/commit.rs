//! Commits the ticks of the running engine, in order: a change counts as emitted once it is committed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::Backoff;
use audience_contract::{Progress, StoreError};
use audience_emit::Emitted;

use crate::engine::{EngineError, TickDone, TickTaker};
use crate::fault::PartFault;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::occurrence::CommitFailed;

/// Progress without changes is committed this often: a start then has no more than this to look at again.
const IDLE_COMMIT: Duration = Duration::from_secs(1);

/// How long a stop waits for a store that cannot be written: what was accepted is done by the next start.
const LAST: Duration = Duration::from_secs(10);

/// Commits ticks, in order.
pub(crate) struct TickSink {
    /// The change log, and its followers.
    emitted: Arc<Emitted>,
    /// Figures.
    metrics: Arc<Metrics>,
    /// The phase of the run: nothing is committed before it emits.
    lifecycle: Arc<Lifecycle>,
    /// The fault of the change log, if the newest commit failed.
    fault: PartFault,
    gathered: Gathered,
    last_commit: Option<Instant>,
}

/// The ticks that are done and not yet written.
#[derive(Default)]
struct Gathered {
    changes: Vec<u8>,
    ticks: u64,
    events: u64,
    refused_identifies: u64,
    entered: u64,
    left: u64,
    oldest: Option<Instant>,
    must_be_written: bool,
}

impl TickSink {
    /// A sink that has committed nothing yet, and notes in `fault` why it cannot.
    pub(crate) fn new(
        emitted: Arc<Emitted>,
        metrics: Arc<Metrics>,
        lifecycle: Arc<Lifecycle>,
        fault: PartFault,
    ) -> TickSink {
        TickSink { emitted, metrics, lifecycle, fault, gathered: Gathered::default(), last_commit: None }
    }

    /// The sink as the engine calls it.
    pub(crate) fn into_sink(mut self) -> TickTaker {
        Box::new(move |done| self.commit(done))
    }

    /// Ticks that are done while one is being written are written together, as the last of them.
    fn commit(&mut self, done: TickDone) -> Result<(), EngineError> {
        if done.outputs.iter().all(|output| output.changes.is_empty()) {
            self.emitted.traces().forget(done.progress.tick);
        }
        for output in &done.outputs {
            self.gathered.changes.extend_from_slice(&output.changes);
            self.gathered.events += output.events;
            self.gathered.refused_identifies += output.refused_identifies;
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
        self.emitted.traces().end(progress.tick);
        let changed = (gathered.entered, gathered.left);
        self.metrics.identifies_refused(gathered.refused_identifies);
        self.metrics.ticks_done(gathered.ticks, gathered.events, changed, gathered.oldest);
        Ok(())
    }

    /// Tries until it is written, or is damaged: nothing is emitted before. Meanwhile the workers wait. A stop tries at once,
    /// and then for a while.
    fn write(&self, progress: Progress, changes: &mut Vec<u8>, count: usize) -> Result<(), EngineError> {
        let (mut backoff, mut stopping_since, mut has_failed) = (Backoff::default(), None, false);
        loop {
            match self.emitted.commit(progress, changes, count) {
                Ok(()) => {
                    if has_failed {
                        self.fault.set(None);
                    }
                    return Ok(());
                }
                Err(error @ StoreError::Unavailable { .. }) => {
                    CommitFailed { error: &error }.emit(&self.metrics);
                    self.fault.set(Some(error.to_string()));
                    has_failed = true;
                    if !self.lifecycle.is_stopping() {
                        self.lifecycle.stop().wait(backoff.next());
                        continue;
                    }
                    let since = *stopping_since.get_or_insert_with(|| {
                        backoff.reset();
                        Instant::now()
                    });
                    if since.elapsed() >= LAST || self.lifecycle.failed().wait(backoff.next()) {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread::JoinHandle;

    use audience_contract::ChangeLog;
    use parking_lot::Mutex;

    use super::*;
    use crate::lifecycle::Phase;

    const SECOND: Duration = Duration::from_secs(1);

    /// A change log on a disk that is full while it is.
    #[derive(Default)]
    struct FullLog {
        attempts: AtomicU32,
        is_free: Mutex<bool>,
    }

    impl ChangeLog for FullLog {
        fn commit(&self, _: Progress, _: &[u8]) -> audience_contract::Result<()> {
            self.attempts.fetch_add(1, Ordering::Relaxed);
            let full = || StoreError::Unavailable { action: "writing changes", detail: "no space left".to_owned() };
            self.is_free.lock().then_some(()).ok_or_else(full)
        }

        fn progress(&self) -> audience_contract::Result<Option<Progress>> {
            Ok(None)
        }

        fn read(&self, _: u64, _: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> audience_contract::Result<()> {
            Ok(())
        }

        fn forget(&self, _: u64) -> audience_contract::Result<()> {
            Ok(())
        }

        fn floor(&self) -> audience_contract::Result<u64> {
            Ok(0)
        }
    }

    /// A sink that has failed to write so often that it waits for seconds.
    fn waiting() -> (Arc<FullLog>, Arc<Lifecycle>, JoinHandle<Result<(), EngineError>>) {
        let (full, lifecycle) = (Arc::new(FullLog::default()), Arc::new(Lifecycle::default()));
        lifecycle.enter(Phase::Live);
        let emitted = Arc::new(Emitted::new(full.clone(), Progress::default()));
        let metrics = Arc::new(Metrics::default());
        let mut sink = TickSink::new(emitted, metrics, lifecycle.clone(), PartFault::default()).into_sink();
        let (progress, outputs) = (Progress { tick: 1, ..Progress::default() }, Vec::new());
        let done = TickDone { tick: 0, progress, oldest_accepted: None, outputs, is_captured: false, has_more: false };
        let thread = std::thread::spawn(move || sink(done));
        while full.attempts.load(Ordering::Relaxed) < 7 {
            lifecycle.stop().wait(Duration::from_millis(10));
        }
        (full, lifecycle, thread)
    }

    #[test]
    fn a_stop_ends_the_wait_of_a_sink_whose_store_works_again() {
        let (full, lifecycle, thread) = waiting();
        *full.is_free.lock() = true;
        let begun = Instant::now();
        lifecycle.enter(Phase::Stopping);
        assert!(thread.join().unwrap().is_ok());
        assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    }

    #[test]
    fn a_stopping_sink_notices_soon_that_its_store_works_again() {
        let (full, lifecycle, thread) = waiting();
        lifecycle.enter(Phase::Stopping);
        lifecycle.failed().wait(Duration::from_millis(200));
        *full.is_free.lock() = true;
        let begun = Instant::now();
        assert!(thread.join().unwrap().is_ok());
        assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    }

    #[test]
    fn a_stopping_sink_of_an_engine_that_fails_gives_up_at_once() {
        let (_, lifecycle, thread) = waiting();
        lifecycle.enter(Phase::Stopping);
        lifecycle.failed().wait(Duration::from_millis(200));
        let begun = Instant::now();
        lifecycle.failed().request();
        assert!(thread.join().unwrap().is_err());
        assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    }
}

//! The run of a platform: its phase, and the jobs that end with it.

use std::fmt::Display;
use std::sync::Arc;

use audience_background::{Failure, Job, JobHandle, Outcome, Pass, Runner, Stop};

use crate::engine::error::{EngineError, EngineFailure};
use crate::lifecycle::{Lifecycle, Phase};

/// A run of a platform.
pub(crate) struct Run {
    lifecycle: Arc<Lifecycle>,
    jobs: Runner,
}

/// Takes the failure of a job that the engine cannot go on without.
pub(crate) type Fail = Box<dyn Fn(EngineFailure) + Send>;

impl Run {
    /// A run that restores.
    pub(crate) fn new() -> Run {
        let lifecycle = Arc::new(Lifecycle::default());
        Run { jobs: Runner::new(lifecycle.stop().clone()), lifecycle }
    }

    /// The phase, for those who follow it.
    pub(crate) fn lifecycle(&self) -> &Arc<Lifecycle> {
        &self.lifecycle
    }

    /// Enters a later phase; returns whether it is later than the one before.
    pub(crate) fn enter(&self, phase: Phase) -> bool {
        self.lifecycle.enter(phase)
    }

    /// The signal that the run stops.
    pub(crate) fn stop(&self) -> &Stop {
        self.lifecycle.stop()
    }

    /// The jobs that end with the run.
    pub(crate) fn jobs(&self) -> &Runner {
        &self.jobs
    }

    /// Starts a job that ends with the run.
    pub(crate) fn start<E: Display + 'static>(
        &self,
        job: Job,
        pass: impl FnMut(&Pass<'_>) -> Result<Outcome, Failure<E>> + Send + 'static,
    ) -> Result<JobHandle, EngineError> {
        self.jobs.start(job, pass).map_err(EngineError::thread)
    }

    /// Starts a task that ends with the run.
    pub(crate) fn start_task<E: Display + 'static>(
        &self,
        name: impl Into<String>,
        task: impl FnOnce(&Stop) -> Result<(), E> + Send + 'static,
    ) -> Result<(), EngineError> {
        self.jobs.start_task(name, task).map(drop).map_err(EngineError::thread)
    }

    /// Starts a task without which the engine does not go on: its error or its death is the engine's failure, which
    /// health shows and everyone who waits is told.
    pub(crate) fn start_vital(
        &self,
        name: &'static str,
        fail: Fail,
        task: impl FnOnce() -> Result<(), EngineError> + Send + 'static,
    ) -> Result<(), EngineError> {
        self.start_task(name, move |_| {
            let vital = Vital { name, fail };
            task().inspect_err(|error| (vital.fail)(error.clone().into()))
        })
    }
}

/// Fails the engine where its thread ends by a panic.
struct Vital {
    name: &'static str,
    fail: Fail,
}

impl Drop for Vital {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.fail)(EngineFailure::JobDied(self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use super::*;

    /// Returns the failure that a vital task leads to.
    fn failure_of(task: impl FnOnce() -> Result<(), EngineError> + Send + 'static) -> Option<String> {
        let (run, (sender, failure)) = (Run::new(), sync_channel(1));
        let fail: Fail = Box::new(move |failure| sender.send(failure).expect("the test waits"));
        run.start_vital("pump", fail, task).expect("a thread");
        assert!(run.jobs().wait_ended(None));
        failure.recv_timeout(Duration::from_secs(60)).ok().map(|failure| failure.to_string())
    }

    #[test]
    fn a_vital_task_that_panics_or_fails_is_the_engines_failure() {
        let died = failure_of(|| panic!("injected"));
        assert!(died.is_some_and(|failure| failure.contains("`pump` has died")));
        let failed = failure_of(|| Err(EngineError::thread(std::io::Error::other("no memory"))));
        assert!(failed.is_some_and(|failure| failure.contains("no memory")));
        assert_eq!(failure_of(|| Ok(())), None);
    }
}

//! A job: what its function is told, what it answers, and what others can see of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::stop::Stop;

type OnFailure = Box<dyn Fn(&str) + Send>;

/// A job's name, interval and what is done about its failures.
pub struct Job {
    pub(crate) name: String,
    pub(crate) interval: Duration,
    pub(crate) complaint: &'static str,
    pub(crate) has_last_pass: bool,
    pub(crate) is_delayed: bool,
    pub(crate) on_failure: OnFailure,
}

impl Job {
    /// A job whose thread has that name, with so long between two passes.
    pub fn new(name: impl Into<String>, interval: Duration) -> Job {
        Job {
            name: name.into(),
            interval,
            complaint: "The job failed",
            has_last_pass: false,
            is_delayed: false,
            on_failure: Box::new(|_| ()),
        }
    }

    /// Sets the log line of a failure: a full sentence.
    pub fn complaint(mut self, complaint: &'static str) -> Job {
        self.complaint = complaint;
        self
    }

    /// Runs the function one last time after the stop was requested, with [`Pass::is_last`].
    pub fn with_last_pass(mut self) -> Job {
        self.has_last_pass = true;
        self
    }

    /// Runs the first pass after an interval instead of at once.
    pub fn delayed(mut self) -> Job {
        self.is_delayed = true;
        self
    }

    /// Calls `on_failure` with the fault at each failure: it counts them in a metric.
    pub fn on_failure(mut self, on_failure: impl Fn(&str) + Send + 'static) -> Job {
        self.on_failure = Box::new(on_failure);
        self
    }
}

/// The pass that a job's function runs, as the function sees it.
#[derive(Debug)]
pub struct Pass<'a> {
    /// The stop was requested: no pass follows.
    pub is_last: bool,
    /// The job's own stop, for waits within the pass.
    pub stop: &'a Stop,
}

/// The outcome of a pass that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The next pass follows after the interval.
    Idle,
    /// The next pass follows at once: there is more to do.
    Busy,
    /// The next pass follows after this long.
    Rest(Duration),
    /// No pass follows.
    Ended,
}

/// Why a pass failed. An error becomes one to retry by `?`.
#[derive(Debug)]
pub enum Failure<E> {
    /// The next pass follows after the backoff.
    Retry(E),
    /// No pass follows, and the fault stays.
    Final(E),
}

impl<E> From<E> for Failure<E> {
    fn from(error: E) -> Self {
        Failure::Retry(error)
    }
}

/// A running job, as others see it. Clones are the same job.
#[derive(Clone, Debug)]
pub struct JobHandle(pub(crate) Arc<Running>);

#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) name: String,
    pub(crate) stop: Stop,
    pub(crate) fault: Mutex<Option<String>>,
    pub(crate) failures: AtomicU64,
    pub(crate) is_ended: Mutex<bool>,
    pub(crate) ended: Condvar,
}

impl JobHandle {
    /// The job's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the fault of the last pass, if it failed.
    pub fn fault(&self) -> Option<String> {
        self.0.fault.lock().clone()
    }

    /// Returns how many passes have failed.
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// Starts the next pass now instead of after the interval or the backoff.
    pub fn wake(&self) {
        self.0.stop.wake();
    }

    /// Requests the end of this job alone.
    pub fn stop(&self) {
        self.0.stop.request();
    }

    /// Returns whether the job has ended.
    pub fn is_ended(&self) -> bool {
        *self.0.is_ended.lock()
    }

    /// Waits until the job has ended, at most until `deadline`; returns whether it has.
    pub fn wait_ended(&self, deadline: Option<Instant>) -> bool {
        let mut is_ended = self.0.is_ended.lock();
        while !*is_ended {
            match deadline {
                Some(deadline) if self.0.ended.wait_until(&mut is_ended, deadline).timed_out() => break,
                Some(_) => {}
                None => self.0.ended.wait(&mut is_ended),
            }
        }
        *is_ended
    }
}

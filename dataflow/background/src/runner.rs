//! Runs jobs, each on a thread of its own.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use crate::backoff::Backoff;
use crate::job::{Failure, Job, JobHandle, Outcome, Pass, Running};
use crate::stop::Stop;

/// The jobs that end with one [`Stop`].
#[derive(Debug, Default)]
pub struct Runner {
    stop: Stop,
    jobs: Mutex<Vec<JobHandle>>,
}

impl Runner {
    /// A runner without jobs, whose jobs end when `stop` is requested.
    pub fn new(stop: Stop) -> Runner {
        Runner { stop, jobs: Mutex::default() }
    }

    /// The signal that ends all jobs.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Starts a job: `run` is called at once, and again after each interval.
    pub fn start<E: Display + 'static>(
        &self,
        job: Job,
        mut run: impl FnMut(&Pass<'_>) -> Result<Outcome, Failure<E>> + Send + 'static,
    ) -> io::Result<JobHandle> {
        let name = job.name.clone();
        self.spawn(name, move |handle| repeat(&job, handle, &mut run))
    }

    /// Starts a task that waits by itself, as on a channel or a source, and ends once that is closed or its stop is
    /// requested. An error is its fault, and ends it.
    pub fn start_task<E: Display + 'static>(
        &self,
        name: impl Into<String>,
        run: impl FnOnce(&Stop) -> Result<(), E> + Send + 'static,
    ) -> io::Result<JobHandle> {
        self.spawn(name.into(), move |handle| {
            if let Err(error) = run(&handle.0.stop) {
                tracing::error!(job = handle.name(), %error, "The task stopped");
                handle.0.failures.fetch_add(1, Ordering::Relaxed);
                *handle.0.fault.lock() = Some(error.to_string());
            }
        })
    }

    /// Waits until all jobs have ended, at most until `deadline`; returns whether they have. It requests nothing.
    pub fn wait_ended(&self, deadline: Option<Instant>) -> bool {
        let jobs = self.jobs.lock().clone();
        let is_all = jobs.iter().all(|job| job.wait_ended(deadline));
        self.jobs.lock().retain(|job| !job.is_ended());
        is_all
    }

    /// Waits until all jobs have ended, each at most until the deadline that goes with its name.
    pub fn wait_ended_each(&self, deadline: impl Fn(&str) -> Option<Instant>) {
        let jobs = self.jobs.lock().clone();
        for job in &jobs {
            job.wait_ended(deadline(job.name()));
        }
        self.jobs.lock().retain(|job| !job.is_ended());
    }

    fn spawn(&self, name: String, run: impl FnOnce(&JobHandle) + Send + 'static) -> io::Result<JobHandle> {
        let handle = JobHandle(Arc::new(Running {
            name: name.clone(),
            stop: self.stop.child(),
            fault: Mutex::new(None),
            failures: AtomicU64::new(0),
            is_ended: Mutex::new(false),
            ended: Condvar::new(),
        }));
        let running = EndNotice(handle.clone());
        std::thread::Builder::new().name(name).spawn(move || {
            let ending = running;
            run(&ending.0);
        })?;
        let mut jobs = self.jobs.lock();
        jobs.retain(|job| !job.is_ended());
        jobs.push(handle.clone());
        Ok(handle)
    }
}

/// Notes that a job has ended, also where it panics.
struct EndNotice(JobHandle);

impl Drop for EndNotice {
    fn drop(&mut self) {
        let running = &self.0.0;
        if std::thread::panicking() {
            tracing::error!(job = running.name, "The job died");
            *running.fault.lock() = Some(format!("{} has died; the log says where", running.name));
        }
        *running.is_ended.lock() = true;
        running.ended.notify_all();
    }
}

/// Runs passes until the job ends.
fn repeat<E: Display>(job: &Job, handle: &JobHandle, run: &mut impl FnMut(&Pass<'_>) -> Result<Outcome, Failure<E>>) {
    let stop = &handle.0.stop;
    let mut backoff = Backoff::default();
    if job.is_delayed {
        stop.wait(job.interval);
    }
    loop {
        let is_last = stop.is_requested();
        if is_last && !job.has_last_pass {
            return;
        }
        let wait = match run(&Pass { is_last, stop }) {
            Ok(outcome) => {
                backoff.reset();
                if handle.0.fault.lock().take().is_some() {
                    tracing::info!(job = job.name, "The job works again");
                }
                match outcome {
                    Outcome::Idle => Some(job.interval),
                    Outcome::Busy => None,
                    Outcome::Rest(wait) => Some(wait),
                    Outcome::Ended => return,
                }
            }
            Err(failure) => {
                let (error, is_final) = match failure {
                    Failure::Retry(error) => (error, false),
                    Failure::Final(error) => (error, true),
                };
                note_failure(job, handle, &error.to_string());
                if is_final {
                    return;
                }
                Some(backoff.next())
            }
        };
        if is_last {
            return;
        }
        wait.map(|wait| stop.wait(wait));
    }
}

/// Keeps the fault, counts the failure, and logs a fault that is new.
fn note_failure(job: &Job, handle: &JobHandle, fault: &str) {
    handle.0.failures.fetch_add(1, Ordering::Relaxed);
    (job.on_failure)(fault);
    let before = handle.0.fault.lock().replace(fault.to_owned());
    if before.as_deref() != Some(fault) {
        tracing::error!(job = job.name, error = fault, "{}", job.complaint);
    }
}

#[cfg(test)]
mod tests;

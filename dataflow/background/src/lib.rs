//! Background jobs: one [`Runner`] and one [`Stop`] for everything that runs beside the requests.
//!
//! A job is a name, an interval and a function. The runner does the rest once for all jobs: it keeps the fault and the
//! count of failures, writes the log line, waits with backoff, and ends the job when the stop is requested. Nothing here
//! sleeps: every wait ends as soon as the stop is requested.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod backoff;
pub mod clock;
mod job;
mod runner;
mod stop;

pub use self::backoff::Backoff;
pub use self::job::{Failure, Job, JobHandle, Outcome, Pass};
pub use self::runner::Runner;
pub use self::stop::Stop;

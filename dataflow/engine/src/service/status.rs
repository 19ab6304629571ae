//! What a connector tells of itself, and how it is tried again.

use std::fmt::Display;
use std::time::{Duration, Instant};

use audience_background::Backoff;
use audience_contract::{SinkError, StoreError};
use parking_lot::Mutex;

use super::{Service, pause};

/// How long it takes at most to notice that the platform ends.
const LOOK: Duration = Duration::from_millis(200);

/// Why giving something to a store outside was broken off.
#[derive(Debug, thiserror::Error)]
pub(super) enum GiveError {
    /// The store.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// What is given is not to be had.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A connector, and what keeps it from going on.
#[derive(Debug)]
pub struct Status {
    /// The connector.
    pub name: String,
    fault: Mutex<Option<String>>,
}

impl Status {
    /// Of one that nothing is known of.
    pub fn new(name: &str) -> Self {
        Status { name: name.to_owned(), fault: Mutex::new(None) }
    }

    /// What keeps it from going on, if anything does.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().clone()
    }

    /// Nothing does, or that.
    pub fn set_fault(&self, fault: Option<String>) {
        *self.fault.lock() = fault;
    }
}

impl Service {
    /// Gives something out round by round until the platform ends; each round says how long the next one may wait. What fails
    /// is told, and tried again.
    pub(super) fn give_in_rounds<E: Display>(
        &self,
        status: &Status,
        what: &'static str,
        round: &mut dyn FnMut() -> Result<Duration, E>,
    ) {
        let mut backoff = Backoff::default();
        while !self.is_ending() {
            let given = round();
            let wait = match &given {
                Ok(wait) => {
                    backoff.reset();
                    *wait
                }
                Err(error) => {
                    self.metrics.connectors.sink_failed(&status.name);
                    tracing::error!(sink = status.name, %error, "{what} are not given out");
                    backoff.next()
                }
            };
            status.set_fault(given.err().map(|error| error.to_string()));
            let begun = Instant::now();
            while let Some(rest) = wait.checked_sub(begun.elapsed())
                && !rest.is_zero()
                && !self.is_ending()
            {
                pause(LOOK.min(rest));
            }
        }
    }
}

//! How long to wait before something outside is tried again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const GREATEST: Duration = Duration::from_secs(5);

/// Twice as long each time, up to five seconds.
#[derive(Debug)]
pub struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Backoff(FIRST)
    }
}

impl Backoff {
    /// How long to wait now.
    pub fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (2 * wait).min(GREATEST);
        wait
    }

    /// It went well: the next wait is short again.
    pub fn reset(&mut self) {
        self.0 = FIRST;
    }
}

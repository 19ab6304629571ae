//! The wait before something outside is tried again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const GREATEST: Duration = Duration::from_secs(5);

/// A wait that doubles with each failure, from 50 ms to 5 s.
#[derive(Debug)]
pub struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Backoff(FIRST)
    }
}

impl Backoff {
    /// Returns the wait before the next attempt, and doubles the one after it.
    // It is no iterator: it never ends.
    #[expect(clippy::should_implement_trait, reason = "a backoff is no sequence that anybody iterates over")]
    pub fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (2 * wait).min(GREATEST);
        wait
    }

    /// Notes a success: the next wait is the shortest again.
    pub fn reset(&mut self) {
        self.0 = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_greatest_and_start_again_after_a_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..9).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        backoff.reset();
        assert_eq!(backoff.next().as_millis(), 50);
    }
}

//! The wall clock of the process, which never goes back.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

static LATEST: AtomicI64 = AtomicI64::new(0);

/// Returns the milliseconds since 1970. If the system's clock is set back, this one stands still until the system's has
/// caught up, since a membership change that was emitted for an instant cannot be taken back.
pub fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    LATEST.fetch_max(wall, Ordering::Relaxed).max(wall)
}

/// Makes `at` the earliest instant that [`now`] returns from here on. A start calls it with the instant at which the run
/// before ended, so that time goes on from there even on a host whose clock lags.
pub fn go_on_from(at: i64) {
    LATEST.fetch_max(at, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_back() {
        let before = now();
        let ahead = before + 60_000;
        go_on_from(ahead);
        assert_eq!(now(), ahead);
        go_on_from(before);
        assert_eq!(now(), ahead);
    }
}

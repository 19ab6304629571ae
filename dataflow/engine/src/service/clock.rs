//! The wall clock, never going back.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use audience_rules::ast::Millis;

static LATEST: AtomicI64 = AtomicI64::new(0);

/// Milliseconds since 1970. Where the system's clock is set back, this one stands still until it has caught up, since
/// what was given out for an instant cannot be taken back.
pub fn now() -> Millis {
    #[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis);
    LATEST.fetch_max(wall, Ordering::Relaxed).max(wall)
}

/// From here on it is at or behind that instant: a start goes on where the time of the run before it ended, also on a host
/// whose clock is behind.
pub fn go_on_from(at: Millis) {
    LATEST.fetch_max(at, Ordering::Relaxed);
}

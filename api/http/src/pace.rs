//! The pace at which a body must come.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use crate::body::{self, BodyStream};
use crate::problem::Problem;

/// The least rate at which a body comes, measured in windows of time. A body that is there within the first window may be as
/// slow as that.
pub(crate) struct Pace {
    window: Duration,
    /// The bytes of a window, at least.
    least: usize,
    ends: Instant,
    came: usize,
}

impl Pace {
    /// The pace of a body from now on: a window, and the bytes of a second.
    pub(crate) fn new(window: Duration, rate: usize, now: Instant) -> Self {
        let least = (window.as_secs_f64() * rate as f64) as usize;
        Pace { window, least: least.max(1), ends: now + window, came: 0 }
    }

    /// Begins a window.
    pub(crate) fn restart(&mut self, now: Instant) {
        (self.ends, self.came) = (now + self.window, 0);
    }

    /// Counts bytes that came.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.came += bytes;
    }

    /// 408 at the end of a window in which too little came; else the next window begins.
    pub(crate) fn check(&mut self, now: Instant) -> Result<(), Problem> {
        if now < self.ends {
            return Ok(());
        }
        if self.came < self.least {
            return Err(body::too_slow());
        }
        self.restart(now);
        Ok(())
    }

    /// The next part of a body, `None` at its end.
    pub(crate) async fn next(&mut self, parts: &mut BodyStream) -> Result<Option<Bytes>, Problem> {
        loop {
            match timeout_at(self.ends, parts.next()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(part))) => {
                    self.count(part.len());
                    return Ok(Some(part));
                }
                Ok(Some(Err(error))) => return Err(body::broken(&error)),
                Err(_) => self.check(Instant::now())?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_keeps_up_a_rate_or_is_there_in_one_window() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let pace = || Pace::new(Duration::from_secs(10), 1_000, begin);
        let mut slow = pace();
        slow.count(9_999);
        assert!(slow.check(at(9)).is_ok(), "the window is not over");
        assert_eq!(slow.check(at(10)).unwrap_err().code, "too_slow");
        let mut even = pace();
        for window in 1..100 {
            even.count(10_000);
            assert!(even.check(at(window * 10)).is_ok());
        }
        assert!(even.check(at(1_000)).is_err(), "bytes of earlier windows do not count");
    }
}

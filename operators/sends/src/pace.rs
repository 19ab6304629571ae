//! The pace of hand-overs to a provider's account.
//!
//! **The law.** Over any span of *s* seconds, at most *s* times the pace is begun, and one window more. The pace is not slower
//! than that: windows that wait follow each other without a gap. A restart forgets one window at most.

use crate::Millis;

const MICROS: i64 = 1_000_000;

/// A pace, and the instant from which on the next window may begin.
#[derive(Clone, Debug)]
pub struct SendPace {
    per_second: i64,
    /// Microseconds since 1970.
    next: i64,
}

impl SendPace {
    /// At most so many a second; 0 counts as 1.
    pub fn new(per_second: u32) -> SendPace {
        SendPace { per_second: i64::from(per_second.max(1)), next: 0 }
    }

    /// The most that one window takes: a quarter of a second's, so that a stop is never waited for long.
    pub fn window(&self) -> usize {
        usize::try_from(self.per_second / 4).unwrap_or(usize::MAX).max(1)
    }

    /// The most that is claimed at a time: a second's, so that what is claimed is handed over soon.
    pub fn batch(&self) -> usize {
        usize::try_from(self.per_second).unwrap_or(usize::MAX)
    }

    /// Takes the turn of a window of so many, and returns the milliseconds to wait for it.
    pub fn take(&mut self, now: Millis, count: usize) -> Millis {
        let now = now.saturating_mul(1_000);
        let begin = self.next.max(now);
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.next = begin.saturating_add(count.saturating_mul(MICROS) / self.per_second);
        (begin - now + 999) / 1_000
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    #[test]
    fn no_span_has_more_than_its_share_and_one_window() {
        for seed in 0..300 {
            let mut random = Rng::with_seed(seed);
            let per_second = random.u32(1..2_000);
            let mut pace = SendPace::new(per_second);
            let (mut now, mut begun) = (1_000_000, Vec::new());
            for _ in 0..60 {
                now += if random.bool() { 0 } else { random.i64(0..500) };
                let count = random.usize(1..=pace.window());
                begun.push((now + pace.take(now, count), count as f64));
            }
            for first in 0..begun.len() {
                let mut sum = 0.0;
                for (at, count) in &begun[first..] {
                    // Instants are rounded to milliseconds, up.
                    let seconds = (at - begun[first].0 + 1) as f64 / 1_000.0;
                    assert!(sum <= seconds * f64::from(per_second) + 1.0, "seed {seed}: {sum} in {seconds} s");
                    sum += count;
                }
            }
        }
    }

    #[test]
    fn windows_that_wait_follow_without_a_gap_and_a_pause_saves_nothing_up() {
        let mut pace = SendPace::new(10);
        assert_eq!((pace.window(), pace.batch()), (2, 10));
        assert_eq!([pace.take(0, 2), pace.take(0, 2), pace.take(0, 1), pace.take(0, 1)], [0, 200, 400, 500]);
        assert_eq!([pace.take(60_000, 2), pace.take(60_000, 2)], [0, 200]);
        assert_eq!((SendPace::new(1).window(), SendPace::new(0).batch()), (1, 1));
    }
}

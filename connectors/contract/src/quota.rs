//! Quotas that several processes share: never more than so much in any window of time.

use crate::Result;

/// The sub-windows by which a window moves on.
pub const SUB_WINDOWS: u64 = 12;
/// The sub-windows that a window can touch: one more, since it begins and ends within one.
const TOUCHED: usize = SUB_WINDOWS as usize + 1;

/// A quota: at most `most` in any window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuotaPolicy {
    /// The most that is granted.
    pub most: u32,
    /// The window in milliseconds, at least 12.
    pub window_ms: u64,
}

impl QuotaPolicy {
    /// A quota of a minute.
    pub const fn per_minute(most: u32) -> QuotaPolicy {
        QuotaPolicy { most, window_ms: 60_000 }
    }

    /// The length of a sub-window in milliseconds. Twelve of them are a window or a little more.
    pub const fn sub_window_ms(self) -> u64 {
        let length = self.window_ms.div_ceil(SUB_WINDOWS);
        if length == 0 { 1 } else { length }
    }
}

/// The answer to one who takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaAnswer {
    /// True where all that was asked for is granted; otherwise nothing is.
    pub is_granted: bool,
    /// The rest that would be granted now.
    pub left: u32,
    /// Milliseconds until some of what was granted counts no more; 0 where nothing counts.
    pub reset_ms: u64,
}

/// Counters that processes share.
///
/// - Over all callers, at most [`most`](QuotaPolicy::most) of a key MUST be granted within any window of
///   [`window_ms`](QuotaPolicy::window_ms), however many ask at once. What is refused MUST NOT count.
/// - Where nothing counts, the whole quota MUST be granted. What was granted MUST count no more after the window and two of
///   its twelve parts.
/// - Counters that count nothing any more MUST go by themselves. A loss of counters on the server MAY begin them anew.
/// - One call waits for one round trip at most. The time is the store's own.
pub trait QuotaStore: Send + Sync {
    /// The name of the store, for logs.
    fn name(&self) -> &'static str;

    /// Takes so much of a key's quota, all or nothing.
    fn take(&self, key: &str, count: u32, policy: QuotaPolicy) -> Result<QuotaAnswer>;
}

/// The counter of one key: what was granted in the present sub-window and in the twelve before. A window never touches more,
/// so that what they sum up to is the most that any window has; they are at most a twelfth longer than one.
#[derive(Clone, Debug, Default)]
pub struct QuotaCounter {
    newest: u64,
    counts: [u32; TOUCHED],
}

impl QuotaCounter {
    /// Takes so much at an instant in milliseconds. A clock that goes back counts as one that stands.
    pub fn take(&mut self, now_ms: u64, count: u32, policy: QuotaPolicy) -> QuotaAnswer {
        let length = policy.sub_window_ms();
        self.move_to(now_ms / length);
        let sum = self.counts.iter().fold(0_u32, |sum, count| sum.saturating_add(*count));
        let is_granted = sum.checked_add(count).is_some_and(|sum| sum <= policy.most);
        if is_granted {
            self.counts[place(self.newest)] += count;
        }
        let taken = if is_granted { sum + count } else { sum };
        QuotaAnswer { is_granted, left: policy.most.saturating_sub(taken), reset_ms: self.reset_ms(now_ms, length) }
    }

    /// Returns whether nothing counts any more in the present sub-window.
    pub fn is_empty_at(&self, now_ms: u64, policy: QuotaPolicy) -> bool {
        now_ms / policy.sub_window_ms() > self.newest + SUB_WINDOWS
    }

    fn move_to(&mut self, present: u64) {
        let passed = present.saturating_sub(self.newest);
        for step in 1..=passed.min(TOUCHED as u64) {
            self.counts[place(self.newest + step)] = 0;
        }
        if passed >= TOUCHED as u64 {
            self.counts = [0; TOUCHED];
        }
        self.newest = self.newest.max(present);
    }

    fn reset_ms(&self, now_ms: u64, length: u64) -> u64 {
        let oldest = self.newest.saturating_sub(SUB_WINDOWS);
        let counted = (oldest..=self.newest).find(|sub_window| self.counts[place(*sub_window)] > 0);
        counted.map_or(0, |sub_window| ((sub_window + TOUCHED as u64) * length).saturating_sub(now_ms))
    }
}

const fn place(sub_window: u64) -> usize {
    (sub_window % TOUCHED as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_window_has_more_than_the_quota_at_any_times_of_asking() {
        let policy = QuotaPolicy { most: 10, window_ms: 1_200 };
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let (mut counter, mut now, mut granted) = (QuotaCounter::default(), 5_000, Vec::new());
        for _ in 0..20_000 {
            let longest = if next(50) == 0 { 3_000 } else { 120 };
            now += next(longest);
            if counter.take(now, 1, policy).is_granted {
                granted.push(now);
            }
        }
        assert!(granted.len() > 5_000, "{}", granted.len());
        for (at, first) in granted.iter().enumerate() {
            let within = granted[at..].iter().take_while(|time| **time - first <= policy.window_ms).count();
            assert!(within <= 10, "{within} from {first} on");
        }
    }

    #[test]
    fn the_answer_says_what_is_left_and_when_more_will_be() {
        let policy = QuotaPolicy { most: 3, window_ms: 12_000 };
        let mut counter = QuotaCounter::default();
        let answer = |is_granted, left, reset_ms| QuotaAnswer { is_granted, left, reset_ms };
        assert_eq!(counter.take(100_500, 2, policy), answer(true, 1, 12_500));
        assert_eq!(counter.take(105_000, 2, policy), answer(false, 1, 8_000), "all or nothing");
        assert_eq!(counter.take(105_000, 1, policy), answer(true, 0, 8_000));
        assert_eq!(counter.take(112_999, 1, policy), answer(false, 0, 1));
        assert_eq!(counter.take(113_000, 2, policy), answer(true, 0, 5_000));
        assert!(counter.take(90_000, 1, policy).left == 0, "a clock that goes back");
        assert!(!counter.is_empty_at(125_000, policy) && counter.is_empty_at(126_000, policy));
        assert_eq!(counter.take(u64::MAX / 2, 3, policy).left, 0);
    }
}

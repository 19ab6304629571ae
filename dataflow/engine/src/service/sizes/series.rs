//! One segment's size over time, in buckets of several lengths at once.

use audience_protocol::{SizePoint, SizeQuery};
use audience_rules::ast::Millis;
use audience_rules::time::format_time;

const SECOND: Millis = 1_000;
const DAY: Millis = 24 * 3_600 * SECOND;

/// How long a bucket is, and for how long it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Tier {
    /// Milliseconds.
    pub length: Millis,
    /// Milliseconds.
    pub kept: Millis,
}

/// From fine to coarse; each length is a multiple of the one before.
pub const TIERS: [Tier; 4] = [
    Tier { length: 10 * SECOND, kept: DAY / 12 },
    Tier { length: 60 * SECOND, kept: 2 * DAY },
    Tier { length: 3_600 * SECOND, kept: 90 * DAY },
    Tier { length: DAY, kept: 3_653 * DAY },
];

/// What a bucket holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Its first instant.
    pub start: Millis,
    /// Members at its end.
    pub size: u64,
    /// Who entered in it.
    pub entered: u64,
    /// Who left in it.
    pub left: u64,
}

impl Bucket {
    /// Members at its beginning.
    pub fn size_before(&self) -> u64 {
        (self.size + self.left).saturating_sub(self.entered)
    }

    /// As it is noted, but for its start, which is in the key.
    pub fn encode(&self) -> Vec<u8> {
        [self.size, self.entered, self.left].into_iter().flat_map(u64::to_be_bytes).collect()
    }

    /// Reads what was encoded.
    pub fn decode(start: Millis, bytes: &[u8]) -> Option<Bucket> {
        let mut numbers = bytes.chunks_exact(8).map(|bytes| bytes.try_into().map(u64::from_be_bytes));
        let mut next = || numbers.next()?.ok();
        let (size, entered, left) = (next()?, next()?, next()?);
        (bytes.len() == 24).then_some(Bucket { start, size, entered, left })
    }
}

/// The bucket of a tier that an instant is in.
pub fn start_of(at: Millis, tier: &Tier) -> Millis {
    at.div_euclid(tier.length) * tier.length
}

/// Of each tier, from when to when it is read as of now: what is older is read in coarser buckets.
pub fn ranges(now: Millis) -> [(Millis, Millis); TIERS.len()] {
    let mut ranges = [(Millis::MIN, Millis::MAX); TIERS.len()];
    for tier in 0..TIERS.len() - 1 {
        let coarser = &TIERS[tier + 1];
        // No bucket of either is cut in two there.
        let cut = start_of(now - TIERS[tier].kept + coarser.length - 1, coarser);
        ranges[tier].0 = cut;
        ranges[tier + 1].1 = cut;
    }
    ranges
}

/// Before when a tier's buckets are of no use any more.
pub fn forgotten_before(now: Millis, tier: usize) -> Millis {
    let spare = TIERS.get(tier + 1).map_or(0, |coarser| coarser.length);
    now - TIERS[tier].kept - spare
}

/// Points as they are asked for, one a step: buckets in order, from the first one behind the beginning up to now, where
/// there are `size` members. Where the last point is now, it has everything.
pub fn points(buckets: &[Bucket], size: u64, query: &SizeQuery, now: Millis) -> Vec<SizePoint> {
    let SizeQuery { from, to, step } = *query;
    let last = if to + SECOND >= now { Millis::MAX } else { to };
    let mut known = buckets.first().map_or(size, Bucket::size_before);
    let mut buckets = buckets.iter().peekable();
    let mut points = Vec::new();
    let mut end = from.div_euclid(step) * step + step;
    loop {
        let (mut entered, mut left) = (0, 0);
        while let Some(bucket) = buckets.next_if(|bucket| bucket.start < if end >= to { last } else { end }) {
            entered += bucket.entered;
            left += bucket.left;
            known = bucket.size;
        }
        points.push(SizePoint { at: format_time(end.min(to)), size: known, entered, left });
        if end >= to {
            return points;
        }
        end += step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_meet_without_gap_and_are_kept_as_long_as_they_are_read() {
        for now in [0, 1_700_000_000_123, 1_763_762_400_000] {
            let ranges = ranges(now);
            for tier in 0..TIERS.len() {
                assert!(tier == 0 || TIERS[tier].length % TIERS[tier - 1].length == 0);
                assert!(forgotten_before(now, tier) <= ranges[tier].0 || tier == TIERS.len() - 1);
                if let Some((from, to)) = ranges.get(tier + 1) {
                    assert_eq!(*to, ranges[tier].0);
                    assert!(from < to && to % TIERS[tier].length == 0 && to % TIERS[tier + 1].length == 0);
                }
            }
        }
    }

    #[test]
    fn points_say_what_was_between_them() {
        let bucket = |start, size, entered, left| Bucket { start, size, entered, left };
        let buckets = [bucket(100, 12, 3, 1), bucket(110, 11, 0, 1), bucket(150, 20, 9, 0)];
        let seen: Vec<_> = points(&buckets, 20, &SizeQuery { from: 95, to: 165, step: 20 }, 9_000)
            .into_iter()
            .map(|p| (p.size, p.entered, p.left))
            .collect();
        assert_eq!(seen, [(10, 0, 0), (11, 3, 2), (11, 0, 0), (20, 9, 0), (20, 0, 0)]);
        let now = points(&buckets, 20, &SizeQuery { from: 95, to: 120, step: 20 }, 121);
        assert_eq!(now.last().map(|point| (point.size, point.entered)), Some((20, 12)));
        let none: Vec<_> = points(&[], 7, &SizeQuery { from: 0, to: 25, step: 10 }, 9_000)
            .into_iter()
            .map(|p| (p.at, p.size))
            .collect();
        assert_eq!(none.len(), 3);
        assert!(none[2].0.contains("00.025") && none.iter().all(|(_, size)| *size == 7), "{none:?}");
        assert_eq!(Bucket::decode(5, &bucket(5, 1, 2, 3).encode()), Some(bucket(5, 1, 2, 3)));
    }
}

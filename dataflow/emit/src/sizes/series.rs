//! One segment's size over time, in buckets of several lengths.

use audience_protocol::{GrowthSince, SizePoint, SizeQuery};
use audience_rules::ast::Millis;
use audience_rules::time::format_time;

const SECOND: Millis = 1_000;
const DAY: Millis = 24 * 3_600 * SECOND;

/// The length of a bucket, and the time for which it is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tier {
    /// Milliseconds.
    pub length: Millis,
    /// Milliseconds.
    pub kept: Millis,
}

/// From fine to coarse; each length is a multiple of the one before.
pub(super) const TIERS: [Tier; 4] = [
    Tier { length: 10 * SECOND, kept: DAY / 12 },
    Tier { length: 60 * SECOND, kept: 2 * DAY },
    Tier { length: 3_600 * SECOND, kept: 90 * DAY },
    Tier { length: DAY, kept: 3_653 * DAY },
];

/// A bucket: a stretch of time with what happened in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Its first instant.
    pub start: Millis,
    /// Members at its end.
    pub size: u64,
    /// The users who entered in it.
    pub entered: u64,
    /// The users who left in it.
    pub left: u64,
    /// The instant at which an edit of rules or lists last changed memberships in it.
    pub edited_at: Option<Millis>,
    /// The users who entered and who left after that; without an edit, all who did.
    pub since_edit: (u64, u64),
}

/// The mark of a bucket without an edit.
const NO_EDIT: u64 = u64::MAX;

impl Bucket {
    /// Returns the members at its beginning.
    pub fn size_before(&self) -> u64 {
        (self.size + self.left).saturating_sub(self.entered)
    }

    /// Counts a user who entered or left, by an edit or not; `size` are the members then.
    pub fn count(&mut self, is_entered: bool, is_edit: bool, at: Millis, size: u64) {
        self.size = size;
        *(if is_entered { &mut self.entered } else { &mut self.left }) += 1;
        if is_edit {
            (self.edited_at, self.since_edit) = (Some(at), (0, 0));
        } else {
            *(if is_entered { &mut self.since_edit.0 } else { &mut self.since_edit.1 }) += 1;
        }
    }

    /// Returns what is noted, without the start, which is in the key.
    pub fn encode(&self) -> Vec<u8> {
        let edited_at = self.edited_at.and_then(|at| u64::try_from(at).ok()).unwrap_or(NO_EDIT);
        let (entered, left) = self.since_edit;
        let numbers = [self.size, self.entered, self.left, edited_at, entered, left];
        numbers.into_iter().flat_map(u64::to_be_bytes).collect()
    }

    /// Reads what was encoded. A bucket of three numbers is older than the distinction of edits.
    pub fn decode(start: Millis, bytes: &[u8]) -> Option<Bucket> {
        let mut numbers = bytes.chunks_exact(8).map(|bytes| bytes.try_into().map(u64::from_be_bytes));
        let mut next = || numbers.next()?.ok();
        let (size, entered, left) = (next()?, next()?, next()?);
        let bucket = Bucket { start, size, entered, left, edited_at: None, since_edit: (entered, left) };
        match bytes.len() {
            24 => Some(bucket),
            48 => {
                let (edited_at, since_edit) = (next()?, (next()?, next()?));
                Some(Bucket { edited_at: Millis::try_from(edited_at).ok(), since_edit, ..bucket })
            }
            _ => None,
        }
    }
}

/// Returns the start of the bucket of that length that contains an instant.
pub(super) fn start_of(at: Millis, length: Millis) -> Millis {
    at.div_euclid(length) * length
}

/// Returns the first instant after a bucket, as it is read now.
pub(super) fn end_of(bucket: &Bucket, now: Millis) -> Millis {
    let is_in = |(from, to): &(Millis, Millis)| (*from..*to).contains(&bucket.start);
    let tier = ranges(now).iter().position(is_in).unwrap_or_default();
    bucket.start + TIERS[tier].length
}

/// Returns the time for which each tier is read now: older times are read in coarser buckets.
pub(super) fn ranges(now: Millis) -> [(Millis, Millis); TIERS.len()] {
    let mut ranges = [(Millis::MIN, Millis::MAX); TIERS.len()];
    for tier in 0..TIERS.len() - 1 {
        let coarser = &TIERS[tier + 1];
        // No bucket of either is cut in two there.
        let cut = start_of(now - TIERS[tier].kept + coarser.length - 1, coarser.length);
        ranges[tier].0 = cut;
        ranges[tier + 1].1 = cut;
    }
    ranges
}

/// Returns the instant before which a tier's buckets are of no use any more.
pub(super) fn forgotten_before(now: Millis, tier: usize) -> Millis {
    let spare = TIERS.get(tier + 1).map_or(0, |coarser| coarser.length);
    now - TIERS[tier].kept - spare
}

/// Returns how a segment has grown since then to `size` members by what people do: counted from after the last edit that
/// changed memberships, if there was one. Nothing is known of the time before `known_from`.
pub(super) fn growth(buckets: &[Bucket], size: u64, since: Millis, known_from: Millis) -> GrowthSince {
    let buckets = &buckets[buckets.partition_point(|bucket| bucket.start < since)..];
    let edited = buckets.iter().rposition(|bucket| bucket.edited_at.is_some()).unwrap_or_default();
    let (mut entered, mut left) = (0, 0);
    for bucket in &buckets[edited..] {
        entered += bucket.since_edit.0;
        left += bucket.since_edit.1;
    }
    let edited_at = buckets.get(edited).and_then(|bucket| bucket.edited_at);
    let size_then = (size + left).saturating_sub(entered);
    let net = size as i64 - size_then as i64;
    GrowthSince {
        since: format_time(edited_at.unwrap_or(since.max(known_from))),
        size_then,
        entered,
        left,
        net,
        percent: (size_then > 0).then(|| 100.0 * net as f64 / size_then as f64),
    }
}

/// Returns one point per step: `buckets` are in order, from the first one after the beginning up to now, when there are `size`
/// members. A last point at now has everything.
pub(super) fn points(buckets: &[Bucket], size: u64, query: &SizeQuery, now: Millis) -> Vec<SizePoint> {
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
        let bucket = |start, size, entered, left| Bucket {
            start,
            size,
            entered,
            left,
            edited_at: None,
            since_edit: (entered, left),
        };
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
    }

    #[test]
    fn what_is_noted_is_read_again() {
        let mut bucket = Bucket { start: 5, ..Bucket::default() };
        for (is_entered, is_edit, size) in [(true, true, 1), (true, false, 2), (true, false, 3), (false, false, 2)] {
            bucket.count(is_entered, is_edit, 7, size);
        }
        assert_eq!((bucket.size, bucket.entered, bucket.left), (2, 3, 1));
        assert_eq!((bucket.edited_at, bucket.since_edit), (Some(7), (2, 1)));
        let noted = bucket.encode();
        assert_eq!(Bucket::decode(5, &noted), Some(bucket));
        let short = Bucket { edited_at: None, since_edit: (3, 1), ..bucket };
        assert_eq!(Bucket::decode(5, &noted[..24]), Some(short), "of before edits were told apart");
        assert_eq!(Bucket::decode(5, &short.encode()), Some(short));
        assert_eq!(Bucket::decode(5, &noted[..32]), None);
    }

    #[test]
    fn growth_is_what_people_do_behind_the_last_edit() {
        let of = |start, size, entered, left| Bucket {
            start,
            size,
            entered,
            left,
            edited_at: None,
            since_edit: (entered, left),
        };
        let edited = Bucket { start: 200, size: 52, entered: 43, left: 2, edited_at: Some(207), since_edit: (3, 1) };
        let buckets = [of(100, 11, 1, 0), edited, of(300, 49, 0, 3)];
        let seen = |growth: GrowthSince| (growth.since, growth.size_then, growth.entered, growth.left, growth.net);
        assert_eq!(seen(growth(&buckets, 49, 90, 0)), (format_time(207), 50, 3, 4, -1));
        assert_eq!(seen(growth(&buckets, 49, 250, 0)), (format_time(250), 52, 0, 3, -3));
        assert_eq!(seen(growth(&buckets[..1], 11, 90, 0)), (format_time(90), 10, 1, 0, 1));
        assert_eq!(seen(growth(&buckets[..1], 11, 90, 95)), (format_time(95), 10, 1, 0, 1), "nothing is known before");
        assert_eq!(seen(growth(&[], 7, 90, 0)), (format_time(90), 7, 0, 0, 0));
        assert_eq!(growth(&buckets, 49, 90, 0).percent, Some(-2.0));
        assert_eq!(growth(&[of(100, 3, 3, 0)], 3, 0, 0).percent, None, "of nobody");
    }
}

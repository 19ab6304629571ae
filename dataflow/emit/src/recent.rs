//! The newest ticks of the change log in memory, each decoded once for all of its followers.

use std::collections::VecDeque;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::{Arc, OnceLock};

use audience_contract::changes::{self, ChangeRef, ChangesError};
use audience_contract::{Cause, ChangeKind};
use hashbrown::HashMap;

/// Membership changes in memory at most: a follower that lags more reads the change log.
pub(crate) const RECENT_CHANGES: usize = 65_536;

/// A queue of the newest ticks that have changes, without a gap, bounded by the number of changes.
#[derive(Debug)]
pub(crate) struct RecentTicks {
    ticks: VecDeque<Arc<RecentTick>>,
    changes: usize,
    /// Every tick after this one that has changes is here.
    after: u64,
}

impl RecentTicks {
    /// An empty queue, complete after that tick.
    pub(crate) fn new(after: u64) -> RecentTicks {
        RecentTicks { ticks: VecDeque::new(), changes: 0, after }
    }

    /// Adds the next tick that has changes. The oldest ones go, and so does one that alone is too large.
    pub(crate) fn push(&mut self, tick: RecentTick) {
        self.changes += tick.count;
        self.ticks.push_back(Arc::new(tick));
        while self.changes > RECENT_CHANGES
            && let Some(oldest) = self.ticks.pop_front()
        {
            self.changes -= oldest.count;
            self.after = oldest.number;
        }
    }

    /// Returns those of the ticks that have changes, if every one of them is here; `ticks` ends at the newest tick or
    /// before.
    pub(crate) fn get(&self, ticks: &RangeInclusive<u64>) -> Option<Vec<Arc<RecentTick>>> {
        if *ticks.start() <= self.after {
            return None;
        }
        let first = self.ticks.partition_point(|tick| tick.number < *ticks.start());
        let end = self.ticks.partition_point(|tick| tick.number <= *ticks.end());
        Some(self.ticks.range(first..end.max(first)).cloned().collect())
    }
}

/// One tick's changes.
#[derive(Debug)]
pub(crate) struct RecentTick {
    number: u64,
    count: usize,
    bytes: Vec<u8>,
    decoded: OnceLock<Result<DecodedTick, ChangesError>>,
}

impl RecentTick {
    /// The changes of a tick as they are in the change log, `count` of them.
    pub(crate) fn new(number: u64, bytes: Vec<u8>, count: usize) -> RecentTick {
        RecentTick { number, count, bytes, decoded: OnceLock::new() }
    }

    /// The tick's number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the changes. The first caller decodes them.
    pub(crate) fn decoded(&self) -> Result<&DecodedTick, ChangesError> {
        self.decoded.get_or_init(|| DecodedTick::of(&self.bytes)).as_ref().map_err(|error| *error)
    }
}

/// The changes of a tick in the form in which all followers read them: nothing is allocated for a single change.
#[derive(Debug, Default)]
pub(crate) struct DecodedTick {
    /// The ids of users, one after the other.
    ids: String,
    segments: Vec<(Arc<str>, u64)>,
    changes: Vec<DecodedChange>,
}

#[derive(Debug)]
struct DecodedChange {
    /// The range of the user's id.
    id: (u32, u32),
    segment: u32,
    at: i64,
    change: ChangeKind,
    cause: Cause,
}

impl DecodedTick {
    fn of(bytes: &[u8]) -> Result<DecodedTick, ChangesError> {
        let mut tick = DecodedTick::default();
        let mut numbers: HashMap<(Arc<str>, u64), u32> = HashMap::new();
        let mut user_before: Option<*const u8> = None;
        changes::visit(bytes, &mut |change| {
            let last = tick.changes.last().map(|last| (last.id, last.segment));
            // The same place in the bytes is the same user.
            let place = change.user_id.as_ptr();
            let id = match last {
                Some((id, _)) if user_before == Some(place) && !change.user_id.is_empty() => id,
                _ => {
                    let start = tick.ids.len() as u32;
                    tick.ids.push_str(change.user_id);
                    (start, tick.ids.len() as u32)
                }
            };
            user_before = Some(place);
            let is_same = |number: u32| {
                let (id, version) = &tick.segments[number as usize];
                id == change.segment_id && *version == change.version
            };
            let segment = match last {
                Some((_, number)) if is_same(number) => number,
                _ => *numbers.entry((change.segment_id.clone(), change.version)).or_insert_with(|| {
                    tick.segments.push((change.segment_id.clone(), change.version));
                    tick.segments.len() as u32 - 1
                }),
            };
            let ChangeRef { change, at, cause, .. } = change;
            tick.changes.push(DecodedChange { id, segment, at, change, cause });
            ControlFlow::Continue(())
        })?;
        Ok(tick)
    }

    /// Visits the changes in their order, until `take` breaks off.
    pub(crate) fn visit(&self, take: &mut dyn FnMut(ChangeRef<'_>) -> ControlFlow<()>) {
        for change in &self.changes {
            let DecodedChange { id: (start, end), segment, at, change, cause } = *change;
            let (segment_id, version) = &self.segments[segment as usize];
            let user_id = &self.ids[start as usize..end as usize];
            if take(ChangeRef { user_id, segment_id, change, at, version: *version, cause }).is_break() {
                return;
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use audience_contract::MembershipChange;
    use audience_contract::changes::{ChangeNames, NumberedChange};

    use super::*;

    struct RecentNumbers;

    impl ChangeNames for RecentNumbers {
        fn user(&self, number: u32) -> &str {
            ["ann", "bob", "cid"][number as usize % 3]
        }

        fn segment(&self, number: u32) -> (Arc<str>, u64) {
            let (id, version) = [("s", 1), ("t", 2)][number as usize % 2];
            (id.into(), version)
        }
    }

    /// So many changes, as two workers have them.
    pub(crate) fn encoded(count: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for numbers in [0..count / 2, count / 2..count] {
            let change = |number: u32| NumberedChange {
                user: number / 2 % 3,
                segment: number / 4 % 2,
                change: if number.is_multiple_of(3) { ChangeKind::Left } else { ChangeKind::Entered },
                at: i64::from(number),
                cause: Cause::Event,
            };
            changes::encode(numbers.map(change), &RecentNumbers, &mut bytes);
        }
        bytes
    }

    fn numbers(ticks: &RecentTicks, range: RangeInclusive<u64>) -> Option<Vec<u64>> {
        ticks.get(&range).map(|ticks| ticks.iter().map(|tick| tick.number).collect())
    }

    #[test]
    fn a_decoded_tick_has_the_changes_of_its_blocks() {
        let bytes = encoded(101);
        let tick = RecentTick::new(7, bytes.clone(), 101);
        let mut found: Vec<MembershipChange> = Vec::new();
        tick.decoded().expect("it is decoded").visit(&mut |change| {
            change.append_to(&mut found);
            ControlFlow::Continue(())
        });
        assert_eq!(Ok(found), changes::decode(&bytes));
        assert_eq!(tick.decoded().expect("it is decoded").segments.len(), 2, "segments are shared among workers");
        assert_eq!(RecentTick::new(7, vec![1], 1).decoded().err(), Some(ChangesError::Damaged));
    }

    /// Blocks that are read one after the other may have their segments at the same place in memory.
    #[test]
    fn segments_are_told_apart_over_many_blocks() {
        let mut bytes = Vec::new();
        for number in [0, 4, 0, 4, 4, 0, 0, 4] {
            let change = NumberedChange {
                user: number,
                segment: number / 4,
                change: ChangeKind::Entered,
                at: 0,
                cause: Cause::Event,
            };
            changes::encode(std::iter::once(change), &RecentNumbers, &mut bytes);
        }
        let tick = RecentTick::new(1, bytes.clone(), 8);
        let mut found: Vec<MembershipChange> = Vec::new();
        tick.decoded().expect("it is decoded").visit(&mut |change| {
            change.append_to(&mut found);
            ControlFlow::Continue(())
        });
        assert_eq!(Ok(found), changes::decode(&bytes));
    }

    #[test]
    fn only_ticks_that_are_all_there_are_given() {
        let mut ticks = RecentTicks::new(10);
        assert_eq!(numbers(&ticks, 11..=12), Some(vec![]));
        assert_eq!(numbers(&ticks, 10..=12), None);
        let third = RECENT_CHANGES / 3;
        for tick in [12, 13, 17] {
            ticks.push(RecentTick::new(tick, Vec::new(), third));
        }
        assert_eq!(numbers(&ticks, 11..=17), Some(vec![12, 13, 17]));
        assert_eq!(numbers(&ticks, 13..=16), Some(vec![13]));
        assert_eq!(numbers(&ticks, RangeInclusive::new(18, 17)), Some(vec![]));
        ticks.push(RecentTick::new(18, Vec::new(), third));
        assert_eq!(numbers(&ticks, 12..=18), None, "the oldest is gone");
        assert_eq!(numbers(&ticks, 13..=18), Some(vec![13, 17, 18]));
        ticks.push(RecentTick::new(20, Vec::new(), RECENT_CHANGES + 1));
        assert_eq!((numbers(&ticks, 20..=20), numbers(&ticks, 21..=21)), (None, Some(vec![])), "one is too large");
        ticks.push(RecentTick::new(22, Vec::new(), RECENT_CHANGES));
        assert_eq!(numbers(&ticks, 21..=22), Some(vec![22]));
    }
}

//! A rule of which every leaf compares with numbers, for looking at many users at once.
//!
//! Law: it gives the answer of `holds`. A value that is neither a number nor missing is tested as in any other rule.
//! Cost: mostly that of fetching users' cells from memory. A block of users is therefore fetched before the first of them is
//! looked at, and the leaf that bars most users is looked at first.

use std::hint::black_box;
use std::ops::Range;
use std::sync::Arc;

use audience_rules::ast::{Millis, Test};

use crate::cell::Cell;
use crate::measure::MeasureId;
use crate::program::TABLE_LEAVES;
use crate::reading::Reading;
use crate::registry::{PredicateKind, Registry, Rule};

use super::column::BY_ROW;
use super::leaf::{MISSING, NumberInterval, position, position_of_units};
use super::plan::{RowView, needs};
use super::rows::{UserRows, UserSlot};

/// Users that are fetched together.
pub(super) const BLOCK: u32 = 32;
/// Users that tell which leaf bars most.
const SAMPLE: usize = 128;

/// Users whose numbers are compared together, a bit each.
pub(super) const LANES: usize = 64;

/// The positions of users' numbers in a measure: at most [`LANES`].
pub(super) struct Lanes<'a> {
    places: &'a [i64],
    /// A bit for each user whom only the row tells about.
    by_row: u64,
}

impl<'a> Lanes<'a> {
    /// The lanes of consecutive users; those without a place are told by their rows.
    pub(super) fn of(places: &'a [i64]) -> Lanes<'a> {
        let behind = u64::MAX.checked_shl(places.len() as u32).unwrap_or(0);
        let known = places.iter().rev().fold(0, |by_row, place| by_row << 1 | u64::from(*place == BY_ROW));
        Lanes { places, by_row: known | behind }
    }
}

struct NumberLeaf {
    interval: NumberInterval,
    test: Arc<Test>,
    /// Its place in the table.
    index: usize,
    /// True if the rule cannot hold without it.
    is_needed: bool,
}

impl NumberLeaf {
    fn holds(&self, RowView { registry, user, now, .. }: RowView<'_>) -> bool {
        let cell = user.cell(self.interval.measure).map(|at| &user.cells[at]);
        if let Some(units) = cell.and_then(Cell::number_units) {
            return self.interval.holds(position_of_units(units));
        }
        let Some(definition) = registry.measures.get(self.interval.measure) else { return false };
        let reading = cell.map_or_else(|| definition.default.clone(), |cell| cell.reading(&definition.kind, now));
        match reading {
            Reading::Number(_) | Reading::Ratio(..) => self.interval.holds(position(&reading)),
            Reading::Missing => self.interval.holds(MISSING),
            _ => reading.holds(&self.test, now),
        }
    }

    /// Reads what it is about to look at, for nothing but that it is near then.
    fn fetch(&self, user: &UserSlot) -> u64 {
        user.cell(self.interval.measure).map_or(0, |at| user.cells[at].fetch())
    }
}

/// A rule of numbers.
pub(super) struct NumberRule {
    table: u64,
    leaves: Vec<NumberLeaf>,
}

impl NumberRule {
    /// `None` where the rule is not of that form.
    pub(super) fn of(registry: &Registry, rule: &Rule) -> Option<NumberRule> {
        let table = rule.program.table?;
        let count = rule.predicates.len();
        let leaf = |(index, predicate): (usize, &u32)| {
            let PredicateKind::Measured(measure, test) = &registry.predicates.get(*predicate)?.kind else {
                return None;
            };
            let (interval, test) = (NumberInterval::of(*measure, test)?, test.clone());
            Some(NumberLeaf { interval, test, index, is_needed: needs(table, count, index) })
        };
        Some(NumberRule { table, leaves: rule.predicates.iter().enumerate().map(leaf).collect::<Option<_>>()? })
    }

    /// Puts the needed leaves first that bar most of these.
    fn order_by<'a>(&mut self, sample: impl Iterator<Item = RowView<'a>> + Clone) {
        let passed = |leaf: &NumberLeaf| sample.clone().filter(|view| leaf.holds(*view)).count();
        self.leaves.sort_by_cached_key(|leaf| if leaf.is_needed { passed(leaf) } else { usize::MAX });
    }

    /// The measures that it asks, each once.
    pub(super) fn measures(&self) -> Vec<MeasureId> {
        let mut measures: Vec<MeasureId> = self.leaves.iter().map(|leaf| leaf.interval.measure).collect();
        measures.sort_unstable();
        measures.dedup();
        measures
    }

    /// Appends to `found` those of these users, at most [`LANES`], who fulfil it: by where their numbers stand in the
    /// measures, which `lanes` gives, or `by_row`.
    pub(super) fn find_in<'a>(
        &self,
        slots: Range<u32>,
        lanes: impl Fn(MeasureId) -> Lanes<'a>,
        by_row: impl Fn(u32) -> bool,
        found: &mut Vec<u32>,
    ) {
        let users = u64::MAX >> (LANES - slots.len());
        let (mut held, mut possible, mut unknown) = ([0; TABLE_LEAVES], users, 0);
        for leaf in &self.leaves {
            let lanes = lanes(leaf.interval.measure);
            unknown |= lanes.by_row & users;
            held[leaf.index] = leaf.interval.holds_in(lanes.places);
            if leaf.is_needed {
                possible &= held[leaf.index];
            }
            if possible & !unknown == 0 {
                break;
            }
        }
        let mut members = possible & !unknown & look_up(self.table, &held[..self.leaves.len()]);
        for lane in bits(unknown) {
            members |= u64::from(by_row(slots.start + lane)) << lane;
        }
        found.extend(bits(members).map(|lane| slots.start + lane));
    }

    pub(super) fn holds(&self, view: RowView<'_>) -> bool {
        let mut bits = 0u64;
        for leaf in &self.leaves {
            let holds = leaf.holds(view);
            if leaf.is_needed && !holds {
                return false;
            }
            bits |= u64::from(holds) << leaf.index;
        }
        self.table >> bits & 1 == 1
    }
}

impl UserRows {
    /// Fetches users who are about to be looked at: reads them without using it, so that one load need not wait for
    /// another.
    pub(super) fn fetch(&self, slots: impl Iterator<Item = u32>) {
        black_box(slots.map(|slot| touch(&self.users[slot as usize])).sum::<u32>());
    }

    /// The users among these who fulfil a rule.
    pub(super) fn find_by_numbers(&self, mut rule: NumberRule, slots: Range<u32>, now: Millis) -> Vec<u32> {
        let step = (slots.len() / SAMPLE).max(1);
        rule.order_by(slots.clone().step_by(step).map(|slot| self.view(slot, now)));
        let mut found = Vec::new();
        let mut block = slots.start;
        while block < slots.end {
            let end = slots.end.min(block + BLOCK);
            let users = &self.users[block as usize..end as usize];
            self.fetch(block..end);
            if let Some(first) = rule.leaves.first() {
                black_box(users.iter().map(|user| first.fetch(user)).fold(0, u64::wrapping_add));
            }
            let known = (block..end).zip(users).filter(|(_, user)| user.known);
            found.extend(known.map(|(slot, _)| slot).filter(|slot| rule.holds(self.view(*slot, now))));
            block = end;
        }
        found
    }
}

/// The places of the bits that are set.
fn bits(mut lanes: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let lane = lanes.trailing_zeros();
        lanes &= lanes.wrapping_sub(1);
        (lane < u64::BITS).then_some(lane)
    })
}

/// A table's answer in each lane, where the leaves hold so.
fn look_up(table: u64, held: &[u64]) -> u64 {
    let mut answers = [0; 1 << TABLE_LEAVES];
    let mut count = 1 << held.len();
    for (bits, answer) in answers[..count].iter_mut().enumerate() {
        *answer = 0u64.wrapping_sub(table >> bits & 1);
    }
    // Leaf by leaf, the last first, only those answers stay that are of what it holds.
    for lanes in held.iter().rev() {
        count /= 2;
        for at in 0..count {
            answers[at] = answers[at] & !lanes | answers[at + count] & lanes;
        }
    }
    answers[0]
}

/// Reads where a search of the user's cells begins.
fn touch(user: &UserSlot) -> u32 {
    let half = user.cells.len() / 2;
    [half, half / 2, half + half / 2].iter().filter_map(|at| user.cells.get(*at)).map(|cell| cell.measure()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_rule_looks_its_table_up_in_every_lane_as_for_one_user() {
        let mut draw = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            draw.rotate_left(31)
        };
        for leaves in (1..=TABLE_LEAVES).cycle().take(60) {
            let (table, held) = (next(), (0..leaves).map(|_| next()).collect::<Vec<u64>>());
            let answers = look_up(table, &held);
            for lane in 0..LANES {
                let of_user = held.iter().rev().fold(0, |bits, lanes| bits << 1 | lanes >> lane & 1);
                assert_eq!(answers >> lane & 1, table >> of_user & 1, "{table:x} {held:x?} {lane}");
            }
        }
    }
}

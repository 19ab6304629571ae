//! A rule of which every leaf tests a number, for looking at many users at once.
//!
//! Law: gives what `holds` would give. Cost: mostly that of fetching a user's cells from memory, which is why a block of
//! users is fetched before the first of them is looked at, and why the leaf that bars most users is looked at first.

use std::hint::black_box;
use std::ops::Range;

use audience_rules::ast::Millis;

use crate::registry::{Registry, Rule};

use super::plan::{Interval, Subject, needs};
use super::{Partition, User};

/// Users that are fetched together.
const BLOCK: u32 = 32;
/// Users that tell which leaf bars most.
const SAMPLE: usize = 128;

struct NumberLeaf {
    interval: Interval,
    /// Its place in the table.
    index: usize,
    /// Whether the rule cannot hold without it.
    is_needed: bool,
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
            let interval = Interval::of_predicate(registry, *predicate)?;
            Some(NumberLeaf { interval, index, is_needed: needs(table, count, index) })
        };
        Some(NumberRule { table, leaves: rule.predicates.iter().enumerate().map(leaf).collect::<Option<_>>()? })
    }

    /// Puts the needed leaves first that bar most of these.
    fn order_by<'a>(&mut self, sample: impl Iterator<Item = Subject<'a>> + Clone) {
        let passed = |leaf: &NumberLeaf| {
            sample.clone().filter(|subject| leaf.interval.holds(subject.position(leaf.interval.measure))).count()
        };
        self.leaves.sort_by_cached_key(|leaf| if leaf.is_needed { passed(leaf) } else { usize::MAX });
    }

    fn holds(&self, subject: Subject<'_>) -> bool {
        let mut bits = 0u64;
        for NumberLeaf { interval, index, is_needed } in &self.leaves {
            let holds = interval.holds(subject.position(interval.measure));
            if *is_needed && !holds {
                return false;
            }
            bits |= u64::from(holds) << index;
        }
        self.table >> bits & 1 == 1
    }
}

impl Partition {
    /// The users among these who fulfil a rule.
    pub(super) fn find_by_numbers(&self, mut rule: NumberRule, slots: Range<u32>, now: Millis) -> Vec<u32> {
        let step = (slots.len() / SAMPLE).max(1);
        rule.order_by(slots.clone().step_by(step).map(|slot| self.subject(slot, now)));
        let mut found = Vec::new();
        let mut block = slots.start;
        while block < slots.end {
            let end = slots.end.min(block + BLOCK);
            let users = &self.users[block as usize..end as usize];
            // Read without using it: the loads of a block do not wait for each other.
            black_box(users.iter().map(touch).sum::<u32>());
            let known = (block..end).zip(users).filter(|(_, user)| user.known);
            found.extend(known.map(|(slot, _)| slot).filter(|slot| rule.holds(self.subject(*slot, now))));
            block = end;
        }
        found
    }
}

/// Reads where a search of the user's cells begins.
fn touch(user: &User) -> u32 {
    let half = user.cells.len() / 2;
    [half, half / 2, half + half / 2].iter().filter_map(|at| user.cells.get(*at)).map(|cell| cell.measure()).sum()
}

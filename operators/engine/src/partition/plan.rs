//! Rules of which every leaf tests a number, laid out so that one costs a few comparisons of words.
//!
//! Law: a planned rule gives what `evaluate_rule` would give. What is derived here is thrown away by every edit, and made
//! again when next needed. The members that it changes are noted down and entered together at the end of the tick, rule
//! by rule: nothing within a tick asks for them, since a rule that others refer to is not planned.

use audience_rules::ast::{Comparison, Condition, Millis, Test};

use crate::measure::MeasureId;
use crate::membership::Membership;
use crate::message::{Cause, Change};
use crate::reading::{Reading, cuts};
use crate::registry::{BitmapId, Question, Registry, Role, RuleId};

use super::settle::QUEUED;
use super::{Partition, Published};

/// Below all places; of what is missing.
const MISSING: i64 = i64::MIN;
/// The least and the greatest position of a number: those beyond are taken to be these. Bounds lie strictly between.
const LEAST: i64 = i64::MIN + 1;
const GREATEST: i64 = i64::MAX - 1;
/// More updates than this are put in the order of their bitmaps first.
const FEW_UPDATES: usize = 1024;

/// A test of a number: whether its position lies strictly between.
#[derive(Clone, Copy)]
struct Interval {
    low: i64,
    high: i64,
    measure: MeasureId,
    negated: bool,
}

impl Interval {
    /// `None` where the test is not of that form.
    fn of(measure: MeasureId, test: &Test) -> Option<Interval> {
        let places = cuts(test)?;
        let bound = |place: i128| i64::try_from(place).ok().filter(|bound| (LEAST + 1..GREATEST).contains(bound));
        let (low, high) = match (&test.condition, &places[..]) {
            (Condition::Compare(Comparison::Greater | Comparison::GreaterOrEqual, _), [place]) => {
                (bound(*place)?, i64::MAX)
            }
            (Condition::Compare(Comparison::Less | Comparison::LessOrEqual, _), [place]) => (MISSING, bound(*place)?),
            (Condition::Equals(_) | Condition::Between(..), [low, high]) => (bound(*low)?, bound(*high)?),
            _ => return None,
        };
        Some(Interval { low, high, measure, negated: test.negated })
    }

    fn holds(&self, position: i64) -> bool {
        ((self.low < position) & (position < self.high)) ^ self.negated
    }
}

/// Where a number stands among the bounds.
fn position(reading: &Reading) -> i64 {
    match reading.position() {
        Some(place) => place.clamp(i128::from(LEAST), i128::from(GREATEST)) as i64,
        None => MISSING,
    }
}

/// A planned rule; without leaves it is none.
#[derive(Clone, Copy, Default)]
struct Plan {
    table: u64,
    first_leaf: u32,
    leaves: u32,
    members: BitmapId,
    segment: u32,
}

/// All planned rules, by their numbers.
#[derive(Default)]
pub(super) struct Plans {
    rules: Vec<Plan>,
    leaves: Vec<Interval>,
    /// Of the user at hand, by measure, where the stamp is the latest.
    positions: Vec<(u64, i64)>,
    stamp: u64,
}

/// A member to be entered or removed.
#[derive(Clone, Copy, Default)]
pub(super) struct Update {
    bitmap: BitmapId,
    slot: u32,
    inside: bool,
}

impl Plans {
    fn of(registry: &Registry, published: &hashbrown::HashMap<audience_rules::ast::SegmentId, Published>) -> Plans {
        let mut plans = Plans { rules: vec![Plan::default(); registry.rules.bound()], ..Plans::default() };
        plans.positions.resize(registry.measures.bound(), (0, MISSING));
        for (id, rule) in registry.rules.iter() {
            let (Role::Published(segment), Some(table), u32::MAX) = (&rule.role, rule.program.table, rule.scanned)
            else {
                continue;
            };
            let Some(published) = published.get(segment) else { continue };
            if registry.segment_predicate(segment).is_some() {
                continue;
            }
            let interval = |predicate: &u32| match &registry.predicates.get(*predicate)?.question {
                Question::Measured(measure, test) if registry.measures.get(*measure)?.kind.is_plain_number() => {
                    Interval::of(*measure, test)
                }
                _ => None,
            };
            let Some(leaves) = rule.predicates.iter().map(interval).collect::<Option<Vec<Interval>>>() else {
                continue;
            };
            plans.rules[id as usize] = Plan {
                table,
                first_leaf: plans.leaves.len() as u32,
                leaves: leaves.len() as u32,
                members: rule.members,
                segment: published.index,
            };
            plans.leaves.extend(leaves);
        }
        plans
    }

    /// The leaves of a planned rule; `None` of another.
    fn of_rule(&self, id: RuleId) -> Option<Plan> {
        self.rules.get(id as usize).copied().filter(|plan| plan.leaves > 0)
    }

    /// Which leaves hold, given the measures' positions.
    fn bits(&mut self, plan: Plan, mut position_of: impl FnMut(MeasureId) -> i64) -> u64 {
        let Plans { leaves, positions, stamp, .. } = self;
        let first = plan.first_leaf as usize;
        let mut bits = 0;
        for (index, leaf) in leaves[first..first + plan.leaves as usize].iter().enumerate() {
            let known = &mut positions[leaf.measure as usize];
            if known.0 != *stamp {
                *known = (*stamp, position_of(leaf.measure));
            }
            bits |= u64::from(leaf.holds(known.1)) << index;
        }
        bits
    }
}

impl Partition {
    /// Evaluates what of the queue is planned, for one user.
    pub(super) fn evaluate_planned(&mut self, slot: u32, from_nothing: bool, now: Millis, cause: Cause) {
        let Partition { registry, published, plans, scratch, users, changes, updates, .. } = self;
        if scratch.queue.is_empty() {
            return;
        }
        let plans = plans.get_or_insert_with(|| Plans::of(registry, published));
        plans.stamp += 1;
        let user = &users[slot as usize];
        let position_of = |measure: MeasureId| {
            let Some(definition) = registry.measures.get(measure) else { return MISSING };
            match user.cell(measure) {
                Some(at) => position(&user.cells[at].reading(&definition.kind, now)),
                None => position(&definition.default),
            }
        };
        let marks = &mut scratch.marks;
        scratch.queue.retain(|id| {
            let Some(plan) = plans.of_rule(*id) else { return true };
            let flipped = std::mem::take(&mut marks[*id as usize]) & !QUEUED;
            let bits = plans.bits(plan, position_of);
            let is = plan.table >> bits & 1 == 1;
            let was = !from_nothing && plan.table >> (bits ^ u64::from(flipped)) & 1 == 1;
            if was != is {
                changes.push(Change { user: slot, segment: plan.segment, at: now, entered: is, cause });
                updates.push(Update { bitmap: plan.members, slot, inside: is });
            }
            false
        });
    }

    /// Enters the members noted down.
    pub(super) fn enter_updates(&mut self, membership: &mut Membership) {
        let enter = |membership: &mut Membership, update: &Update| {
            let bitmap = membership.bitmap_mut(update.bitmap);
            if update.inside {
                bitmap.insert(update.slot)
            } else {
                bitmap.remove(update.slot)
            };
        };
        if self.updates.len() > FEW_UPDATES {
            sort_by_bitmap(&self.updates, &mut self.scratch.sorted);
            self.scratch.sorted.iter().for_each(|update| enter(membership, update));
        } else {
            self.updates.iter().for_each(|update| enter(membership, update));
        }
        self.updates.clear();
    }
}

/// Puts updates in the order of their bitmaps; those of one bitmap stay in theirs.
fn sort_by_bitmap(updates: &[Update], sorted: &mut Vec<Update>) {
    let bound = updates.iter().map(|update| update.bitmap as usize + 1).max().unwrap_or(0);
    let mut places = vec![0usize; bound + 1];
    for update in updates {
        places[update.bitmap as usize + 1] += 1;
    }
    for bitmap in 1..places.len() {
        places[bitmap] += places[bitmap - 1];
    }
    sorted.clear();
    sorted.resize(updates.len(), Update::default());
    for update in updates {
        let place = &mut places[update.bitmap as usize];
        sorted[*place] = *update;
        *place += 1;
    }
}

#[cfg(test)]
mod tests {
    use audience_rules::ast::Literal;
    use audience_rules::decimal::Decimal;

    use super::*;

    /// The interval of a test holds exactly where the test does.
    #[test]
    fn intervals_agree_with_tests() {
        let number = |text: &str| Literal::Number(Decimal::parse(text).expect("a number"));
        let numbers = ["-1e18", "-3", "-0.000000001", "0", "0.000000001", "1", "2.5", "3", "2000000000", "1e18"];
        let mut readings = vec![Reading::Missing, Reading::Ratio(Decimal::from_units(10), 3)];
        readings.extend(numbers.iter().map(|text| Reading::Number(Decimal::parse(text).expect("a number"))));
        let mut conditions = Vec::new();
        for text in numbers {
            for comparison in
                [Comparison::Greater, Comparison::GreaterOrEqual, Comparison::Less, Comparison::LessOrEqual]
            {
                conditions.push(Condition::Compare(comparison, number(text)));
            }
            conditions.extend([Condition::Equals(number(text)), Condition::Between(number("-3"), number(text))]);
        }
        let mut planned = 0;
        for condition in conditions {
            for negated in [false, true] {
                let test = Test { negated, condition: condition.clone() };
                let Some(interval) = Interval::of(0, &test) else { continue };
                planned += 1;
                for reading in &readings {
                    assert_eq!(interval.holds(position(reading)), reading.holds(&test, 0), "{test:?} {reading:?}");
                }
            }
        }
        assert!(planned > 70, "{planned}");
    }

    #[test]
    fn updates_of_one_bitmap_stay_in_their_order() {
        let update = |bitmap, slot, inside| Update { bitmap, slot, inside };
        let updates = [update(2, 1, true), update(0, 1, true), update(2, 1, false), update(1, 5, true)];
        let mut sorted = Vec::new();
        sort_by_bitmap(&updates, &mut sorted);
        let found: Vec<_> = sorted.iter().map(|update| (update.bitmap, update.slot, update.inside)).collect();
        assert_eq!(found, [(0, 1, true), (1, 5, true), (2, 1, true), (2, 1, false)]);
    }
}

//! Plans: rules that only test measures, laid out so that one costs a few comparisons of small numbers.
//!
//! Law: a planned rule gives the answer of `evaluate_rule`. Every edit throws the plans away, and they are made again when
//! next needed. The members that they change are noted down and entered together at the end of the tick, rule by rule:
//! nothing within a tick asks for them, since a rule that others refer to is not planned.
//!
//! For each measure of numbers, the bounds at which some leaf changes are sorted. A reading falls into a *band* between
//! two bounds, and a leaf holds in a run of bands. A test of anything else, texts above all, is a *fact*: it is evaluated
//! when first asked for, and its band is 0 or 1. A leaf without which a rule cannot hold is its *guard*: if a guard neither
//! held before nor holds now, the rule is not looked at, whatever else of it changed.

use audience_rules::ast::{Millis, SegmentId};
use hashbrown::HashMap;
use roaring::RoaringBitmap;

use crate::measure::MeasureId;
use crate::membership::{MemberUpdate, Membership};
use crate::reading::Reading;
use crate::registry::{BitmapId, PredicateId, Registry, Rule, RuleId, RuleRole};

use super::WorkerOutput;
use super::band_table::BandTable;
use super::in_force::{PublishedSegment, RulesInForce};
use super::leaf::{BOUNDS, BandLeaf, MISSING, NumberInterval};
use super::rows::{UserRows, UserSlot};
use super::settle::{Evaluation, QUEUED, ReusedBuffers, SettledUser, queue};

/// The leaves of a truth table at most.
const LEAVES: usize = 6;
/// The guards of a use at most.
const GUARDS: usize = 3;

/// A planned rule; without leaves it is none.
#[derive(Clone, Copy, Default)]
struct RulePlan {
    table: u64,
    leaves: [BandLeaf; LEAVES],
    count: u8,
    /// True if it holds of a user of whom nothing is known.
    is_default: bool,
}

/// Returns whether a rule of so many leaves cannot hold without this one.
pub(super) fn needs(table: u64, leaves: usize, leaf: usize) -> bool {
    (0..1u64 << leaves).all(|bits| bits >> leaf & 1 == 1 || table >> bits & 1 == 0)
}

/// The bitmap and the segment that a planned rule changes.
#[derive(Clone, Copy, Default)]
struct PlanTarget {
    members: BitmapId,
    segment: u32,
}

/// A leaf's part in a rule.
#[derive(Clone, Copy, Default)]
struct LeafUse {
    rule: RuleId,
    /// The bit that it flips in the rule's mark.
    flips: u8,
    guard_count: u8,
    guards: [BandLeaf; GUARDS],
    /// The index of the next use whose first guard may hold although this one's band was too low.
    next_group: u32,
}

impl LeafUse {
    /// The order of the uses of one predicate: those whose first guard asks for a band of the same measure stand
    /// together, the lowest first.
    fn group(&self) -> (u8, u16, bool, u16) {
        let guard = self.guards[0];
        (self.guard_count.min(1), guard.measure, guard.is_upward(), guard.start)
    }
}

/// All planned rules, by their numbers, and what leads to them.
#[derive(Default)]
pub(super) struct RulePlans {
    rules: Vec<RulePlan>,
    targets: Vec<PlanTarget>,
    /// The range of the uses of each predicate.
    spans: Vec<(u32, u32)>,
    /// In the order of the measures and their bounds: what one event passes stands together.
    uses: Vec<LeafUse>,
    table: BandTable,
    /// Planned rules that hold of a user of whom nothing is known.
    defaults: Vec<RuleId>,
    /// Other rules that may.
    other_defaults: Vec<RuleId>,
}

/// One user at the current instant, as rules read it.
#[derive(Clone, Copy)]
pub(super) struct RowView<'a> {
    pub(super) registry: &'a Registry,
    pub(super) user: &'a UserSlot,
    /// The readings of touched measures from before.
    pub(super) touched: &'a [(MeasureId, Reading)],
    pub(super) now: Millis,
}

impl RulePlans {
    fn of(registry: &mut Registry, published: &HashMap<SegmentId, PublishedSegment>) -> RulePlans {
        let default_rules = registry.default_rules().to_vec();
        let registry = &*registry;
        let mut plans = RulePlans { rules: vec![RulePlan::default(); registry.rules.bound()], ..RulePlans::default() };
        plans.targets = vec![PlanTarget::default(); plans.rules.len()];
        plans.table = BandTable::of(registry);
        for (id, rule) in registry.rules.iter() {
            let Some((plan, target)) = plans.plan(registry, published, rule) else { continue };
            plans.rules[id as usize] = plan;
            plans.targets[id as usize] = target;
        }
        plans.lay_out_uses(registry);
        let nobody = UserSlot::default();
        let view = RowView { registry, user: &nobody, touched: &[], now: 0 };
        plans.table.begin_with_nothing();
        for rule in default_rules {
            match plans.of_rule(rule).map(|plan| plan.table) {
                Some(table) if table >> plans.bits(rule, view) & 1 == 1 => {
                    plans.defaults.push(rule);
                    plans.rules[rule as usize].is_default = true;
                }
                Some(_) => {}
                None => plans.other_defaults.push(rule),
            }
        }
        plans
    }

    fn plan(
        &self,
        registry: &Registry,
        published: &HashMap<SegmentId, PublishedSegment>,
        rule: &Rule,
    ) -> Option<(RulePlan, PlanTarget)> {
        let (RuleRole::Published(segment), Some(table), u32::MAX) = (&rule.role, rule.program.table, rule.scanned)
        else {
            return None;
        };
        if registry.segment_predicate(segment).is_some() || rule.predicates.len() > LEAVES {
            return None;
        }
        let mut plan = RulePlan { table, count: rule.predicates.len() as u8, ..RulePlan::default() };
        for (leaf, predicate) in plan.leaves.iter_mut().zip(&rule.predicates) {
            *leaf = match NumberInterval::of_predicate(registry, *predicate) {
                Some(interval) => {
                    let bounds = self.table.bounds(interval.measure).filter(|bounds| bounds.len() < BOUNDS)?;
                    BandLeaf::of(&interval, bounds)?
                }
                None => BandLeaf::of_fact(self.table.fact(*predicate)?)?,
            };
        }
        Some((plan, PlanTarget { members: rule.members, segment: published.get(segment)?.index }))
    }

    fn lay_out_uses(&mut self, registry: &Registry) {
        let mut order: Vec<(MeasureId, i64, PredicateId)> = Vec::new();
        for (id, predicate) in registry.predicates.iter() {
            if let Some(measure) = predicate.kind.measure() {
                let interval = NumberInterval::of_predicate(registry, id);
                order.push((measure, interval.and_then(|it| it.bounds().next()).unwrap_or(MISSING), id));
            }
        }
        order.sort_unstable();
        self.spans = vec![(0, 0); registry.predicates.bound()];
        for (_, _, id) in order {
            let Some(predicate) = registry.predicates.get(id) else { continue };
            let start = self.uses.len() as u32;
            let mut uses: Vec<LeafUse> =
                predicate.uses.iter().map(|(rule, leaf)| self.make_use(*rule, usize::from(*leaf))).collect();
            uses.sort_by_key(LeafUse::group);
            let mut next = start;
            for group in uses.chunk_by_mut(|one, other| {
                let ((has, measure, upward, _), other) = (one.group(), other.group());
                (has, measure, upward) == (other.0, other.1, other.2)
            }) {
                next += group.len() as u32;
                group.iter_mut().for_each(|member| member.next_group = next);
            }
            self.uses.append(&mut uses);
            self.spans[id as usize] = (start, self.uses.len() as u32);
        }
    }

    fn make_use(&self, rule: RuleId, leaf: usize) -> LeafUse {
        let mut made = LeafUse { rule, flips: if leaf < LEAVES { 1 << leaf } else { 0 }, ..LeafUse::default() };
        let plan = &self.rules[rule as usize];
        let mut needed: Vec<(f32, BandLeaf)> = (0..usize::from(plan.count))
            .filter(|other| *other != leaf && needs(plan.table, usize::from(plan.count), *other))
            .map(|other| plan.leaves[other])
            .map(|other| (other.share(self.table.bounds(other.measure.into()).map_or(0, <[i64]>::len) + 2), other))
            .collect();
        // Those that hold of the fewest first: they spare the others.
        needed.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        for (guard, (_, leaf)) in made.guards.iter_mut().zip(&needed) {
            *guard = *leaf;
            made.guard_count += 1;
        }
        made
    }

    /// The rule where it is planned.
    fn of_rule(&self, id: RuleId) -> Option<&RulePlan> {
        self.rules.get(id as usize).filter(|plan| plan.count > 0)
    }

    /// Queues the rules that a flipped predicate may change.
    fn mark(&mut self, predicate: PredicateId, view: RowView<'_>, marks: &mut Vec<u8>, marked: &mut Vec<RuleId>) {
        let Some((start, end)) = self.spans.get(predicate as usize).copied() else { return };
        let RulePlans { uses, table, .. } = self;
        let mut index = start;
        while index < end {
            let found = &uses[index as usize];
            index += 1;
            let guards = &found.guards[..usize::from(found.guard_count)];
            let barring = guards.iter().position(|guard| {
                let ranks = table.of_measure(guard.measure, view);
                !guard.holds(ranks.before) && !guard.holds(ranks.now)
            });
            match barring {
                None => queue(marks, marked, found.rule, found.flips),
                // The later ones ask for more of the same.
                Some(0) if guards[0].is_upward() => index = found.next_group,
                Some(_) => {}
            }
        }
    }

    /// Returns the leaves of a rule that hold now, a bit each.
    fn bits(&mut self, id: RuleId, view: RowView<'_>) -> u64 {
        let RulePlans { rules, table, .. } = self;
        let RulePlan { leaves, count, .. } = &rules[id as usize];
        leaves[..usize::from(*count)].iter().enumerate().fold(0, |bits, (index, leaf)| {
            bits | u64::from(leaf.holds(table.of_measure(leaf.measure, view).now)) << index
        })
    }
}

/// The bounds of every measure, sorted.
pub(super) fn bounds(registry: &Registry) -> Vec<Vec<i64>> {
    let mut bounds: Vec<Vec<i64>> = vec![Vec::new(); registry.measures.bound()];
    for (id, _) in registry.predicates.iter() {
        if let Some(interval) = NumberInterval::of_predicate(registry, id) {
            bounds[interval.measure as usize].extend(interval.bounds());
        }
    }
    for bounds in &mut bounds {
        bounds.sort_unstable();
        bounds.dedup();
    }
    bounds
}

impl UserRows {
    /// A user, now.
    pub(super) fn view(&self, slot: u32, now: Millis) -> RowView<'_> {
        RowView { registry: &self.registry, user: &self.users[slot as usize], touched: &[], now }
    }
}

impl Evaluation {
    /// Queues the rules that these predicates, flipped by the touched measures, may change.
    pub(super) fn mark_flips(
        &mut self,
        rows: &mut UserRows,
        in_force: &RulesInForce,
        slot: u32,
        flips: &[PredicateId],
        now: Millis,
    ) {
        let UserRows { registry, users, touched, .. } = rows;
        let plans = self.plans.get_or_insert_with(|| RulePlans::of(registry, &in_force.published));
        if flips.is_empty() {
            return plans.table.begin_with_nothing();
        }
        let ReusedBuffers { marks, queue, .. } = &mut self.buffers;
        let view = RowView { registry, user: &users[slot as usize], touched, now };
        plans.table.begin(view);
        for predicate in flips {
            plans.mark(*predicate, view, marks, queue);
        }
    }

    /// Enters a user who has just become known into the planned rules that hold without any event and have no flipped leaf.
    /// Queues the rules that may hold and are not planned.
    pub(super) fn appear(&mut self, user: SettledUser, output: &mut WorkerOutput) {
        let Evaluation { plans, buffers, appeared, .. } = self;
        let Some(plans) = plans else { return };
        for rule in &plans.other_defaults {
            queue(&mut buffers.marks, &mut buffers.queue, *rule, 0);
        }
        if plans.defaults.is_empty() {
            return;
        }
        appeared.push(user.slot);
        for rule in &plans.defaults {
            if buffers.marks.get(*rule as usize).is_none_or(|mark| *mark == 0) {
                output.changes.push(user.change(plans.targets[*rule as usize].segment, true));
            }
        }
    }

    /// Evaluates what of the queue is planned, for one user. Planned rules are queued after
    /// [`mark_flips`](Self::mark_flips) only, for the same user and instant.
    pub(super) fn evaluate_planned(
        &mut self,
        rows: &mut UserRows,
        in_force: &RulesInForce,
        user: SettledUser,
        output: &mut WorkerOutput,
    ) {
        let Evaluation { plans, buffers: ReusedBuffers { marks, queue, .. }, updates, .. } = self;
        if queue.is_empty() {
            return;
        }
        let UserRows { registry, users, touched, .. } = rows;
        let plans = plans.get_or_insert_with(|| RulePlans::of(registry, &in_force.published));
        let SettledUser { slot, now, is_new, .. } = user;
        let view = RowView { registry, user: &users[slot as usize], touched, now };
        queue.retain(|id| {
            let Some((table, is_default)) = plans.of_rule(*id).map(|plan| (plan.table, plan.is_default)) else {
                return true;
            };
            let flipped = std::mem::take(&mut marks[*id as usize]) & !QUEUED;
            let bits = plans.bits(*id, view);
            let is = table >> bits & 1 == 1;
            let was = !is_new && table >> (bits ^ u64::from(flipped)) & 1 == 1;
            if was != is {
                let PlanTarget { members, segment } = plans.targets[*id as usize];
                output.changes.push(user.change(segment, is));
                updates.push(MemberUpdate { bitmap: members, slot, inside: is });
            } else if is_new && is_default {
                // It holds without any event, and so may have been entered as one of those.
                updates.push(MemberUpdate { bitmap: plans.targets[*id as usize].members, slot, inside: false });
            }
            false
        });
    }

    /// Enters the members noted down.
    pub(super) fn enter_updates(&mut self, membership: &mut Membership) {
        if let (Some(plans), false) = (&self.plans, self.appeared.is_empty()) {
            let appeared: RoaringBitmap = self.appeared.drain(..).collect();
            for rule in &plans.defaults {
                *membership.bitmap_mut(plans.targets[*rule as usize].members) |= &appeared;
            }
        }
        membership.update(&self.updates, &mut self.buffers.sorted);
        self.updates.clear();
    }
}

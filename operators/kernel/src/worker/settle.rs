//! Settling one user: from changed measures to changed memberships.

use audience_rules::ast::{Millis, Sample};
use sha2::{Digest, Sha256};

use crate::membership::{MemberUpdate, Membership};
use crate::message::{Cause, RankInput, WorkerChange};
use crate::reading::RankKey;
use crate::registry::{PredicateId, PredicateKind, RankId, Registry, RuleId, RuleRole};

use super::in_force::RulesInForce;
use super::plan::RulePlans;
use super::rows::UserRows;
use super::{WorkerOutput, WorkerState};

/// Set in a rule's mark while it waits to be evaluated; the lower bits are its flipped leaves.
pub(super) const QUEUED: u8 = 0x80;

/// The evaluation of rules for one user after another.
#[derive(Default)]
pub(super) struct Evaluation {
    /// Made from the rules in force when next needed; `None` after every edit.
    pub(super) plans: Option<RulePlans>,
    pub(super) buffers: ReusedBuffers,
    /// Users who are yet to be entered into every planned rule that holds without any event.
    pub(super) appeared: Vec<u32>,
    /// Members of planned rules that are yet to be entered or removed, after those.
    pub(super) updates: Vec<MemberUpdate>,
}

/// Buffers that are used again for every user.
#[derive(Default)]
pub(super) struct ReusedBuffers {
    /// Flipped predicates of one measure, and of all.
    flips: Vec<u32>,
    flipped: Vec<u32>,
    pub(super) marks: Vec<u8>,
    pub(super) queue: Vec<RuleId>,
    ranks: Vec<RankId>,
    pub(super) sorted: Vec<MemberUpdate>,
}

/// A user who is settled.
#[derive(Clone, Copy)]
pub(super) struct SettledUser {
    pub(super) slot: u32,
    pub(super) now: Millis,
    pub(super) cause: Cause,
    /// True if the user was in nothing before.
    pub(super) is_new: bool,
}

impl SettledUser {
    /// The user's change of a segment.
    pub(super) fn change(self, segment: u32, entered: bool) -> WorkerChange {
        WorkerChange { user: self.slot, segment, at: self.now, entered, cause: self.cause }
    }
}

impl UserRows {
    fn leaf_bits(&self, predicates: &[PredicateId], slot: u32, now: Millis, membership: &Membership) -> u64 {
        predicates.iter().enumerate().fold(0, |bits, (index, predicate)| {
            bits | u64::from(self.is_true(*predicate, slot, now, membership)) << index
        })
    }

    /// Returns whether a rule holds of a user.
    pub(super) fn holds(&self, rule: RuleId, slot: u32, now: Millis, membership: &Membership) -> bool {
        self.registry.rules.get(rule).is_some_and(|rule| {
            rule.program
                .expression
                .evaluate(&mut |index| self.is_true(rule.predicates[usize::from(index)], slot, now, membership))
        })
    }

    /// Returns whether a predicate holds of a user.
    fn is_true(&self, predicate: PredicateId, slot: u32, now: Millis, membership: &Membership) -> bool {
        let Some(predicate) = self.registry.predicates.get(predicate) else { return false };
        match &predicate.kind {
            kind @ (PredicateKind::Measured(measure, _) | PredicateKind::Valued(measure, _)) => {
                let Some(definition) = self.registry.measures.get(*measure) else { return false };
                let user = &self.users[slot as usize];
                match user.cell(*measure) {
                    Some(at) => kind.holds_of(&user.cells[at].reading(&definition.kind, now), now),
                    None => kind.holds_of(&definition.default, now),
                }
            }
            PredicateKind::Segment(segment) => membership.is_member(segment, slot),
            PredicateKind::Rank(rank) => {
                self.registry.ranks.get(*rank).is_some_and(|rank| membership.bitmap(rank.inside).contains(slot))
            }
            PredicateKind::Sample(sample) => in_sample(sample, membership.users.id(slot)),
        }
    }

    /// The user's place in a rank, for the rank.
    pub(super) fn rank_input(
        &self,
        rank: RankId,
        slot: u32,
        now: Millis,
        membership: &Membership,
    ) -> Option<RankInput> {
        let entry = self.registry.ranks.get(rank)?;
        let user = &self.users[slot as usize];
        let is_ranked = user.known
            && entry
                .among
                .and_then(|among| self.registry.rules.get(among))
                .is_none_or(|among| membership.bitmap(among.members).contains(slot));
        let key = match (is_ranked, self.registry.measures.get(entry.by)) {
            (true, Some(definition)) => RankKey::of(&match user.cell(entry.by) {
                Some(at) => user.cells[at].reading(&definition.kind, now),
                None => definition.default.clone(),
            }),
            _ => None,
        };
        Some(RankInput::Entry { rank, user: membership.users.id(slot).to_owned(), key })
    }
}

impl Evaluation {
    /// Finds the predicates that the touched measures flipped, and queues their rules. Ranks whose measure changed are to be
    /// told.
    fn mark_touched(
        &mut self,
        rows: &mut UserRows,
        in_force: &RulesInForce,
        slot: u32,
        (before, now): (Millis, Millis),
    ) {
        let mut flips = std::mem::take(&mut self.buffers.flips);
        let mut flipped = std::mem::take(&mut self.buffers.flipped);
        flipped.clear();
        for (measure, before_reading) in &rows.touched {
            let Some(definition) = rows.registry.measures.get(*measure) else { continue };
            let user = &rows.users[slot as usize];
            let after = match user.cell(*measure) {
                Some(at) => user.cells[at].reading(&definition.kind, now),
                None => definition.default.clone(),
            };
            if after != *before_reading {
                self.buffers.ranks.extend_from_slice(&definition.ranks);
            } else if definition.offsets.is_empty() {
                continue;
            }
            flips.clear();
            rows.registry.flips(*measure, (before_reading, before), (&after, now), &mut flips);
            flipped.extend_from_slice(&flips);
        }
        self.mark_flips(rows, in_force, slot, &flipped, now);
        self.buffers.flips = flips;
        self.buffers.flipped = flipped;
    }

    /// Tells every rank about a user who has just become known. A rank may still have a user inside who was erased in the
    /// same tick; it says nothing if that stays so.
    fn appear_in_ranks(&mut self, registry: &Registry, slot: u32, membership: &Membership) {
        for (id, rank) in registry.ranks.iter() {
            if rank.scanned > slot {
                self.buffers.ranks.push(id);
            }
            if membership.bitmap(rank.inside).contains(slot) {
                self.buffers.mark(registry, rank.predicate);
            }
        }
    }

    /// Tells the ranks that were touched the user's place.
    fn tell_ranks(
        &mut self,
        rows: &UserRows,
        slot: u32,
        now: Millis,
        membership: &Membership,
        output: &mut WorkerOutput,
    ) {
        let ranks = &mut self.buffers.ranks;
        if ranks.is_empty() {
            return;
        }
        ranks.sort_unstable();
        ranks.dedup();
        for rank in ranks.drain(..) {
            if rows.registry.ranks.get(rank).is_some_and(|entry| entry.scanned > slot) {
                output.rank_inputs.extend(rows.rank_input(rank, slot, now, membership));
            }
        }
    }
}

impl WorkerState {
    /// Evaluates what the touched measures may have changed.
    pub(super) fn settle(
        &mut self,
        slot: u32,
        was_known: bool,
        (before, now): (Millis, Millis),
        cause: Cause,
        membership: &mut Membership,
    ) {
        if self.time.silent || !self.rows.users[slot as usize].known {
            // A merge may have marked rules of a user who is none (or none any more): not to be left to the next one.
            self.evaluation.buffers.forget();
            return;
        }
        self.evaluation.mark_touched(&mut self.rows, &self.in_force, slot, (before, now));
        let row = (&self.rows.registry, &self.rows.users[slot as usize]);
        self.scans.columns.follow(row, slot, was_known.then_some(&self.rows.touched[..]), now);
        let user = SettledUser { slot, now, cause, is_new: !was_known };
        if user.is_new {
            self.evaluation.appear(user, &mut self.output);
            self.evaluation.appear_in_ranks(&self.rows.registry, slot, membership);
        }
        self.evaluate_queue(user, membership);
        self.evaluation.tell_ranks(&self.rows, slot, now, membership, &mut self.output);
    }

    /// Evaluates the queued rules for one user, those that others refer to first.
    fn evaluate_queue(&mut self, user: SettledUser, membership: &mut Membership) {
        self.evaluation.evaluate_planned(&mut self.rows, &self.in_force, user, &mut self.output);
        let mut level = 0;
        while !self.evaluation.buffers.queue.is_empty() {
            let mut next_level = u32::MAX;
            let mut at = 0;
            while at < self.evaluation.buffers.queue.len() {
                let id = self.evaluation.buffers.queue[at];
                let rule_level = self.rows.registry.rules.get(id).map_or(0, |rule| rule.level);
                if rule_level > level {
                    next_level = next_level.min(rule_level);
                    at += 1;
                    continue;
                }
                self.evaluation.buffers.queue.swap_remove(at);
                let mark = std::mem::take(&mut self.evaluation.buffers.marks[id as usize]);
                self.evaluate_rule(id, mark & !QUEUED, user, membership);
                // What it flipped may stand at the end of the queue, or in the place just freed: look at this place again.
            }
            level = next_level;
        }
    }

    fn evaluate_rule(&mut self, id: RuleId, flipped: u8, user: SettledUser, membership: &mut Membership) {
        let SettledUser { slot, now, is_new, .. } = user;
        let Some(rule) = self.rows.registry.rules.get(id) else { return };
        if rule.scanned <= slot {
            return;
        }
        let members = rule.members;
        let (was, is) = match rule.program.table {
            Some(table) => {
                let bits = self.rows.leaf_bits(&rule.predicates, slot, now, membership);
                let is = table >> bits & 1 == 1;
                let was = !is_new && table >> (bits ^ u64::from(flipped)) & 1 == 1;
                (was, is)
            }
            None => (membership.bitmap(members).contains(slot), self.rows.holds(id, slot, now, membership)),
        };
        if was == is {
            return;
        }
        if is {
            membership.bitmap_mut(members).insert(slot);
        } else {
            membership.bitmap_mut(members).remove(slot);
        }
        match &rule.role {
            RuleRole::Shadow => {}
            RuleRole::Among(rank) => self.evaluation.buffers.ranks.push(*rank),
            RuleRole::Published(segment) => {
                if let Some(published) = self.in_force.published.get(segment) {
                    self.output.changes.push(user.change(published.index, is));
                }
                if let Some(predicate) = self.rows.registry.segment_predicate(segment) {
                    self.evaluation.buffers.mark(&self.rows.registry, predicate);
                }
            }
        }
    }

    /// Settles a user whose membership in something that rules refer to has changed.
    pub(super) fn settle_flips(
        &mut self,
        slot: u32,
        predicates: &[PredicateId],
        now: Millis,
        cause: Cause,
        membership: &mut Membership,
    ) {
        if self.time.silent || !self.rows.users[slot as usize].known {
            return;
        }
        for predicate in predicates {
            self.evaluation.buffers.mark(&self.rows.registry, *predicate);
        }
        self.evaluate_queue(SettledUser { slot, now, cause, is_new: false }, membership);
        self.evaluation.tell_ranks(&self.rows, slot, now, membership, &mut self.output);
    }
}

impl ReusedBuffers {
    /// Queues the rules of a flipped predicate.
    pub(super) fn mark(&mut self, registry: &Registry, predicate: PredicateId) {
        let Some(predicate) = registry.predicates.get(predicate) else { return };
        for (rule, leaf) in &predicate.uses {
            let flipped = if *leaf < 6 { 1 << leaf } else { 0 };
            queue(&mut self.marks, &mut self.queue, *rule, flipped);
        }
    }

    /// Forgets what was to be evaluated.
    fn forget(&mut self) {
        for rule in self.queue.drain(..) {
            self.marks[rule as usize] = 0;
        }
        self.ranks.clear();
    }
}

pub(super) fn queue(marks: &mut Vec<u8>, queue: &mut Vec<RuleId>, rule: RuleId, flipped: u8) {
    if marks.len() <= rule as usize {
        marks.resize(rule as usize + 1, 0);
    }
    let mark = &mut marks[rule as usize];
    if *mark & QUEUED == 0 {
        queue.push(rule);
    }
    *mark = (*mark | QUEUED) ^ flipped;
}

/// The first 8 bytes, big-endian, of SHA-256(salt + ":" + user), mod 10,000.
fn in_sample(sample: &Sample, user: &str) -> bool {
    let digest = Sha256::new().chain_update(&*sample.salt).chain_update(":").chain_update(user).finalize();
    let first = digest.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let bucket = (first % 10_000) as u16;
    sample.from <= bucket && bucket <= sample.to
}

//! Settling one user: from changed measures to changed memberships.

use audience_rules::ast::{Millis, Sample};
use sha2::{Digest, Sha256};

use crate::membership::Membership;
use crate::message::{Cause, RankInput, WorkerChange};
use crate::reading::RankKey;
use crate::registry::{PredicateId, PredicateKind, RankId, Registry, RuleId, RuleRole};

use super::{ReusedBuffers, WorkerState};

/// Set in a rule's mark while it waits to be evaluated; the lower bits are its flipped leaves.
pub(super) const QUEUED: u8 = 0x80;

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
        if self.silent || !self.users[slot as usize].known {
            // A merge may have marked rules of a user who is none (or none any more): not to be left to the next one.
            self.buffers.forget();
            return;
        }
        let touched = std::mem::take(&mut self.buffers.touched);
        let mut flips = std::mem::take(&mut self.buffers.flips);
        let mut flipped = std::mem::take(&mut self.buffers.flipped);
        flipped.clear();
        for (measure, before_reading) in &touched {
            let Some(definition) = self.registry.measures.get(*measure) else { continue };
            let user = &self.users[slot as usize];
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
            self.registry.flips(*measure, (before_reading, before), (&after, now), &mut flips);
            flipped.extend_from_slice(&flips);
        }
        let row = (&self.registry, &self.users[slot as usize]);
        self.columns.follow(row, slot, was_known.then_some(&touched[..]), now);
        self.buffers.touched = touched;
        self.mark_flips(slot, &flipped, now);
        self.buffers.flips = flips;
        self.buffers.flipped = flipped;
        if !was_known {
            self.appear(slot, now, cause);
            self.appear_in_ranks(slot, membership);
        }
        self.evaluate_queue(slot, !was_known, now, cause, membership);
        self.tell_ranks(slot, now, membership);
    }

    /// Tells every rank about a user who has just become known. A rank may still have a user inside who was erased in the
    /// same tick; it says nothing if that stays so.
    fn appear_in_ranks(&mut self, slot: u32, membership: &Membership) {
        let WorkerState { registry, buffers, .. } = self;
        for (id, rank) in registry.ranks.iter() {
            if rank.scanned > slot {
                buffers.ranks.push(id);
            }
            if membership.bitmap(rank.inside).contains(slot) {
                buffers.mark(registry, rank.predicate);
            }
        }
    }

    /// Queues the rules of a flipped predicate.
    pub(super) fn mark(&mut self, predicate: PredicateId) {
        self.buffers.mark(&self.registry, predicate);
    }

    /// Evaluates the queued rules for one user, those that others refer to first. `from_nothing`: the user was in none.
    pub(super) fn evaluate_queue(
        &mut self,
        slot: u32,
        from_nothing: bool,
        now: Millis,
        cause: Cause,
        membership: &mut Membership,
    ) {
        self.evaluate_planned(slot, from_nothing, now, cause);
        let mut level = 0;
        while !self.buffers.queue.is_empty() {
            let mut next_level = u32::MAX;
            let mut at = 0;
            while at < self.buffers.queue.len() {
                let id = self.buffers.queue[at];
                let rule_level = self.registry.rules.get(id).map_or(0, |rule| rule.level);
                if rule_level > level {
                    next_level = next_level.min(rule_level);
                    at += 1;
                    continue;
                }
                self.buffers.queue.swap_remove(at);
                let mark = std::mem::take(&mut self.buffers.marks[id as usize]);
                self.evaluate_rule(id, slot, mark & !QUEUED, from_nothing, now, cause, membership);
                // What it flipped may stand at the end of the queue, or in the place just freed: look at this place again.
            }
            level = next_level;
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn evaluate_rule(
        &mut self,
        id: RuleId,
        slot: u32,
        flipped: u8,
        from_nothing: bool,
        now: Millis,
        cause: Cause,
        membership: &mut Membership,
    ) {
        let Some(rule) = self.registry.rules.get(id) else { return };
        if rule.scanned <= slot {
            return;
        }
        let members = rule.members;
        let (was, is) = match rule.program.table {
            Some(table) => {
                let bits = self.leaf_bits(&rule.predicates, slot, now, membership);
                let is = table >> bits & 1 == 1;
                let was = !from_nothing && table >> (bits ^ u64::from(flipped)) & 1 == 1;
                (was, is)
            }
            None => (membership.bitmap(members).contains(slot), self.holds(id, slot, now, membership)),
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
            RuleRole::Among(rank) => self.buffers.ranks.push(*rank),
            RuleRole::Published(segment) => {
                let dependents = self.registry.segment_predicate(segment);
                if let Some(published) = self.published.get(segment) {
                    self.changes.push(WorkerChange {
                        user: slot,
                        segment: published.index,
                        at: now,
                        entered: is,
                        cause,
                    });
                }
                if let Some(predicate) = dependents {
                    self.mark(predicate);
                }
            }
        }
    }

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
    pub(super) fn is_true(&self, predicate: PredicateId, slot: u32, now: Millis, membership: &Membership) -> bool {
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

    /// Tells the ranks that were touched the user's place.
    fn tell_ranks(&mut self, slot: u32, now: Millis, membership: &Membership) {
        if self.buffers.ranks.is_empty() {
            return;
        }
        let mut ranks = std::mem::take(&mut self.buffers.ranks);
        ranks.sort_unstable();
        ranks.dedup();
        for rank in ranks.drain(..) {
            if self.registry.ranks.get(rank).is_some_and(|entry| entry.scanned > slot) {
                self.tell_rank(rank, slot, now, membership);
            }
        }
        self.buffers.ranks = ranks;
    }

    /// Tells a rank the user's place.
    pub(super) fn tell_rank(&mut self, rank: RankId, slot: u32, now: Millis, membership: &Membership) {
        let Some(entry) = self.registry.ranks.get(rank) else { return };
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
        self.rank_inputs.push(RankInput::Entry { rank, user: membership.users.id(slot).to_owned(), key });
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
        if self.silent || !self.users[slot as usize].known {
            return;
        }
        for predicate in predicates {
            self.mark(*predicate);
        }
        self.evaluate_queue(slot, false, now, cause, membership);
        self.tell_ranks(slot, now, membership);
    }
}

impl ReusedBuffers {
    fn mark(&mut self, registry: &Registry, predicate: PredicateId) {
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

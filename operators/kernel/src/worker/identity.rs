//! Merges and erasures of users.
//!
//! Law: the user that remains has the history of all ids that are one user now; the other is no longer a user. After an
//! erasure, earlier records of every id of the user count for nothing, and each id is a user by itself again.

use audience_rules::ast::{Millis, SegmentId};
use audience_rules::record::{EventRef, records};
use hashbrown::HashMap;
use roaring::RoaringBitmap;

use crate::aliases::IdSince;
use crate::membership::Membership;
use crate::message::{Cause, RankInput, WorkerChange};
use crate::registry::{BitmapId, PredicateId};

use super::intake::message_key;
use super::{OperatorError, WorkerState};

impl WorkerState {
    /// The user is no longer one: leaves everything.
    pub(super) fn retire(&mut self, slot: u32, now: Millis, cause: Cause, membership: &mut Membership) {
        self.evaluation.enter_updates(membership);
        let mut left: Vec<(SegmentId, BitmapId)> = Vec::new();
        for (segment, bitmap) in &membership.segments {
            if membership.bitmap(*bitmap).contains(slot) {
                left.push((segment.clone(), *bitmap));
            }
        }
        for (segment, bitmap) in left {
            membership.bitmap_mut(bitmap).remove(slot);
            if let (false, Some(published)) = (self.time.silent, self.in_force.published.get(&segment)) {
                let segment = published.index;
                self.output.changes.push(WorkerChange { user: slot, segment, at: now, entered: false, cause });
            }
        }
        for (_, rule) in self.rows.registry.rules.iter() {
            membership.bitmap_mut(rule.members).remove(slot);
        }
        let user = &mut self.rows.users[slot as usize];
        let was_known = std::mem::take(&mut user.known);
        self.rows.known_users -= u64::from(was_known);
        user.cells = Vec::new();
        user.pending = Vec::new();
        user.due = Millis::MAX;
        self.rows.touched.clear();
        self.scans.columns.forget(slot);
        // Who is inside of a rank stays there until the rank says otherwise, which it does not of a user who is erased and
        // then ranked again within one tick.
        for (rank, _) in self.rows.registry.ranks.iter() {
            if was_known && !self.time.silent {
                let user = membership.users.id(slot).to_owned();
                self.output.rank_inputs.push(RankInput::Entry { rank, user, key: None });
            }
        }
    }

    /// The user is unknown again, and nothing of what was accepted under any of `ids`, who were this user, counts any more.
    pub(super) fn erase(
        &mut self,
        slot: u32,
        ids: &[String],
        sequence: u64,
        now: Millis,
        membership: &mut Membership,
    ) -> Result<(), OperatorError> {
        self.retire(slot, now, Cause::Erasure, membership);
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let history = self.intake.log.of_users(&ids, sequence)?;
        let own = membership.users.id(slot).to_owned();
        // Each of the ids has had its messages noted while it was one by itself, and those of the others while it was the
        // user; each forgets its own, since only then that is in the order of what else is noted of it.
        let messages = records(&history).filter_map(|event| event.message());
        let keys: Vec<u128> = messages.map(|message| message_key(&own, message)).collect();
        self.intake.messages.forget(&keys, sequence)?;
        self.absorb_lists(slot, &[&own], now, Cause::Erasure, membership);
        Ok(())
    }

    /// Rebuilds the user's row from the history of all ids that are this user now, up to `sequence`.
    pub(super) fn absorb(
        &mut self,
        slot: u32,
        ids: &[IdSince],
        sequence: u64,
        (before, now): (Millis, Millis),
        membership: &mut Membership,
    ) -> Result<(), OperatorError> {
        // An `identify` may name one of the ids beside a user who was parted from it by an erasure.
        let since: HashMap<&str, u64> = ids.iter().map(|(id, since)| (id.as_str(), *since)).collect();
        let is_own = |event: &EventRef<'_>| since.get(event.user()).is_some_and(|since| event.sequence() >= *since);
        let ids: Vec<&str> = ids.iter().map(|(id, _)| id.as_str()).collect();
        let history = self.intake.log.of_users(&ids, sequence)?;
        let events: Vec<_> = records(&history).filter(|event| event.kind().counts() && is_own(event)).collect();
        let root = membership.users.id(slot).to_owned();
        let keyed: Vec<(u128, u64)> = events
            .iter()
            .filter_map(|event| event.message().map(|message| (message_key(&root, message), event.sequence())))
            .collect();
        let mut first = self.intake.messages.note(&keyed)?.into_iter();
        for index in 0..self.rows.users[slot as usize].cells.len() {
            let measure = self.rows.users[slot as usize].cells[index].measure();
            self.rows.touch(slot, measure, before);
        }
        let user = &mut self.rows.users[slot as usize];
        user.cells = Vec::new();
        user.pending = Vec::new();
        for event in events {
            if event.message().is_some() && first.next().is_some_and(|first| first != event.sequence()) {
                continue;
            }
            self.rows.become_known(slot);
            self.rows.accept(slot, &event, (before, now));
        }
        if self.rows.registry.measures.iter().any(|(_, measure)| measure.backfill.is_some()) {
            self.scans.backfilled.insert(slot);
        }
        self.absorb_lists(slot, &ids, now, Cause::Merge, membership);
        Ok(())
    }

    /// List entries under any of the ids are the user's.
    fn absorb_lists(&mut self, slot: u32, ids: &[&str], now: Millis, cause: Cause, membership: &mut Membership) {
        let mut entered: Vec<SegmentId> = Vec::new();
        for (segment, list) in &self.in_force.lists {
            if ids.iter().any(|id| list.contains(*id)) {
                entered.push(segment.clone());
            }
        }
        for segment in entered {
            let Some(bitmap) = membership.segments.get(&segment).copied() else { continue };
            if !membership.bitmap_mut(bitmap).insert(slot) || self.time.silent {
                continue;
            }
            if let Some(published) = self.in_force.published.get(&segment) {
                let segment = published.index;
                self.output.changes.push(WorkerChange { user: slot, segment, at: now, entered: true, cause });
            }
            if let Some(predicate) = self.rows.registry.segment_predicate(&segment) {
                self.evaluation.buffers.mark(&self.rows.registry, predicate);
            }
        }
    }

    /// Takes the flips of ranks at `now`.
    pub fn apply_rank_changes(&mut self, flips: &[crate::message::RankChange], now: Millis, cause: Cause) {
        let membership = self.membership();
        let mut guard = membership.write();
        let mut by_user: std::collections::BTreeMap<u32, Vec<PredicateId>> = std::collections::BTreeMap::new();
        for flip in flips {
            let (Some(entry), Some(slot)) = (self.rows.registry.ranks.get(flip.rank), guard.users.find(&flip.user))
            else {
                continue;
            };
            let inside: &mut RoaringBitmap = guard.bitmap_mut(entry.inside);
            let changed = if flip.inside { inside.insert(slot) } else { inside.remove(slot) };
            if changed {
                by_user.entry(slot).or_default().push(entry.predicate);
            }
        }
        for (slot, predicates) in by_user {
            self.settle_flips(slot, &predicates, now, cause, &mut guard);
        }
    }
}

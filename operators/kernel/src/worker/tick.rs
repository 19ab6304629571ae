//! A tick: what is due by time and the events of each user, in the order of their instants.

use std::hint::black_box;

use audience_rules::ast::Millis;

use crate::membership::Membership;
use crate::message::{Cause, IdentityChange, IdentityChangeKind, Routed, TickClock};

use super::intake::{Stimulus, TickEntry};
use super::rows::UserRows;
use super::{OperatorError, WorkerState};

/// The input of a tick.
pub struct TickInput {
    /// Its time.
    pub clock: TickClock,
    /// Events and merges.
    pub routed: Vec<Routed>,
}

/// A stimulus in the order of work: by user, then by order of acceptance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    slot: u32,
    place: u64,
    /// The index of the entry; [`DUE`] for what is due by time.
    entry: u32,
}

const DUE: u32 = u32::MAX;

/// The number of users that are looked up and fetched from memory together, and settled before readers get their turn.
const USERS_A_TURN: usize = 32;

/// The last millisecond of the second of an instant.
fn end_of_second(at: Millis) -> Millis {
    at.div_euclid(1000) * 1000 + 999
}

impl UserRows {
    /// The entries' turns, in no order.
    fn turns(&mut self, entries: &[TickEntry<'_>], membership: &mut Membership) -> Vec<Turn> {
        let mut turns = Vec::with_capacity(entries.len());
        for entries in entries.chunks(USERS_A_TURN) {
            membership.users.fetch(entries.iter().map(|entry| entry.user_hash));
            for entry in entries {
                let slot = self.slot_of_hash(entry.user_hash, entry.user(), membership);
                turns.push(Turn { slot, place: entry.place(), entry: turns.len() as u32 });
            }
        }
        turns
    }
}

impl WorkerState {
    /// Does a tick; gives how many events and merges it took.
    pub fn tick(&mut self, input: TickInput) -> Result<u64, OperatorError> {
        let mut routed = std::mem::take(&mut self.intake.deferred);
        routed.extend(input.routed);
        let TickClock { now, limit } = input.clock;
        let before = self.time.clock;
        self.time.clock = self.time.clock.max(now);
        let limit = limit.min(self.time.clock);
        let mut due = Vec::new();
        if !self.time.silent {
            self.rows.calendar.take(limit, &mut due);
        }
        let entries = self.intake.entries(&routed, self.time.done_until)?;
        let membership = self.membership();
        // Only now are readers kept waiting.
        let mut guard = membership.write();
        let mut turns = self.rows.turns(&entries, &mut guard);
        turns.sort_unstable();
        let waiting = take_later(&mut turns, &entries, limit);
        let taken = turns.len() as u64;
        for slot in due {
            let user = &mut self.rows.users[slot as usize];
            user.scheduled = Millis::MAX;
            turns.push(Turn { slot, place: u64::MAX, entry: DUE });
        }
        if turns.len() as u64 > taken {
            turns.sort_unstable();
        }
        let groups: Vec<&[Turn]> = turns.chunk_by(|a, b| a.slot == b.slot).collect();
        for groups in groups.chunks(USERS_A_TURN) {
            self.rows.fetch(groups.iter().filter_map(|group| group.first()).map(|turn| turn.slot));
            let near = groups.iter().flat_map(|group| group.iter()).filter_map(|turn| entries.get(turn.entry as usize));
            black_box(near.map(TickEntry::fetch).fold(0, u64::wrapping_add));
            for group in groups {
                self.process_user(group, &entries, limit, &mut guard)?;
            }
            parking_lot::RwLockWriteGuard::bump(&mut guard);
        }
        self.evaluation.enter_updates(&mut guard);
        self.intake.deferred = waiting;
        self.time.done_until = self.time.done_until.max(limit);
        drop(guard);
        if !self.time.silent {
            self.rows.prepare(before, self.time.clock);
        }
        Ok(taken)
    }

    /// Brings one user to `limit`, second by second.
    fn process_user(
        &mut self,
        turns: &[Turn],
        entries: &[TickEntry<'_>],
        limit: Millis,
        membership: &mut Membership,
    ) -> Result<(), OperatorError> {
        let Some(slot) = turns.first().map(|turn| turn.slot) else { return Ok(()) };
        let mut waiting = turns.iter().filter_map(|turn| entries.get(turn.entry as usize)).peekable();
        loop {
            let due = if self.time.silent { Millis::MAX } else { self.rows.users[slot as usize].due };
            let first = waiting.peek().map_or(Millis::MAX, |entry| entry.at).min(due);
            if first > limit {
                break;
            }
            let end = limit.min(end_of_second(first));
            // The latest instant before this group at which memberships were settled.
            let before = (first - 1).max(self.time.done_until);
            let mut was_known = self.rows.users[slot as usize].known;
            let mut now = first;
            let mut cause = Cause::Time;
            self.rows.touched.clear();
            loop {
                let due = if self.time.silent { Millis::MAX } else { self.rows.users[slot as usize].due };
                let at = waiting.peek().map_or(Millis::MAX, |entry| entry.at).min(due);
                if at > end {
                    break;
                }
                now = now.max(at);
                if due <= at {
                    self.rows.come_due(slot, before, now);
                }
                while let Some(entry) = waiting.next_if(|entry| entry.at <= now) {
                    cause = self.apply_stimulus(slot, entry.stimulus, (before, now), membership)?.unwrap_or(cause);
                    // Who was erased, and is known again in the same second, is a new user.
                    was_known &= self.rows.users[slot as usize].known;
                }
                self.rows.set_due(slot, now);
            }
            self.settle(slot, was_known, (before, now), cause, membership);
        }
        self.rows.schedule(slot);
        Ok(())
    }

    fn apply_stimulus(
        &mut self,
        slot: u32,
        stimulus: Stimulus<'_>,
        (before, now): (Millis, Millis),
        membership: &mut Membership,
    ) -> Result<Option<Cause>, OperatorError> {
        match stimulus {
            Stimulus::Unchecked(event) if self.intake.is_repeated(&event)? => Ok(None),
            Stimulus::Event(event) | Stimulus::Unchecked(event) => {
                self.rows.become_known(slot);
                self.rows.accept(slot, &event, (before, now));
                Ok(Some(Cause::Event))
            }
            Stimulus::Identity(IdentityChange { fate: IdentityChangeKind::Gone, .. }) => {
                self.output.has_merged = true;
                self.retire(slot, now, Cause::Merge, membership);
                Ok(None)
            }
            Stimulus::Identity(IdentityChange { fate: IdentityChangeKind::Erased(ids), sequence, .. }) => {
                self.output.has_merged = true;
                self.erase(slot, ids, *sequence, now, membership)?;
                Ok(Some(Cause::Erasure))
            }
            Stimulus::Identity(IdentityChange { fate: IdentityChangeKind::Made(ids), sequence, .. }) => {
                self.output.has_merged = true;
                self.absorb(slot, ids, *sequence, (before, now), membership)?;
                Ok(Some(Cause::Merge))
            }
        }
    }
}

/// Takes out what happens after `limit`, to be done in a later tick; and what follows it in the order of a user,
/// since a merge reads from the log all that was accepted before it.
fn take_later(turns: &mut Vec<Turn>, entries: &[TickEntry<'_>], limit: Millis) -> Vec<Routed> {
    if entries.iter().all(|entry| entry.at <= limit) {
        return Vec::new();
    }
    let mut later = Routed::default();
    let mut waits = None;
    turns.retain(|turn| {
        let entry = &entries[turn.entry as usize];
        if entry.at <= limit && waits != Some(turn.slot) {
            return true;
        }
        waits = Some(turn.slot);
        match entry.stimulus {
            Stimulus::Event(event) | Stimulus::Unchecked(event) => later.records.extend_from_slice(event.bytes()),
            Stimulus::Identity(merge) => later.merges.push(merge.clone()),
        }
        false
    });
    vec![later]
}

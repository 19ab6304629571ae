//! A tick: what is due by time and the events of each user, in the order of their instants.

use std::hint::black_box;

use audience_rules::ast::Millis;
use audience_rules::record::{EventRef, RecordKind, records};
use hashbrown::HashSet;

use crate::calendar::Calendar;
use crate::cell::{AppliedTrait, apply, apply_trait};
use crate::measure::{AppliedEvent, MeasureId, MeasureKind};
use crate::membership::{Membership, SHARDS, user_hash};
use crate::message::{Cause, IdentityChange, IdentityChangeKind, Routed, TickClock};
use crate::question::SharedRecord;

use super::{OperatorError, PendingEvent, UserSlot, WorkerState};

/// The input of a tick.
pub struct TickInput {
    /// Its time.
    pub clock: TickClock,
    /// Events and merges.
    pub routed: Vec<Routed>,
}

/// Something that happens to a user.
#[derive(Clone, Copy)]
pub(super) enum Stimulus<'a> {
    /// An event that is no repeated message.
    Event(EventRef<'a>),
    /// An event of a user who is merged in the same tick: whether it repeats a message depends on what comes before it.
    Unchecked(EventRef<'a>),
    /// A merge.
    Identity(&'a IdentityChange),
}

/// A stimulus of a tick.
struct TickEntry<'a> {
    user_hash: u64,
    at: Millis,
    stimulus: Stimulus<'a>,
}

impl TickEntry<'_> {
    fn user(&self) -> &[u8] {
        match &self.stimulus {
            Stimulus::Event(event) | Stimulus::Unchecked(event) => event.user_bytes(),
            Stimulus::Identity(merge) => merge.user.as_bytes(),
        }
    }

    /// Reads it, and its event, for nothing but that they are near then.
    fn fetch(&self) -> u64 {
        match &self.stimulus {
            Stimulus::Event(event) | Stimulus::Unchecked(event) => event.timestamp() as u64,
            Stimulus::Identity(merge) => merge.sequence,
        }
    }

    /// The place among a user's stimuli. A merge stands before the event that brought it, wherever either came from.
    fn place(&self) -> u64 {
        match &self.stimulus {
            Stimulus::Event(event) | Stimulus::Unchecked(event) => event.sequence() << 1 | 1,
            Stimulus::Identity(merge) => merge.sequence << 1,
        }
    }
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

/// The size of a small record in bytes.
const RECORD_BYTES: usize = 128;

/// The last millisecond of the second of an instant.
fn end_of_second(at: Millis) -> Millis {
    at.div_euclid(1000) * 1000 + 999
}

impl WorkerState {
    /// Does a tick; gives how many events and merges it took.
    pub fn tick(&mut self, input: TickInput) -> Result<u64, OperatorError> {
        let mut routed = std::mem::take(&mut self.deferred);
        routed.extend(input.routed);
        let TickClock { now, limit } = input.clock;
        let before = self.clock;
        self.clock = self.clock.max(now);
        let limit = limit.min(self.clock);
        let mut due = Vec::new();
        if !self.silent {
            self.calendar.take(limit, &mut due);
        }
        let entries = self.entries(&routed)?;
        let membership = self.membership();
        // Only now are readers kept waiting.
        let mut guard = membership.write();
        let mut turns = self.turns(&entries, &mut guard);
        turns.sort_unstable();
        let waiting = take_later(&mut turns, &entries, limit);
        let taken = turns.len() as u64;
        for slot in due {
            let user = &mut self.users[slot as usize];
            user.scheduled = Millis::MAX;
            turns.push(Turn { slot, place: u64::MAX, entry: DUE });
        }
        if turns.len() as u64 > taken {
            turns.sort_unstable();
        }
        let groups: Vec<&[Turn]> = turns.chunk_by(|a, b| a.slot == b.slot).collect();
        for groups in groups.chunks(USERS_A_TURN) {
            self.fetch(groups.iter().filter_map(|group| group.first()).map(|turn| turn.slot));
            let near = groups.iter().flat_map(|group| group.iter()).filter_map(|turn| entries.get(turn.entry as usize));
            black_box(near.map(TickEntry::fetch).fold(0, u64::wrapping_add));
            for group in groups {
                self.process_user(group, &entries, limit, &mut guard)?;
            }
            parking_lot::RwLockWriteGuard::bump(&mut guard);
        }
        self.enter_updates(&mut guard);
        self.deferred = waiting;
        self.done_until = self.done_until.max(limit);
        drop(guard);
        self.prepare(before);
        Ok(taken)
    }

    /// The stimuli, without repeated messages and what a loaded checkpoint has already.
    fn entries<'a>(&mut self, routed: &'a [Routed]) -> Result<Vec<TickEntry<'a>>, OperatorError> {
        let bytes: usize = routed.iter().map(|part| part.records.len()).sum();
        let mut entries = Vec::with_capacity(bytes / RECORD_BYTES);
        let mut messages: Vec<((u128, u64), usize)> = Vec::new();
        let merged: HashSet<&str> =
            routed.iter().flat_map(|part| &part.merges).map(|merge| merge.user.as_str()).collect();
        for part in routed {
            for merge in &part.merges {
                let user_hash = user_hash(merge.user.as_bytes());
                if !self.is_loaded(user_hash, merge.sequence) {
                    let at = merge.at.max(self.done_until);
                    entries.push(TickEntry { user_hash, at, stimulus: Stimulus::Identity(merge) });
                }
            }
            for record in records(&part.records) {
                let user_hash = user_hash(record.user_bytes());
                if self.is_loaded(user_hash, record.sequence()) {
                    continue;
                }
                let mut stimulus = Stimulus::Event(record);
                match record.message() {
                    Some(_) if merged.contains(record.user()) => stimulus = Stimulus::Unchecked(record),
                    Some(message) => {
                        messages.push(((message_key(record.user(), message), record.sequence()), entries.len()));
                    }
                    None => {}
                }
                let at = record.accepted_at().max(self.done_until);
                entries.push(TickEntry { user_hash, at, stimulus });
            }
        }
        if !messages.is_empty() {
            // In the order of acceptance, whichever worker they come from: the first one counts.
            messages.sort_unstable_by_key(|((_, sequence), _)| *sequence);
            let (messages, places): (Vec<(u128, u64)>, Vec<usize>) = messages.into_iter().unzip();
            let first = self.messages.note(&messages)?;
            let repeated = places.into_iter().zip(messages.iter().zip(first));
            let repeated = repeated.filter_map(|(at, (message, first))| (first != message.1).then_some(at));
            let mut repeated: Vec<usize> = repeated.collect();
            repeated.sort_unstable();
            let mut next = repeated.into_iter().peekable();
            let mut at = 0;
            entries.retain(|_| {
                at += 1;
                next.next_if_eq(&(at - 1)).is_none()
            });
        }
        Ok(entries)
    }

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

    /// Returns whether the checkpoint that the user's shard was loaded from has this already.
    fn is_loaded(&self, user_hash: u64, sequence: u64) -> bool {
        !self.floors.is_empty() && sequence < self.floors[(user_hash % SHARDS) as usize]
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
            let due = if self.silent { Millis::MAX } else { self.users[slot as usize].due };
            let first = waiting.peek().map_or(Millis::MAX, |entry| entry.at).min(due);
            if first > limit {
                break;
            }
            let end = limit.min(end_of_second(first));
            // The latest instant before this group at which memberships were settled.
            let before = (first - 1).max(self.done_until);
            let mut was_known = self.users[slot as usize].known;
            let mut now = first;
            let mut cause = Cause::Time;
            self.buffers.touched.clear();
            loop {
                let due = if self.silent { Millis::MAX } else { self.users[slot as usize].due };
                let at = waiting.peek().map_or(Millis::MAX, |entry| entry.at).min(due);
                if at > end {
                    break;
                }
                now = now.max(at);
                if due <= at {
                    self.come_due(slot, before, now);
                }
                while let Some(entry) = waiting.next_if(|entry| entry.at <= now) {
                    cause = self.apply_stimulus(slot, entry.stimulus, (before, now), membership)?.unwrap_or(cause);
                    // Who was erased, and is known again in the same second, is a new user.
                    was_known &= self.users[slot as usize].known;
                }
                self.set_due(slot, now);
            }
            self.settle(slot, was_known, (before, now), cause, membership);
        }
        self.schedule(slot);
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
            Stimulus::Unchecked(event) if self.is_repeated(&event)? => Ok(None),
            Stimulus::Event(event) | Stimulus::Unchecked(event) => {
                self.become_known(slot);
                self.accept(slot, &event, (before, now));
                Ok(Some(Cause::Event))
            }
            Stimulus::Identity(IdentityChange { fate: IdentityChangeKind::Gone, .. }) => {
                self.has_merged = true;
                self.retire(slot, now, Cause::Merge, membership);
                Ok(None)
            }
            Stimulus::Identity(IdentityChange { fate: IdentityChangeKind::Erased(ids), sequence, .. }) => {
                self.has_merged = true;
                self.erase(slot, ids, *sequence, now, membership)?;
                Ok(Some(Cause::Erasure))
            }
            Stimulus::Identity(IdentityChange { fate: IdentityChangeKind::Made(ids), sequence, .. }) => {
                self.has_merged = true;
                self.absorb(slot, ids, *sequence, (before, now), membership)?;
                Ok(Some(Cause::Merge))
            }
        }
    }

    /// Returns whether an event of the user repeats a message of theirs, as of the merges so far.
    fn is_repeated(&self, event: &EventRef<'_>) -> Result<bool, OperatorError> {
        let Some(message) = event.message() else { return Ok(false) };
        let first = self.messages.note(&[(message_key(event.user(), message), event.sequence())])?;
        Ok(first.first().is_some_and(|first| *first != event.sequence()))
    }

    /// Takes an event: applies it, or keeps it for its time.
    pub(super) fn accept(&mut self, slot: u32, event: &EventRef<'_>, (before, now): (Millis, Millis)) {
        let timestamp = event.timestamp();
        if timestamp <= now {
            return self.apply_event(slot, event, (before, now));
        }
        let pending = &mut self.users[slot as usize].pending;
        let at = pending.partition_point(|known| known.timestamp > timestamp);
        pending.insert(at, PendingEvent { timestamp, record: event.bytes().into() });
    }

    /// Lets windows move and pending events happen.
    fn come_due(&mut self, slot: u32, before: Millis, now: Millis) {
        if self.registry.is_temporal {
            for index in 0..self.users[slot as usize].cells.len() {
                let cell = &self.users[slot as usize].cells[index];
                let measure = cell.measure();
                let Some(definition) = self.registry.measures.get(measure) else { continue };
                // All others say what they said before: a user may have a thousand, of which one is due.
                if !definition.is_temporal() || !cell.is_due(&definition.kind, &definition.offsets, (before, now)) {
                    continue;
                }
                self.touch(slot, measure, before);
                let Some(definition) = self.registry.measures.get(measure) else { continue };
                self.users[slot as usize].cells[index].advance(&definition.kind, now);
            }
        }
        self.apply_pending_since(slot, (before, now));
    }

    /// Takes the events that waited and have happened by now, where nothing was settled before.
    pub(super) fn apply_pending(&mut self, slot: u32, now: Millis) {
        self.apply_pending_since(slot, (now, now));
        self.buffers.touched.clear();
    }

    fn apply_pending_since(&mut self, slot: u32, (before, now): (Millis, Millis)) {
        while self.users[slot as usize].pending.last().is_some_and(|last| last.timestamp <= now) {
            let Some(pending) = self.users[slot as usize].pending.pop() else { return };
            if let Some((event, _)) = EventRef::read(&pending.record) {
                self.apply_event(slot, &event, (before, now));
            }
        }
    }

    /// Remembers what a measure said before, once a group.
    pub(super) fn touch(&mut self, slot: u32, measure: MeasureId, before: Millis) {
        if self.buffers.touched.iter().any(|(known, _)| *known == measure) {
            return;
        }
        let Some(definition) = self.registry.measures.get(measure) else { return };
        let user = &self.users[slot as usize];
        let reading = match user.cell(measure) {
            Some(at) => user.cells[at].reading(&definition.kind, before),
            None => definition.default.clone(),
        };
        self.buffers.touched.push((measure, reading));
    }

    /// Feeds an event whose time has come to the measures that want it.
    fn apply_event(&mut self, slot: u32, event: &EventRef<'_>, (before, now): (Millis, Millis)) {
        if !event.kind().counts() {
            return;
        }
        let mut candidates = std::mem::take(&mut self.buffers.candidates);
        candidates.clear();
        self.registry.listeners.of_event(event, &mut candidates);
        let applied = AppliedEvent { event, record: &SharedRecord::default(), now };
        for measure in &candidates {
            self.touch(slot, *measure, before);
            self.feed(slot, *measure, applied);
        }
        self.buffers.candidates = candidates;
        if event.kind() == RecordKind::Identify {
            for (name, value) in event.traits() {
                for index in 0..self.registry.listeners.of_trait(name).len() {
                    let measure = self.registry.listeners.of_trait(name)[index];
                    self.touch(slot, measure, before);
                    self.feed_trait(slot, measure, AppliedTrait { name, value, event });
                }
            }
        }
    }

    /// Applies an event to the cell of a measure.
    pub(super) fn feed(&mut self, slot: u32, measure: MeasureId, applied: AppliedEvent<'_>) {
        let Some(definition) = self.registry.measures.get(measure) else { return };
        let user = &mut self.users[slot as usize];
        let (at, cell) = user.take(measure);
        let cell = apply(cell, measure, &definition.kind, applied);
        user.put(at, cell.map_or_else(|unchanged| unchanged, Some));
    }

    /// Applies an `identify` to the cell of a trait.
    pub(super) fn feed_trait(&mut self, slot: u32, measure: MeasureId, applied: AppliedTrait<'_>) {
        let Some(definition) = self.registry.measures.get(measure) else { return };
        let MeasureKind::Trait(path) = &definition.kind else { return };
        let user = &mut self.users[slot as usize];
        let (at, cell) = user.take(measure);
        let cell = apply_trait(cell, measure, path, applied);
        user.put(at, cell.map_or_else(|unchanged| unchanged, Some));
    }

    /// Finds when the user is next due, and forgets cells that keep nothing.
    pub(super) fn set_due(&mut self, slot: u32, now: Millis) {
        let user = &mut self.users[slot as usize];
        let mut due = user.pending.last().map_or(Millis::MAX, |pending| pending.timestamp);
        if self.registry.is_temporal {
            user.cells.retain(|cell| !cell.is_empty());
            for cell in &mut user.cells {
                let Some(definition) = self.registry.measures.get(cell.measure()) else { continue };
                if let MeasureKind::Asked(_) = definition.kind {
                    // Only now, so that several events at once cost one look.
                    cell.advance(&definition.kind, now);
                }
                if definition.is_temporal() && slot < definition.scanned {
                    due = due.min(cell.next_change(&definition.kind, &definition.offsets, now));
                }
            }
        }
        user.due = due;
    }

    /// Enters the user into the calendar, where not there at that time or earlier.
    pub(super) fn schedule(&mut self, slot: u32) {
        let user = &mut self.users[slot as usize];
        if user.due != Millis::MAX && Calendar::bucket(user.due) < user.scheduled {
            user.scheduled = Calendar::bucket(user.due);
            self.calendar.add(user.due, slot);
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

/// The key of a user's message.
pub fn message_key(user: &str, message: &str) -> u128 {
    let mut bytes = Vec::with_capacity(user.len() + message.len() + 8);
    bytes.extend_from_slice(&(user.len() as u64).to_le_bytes());
    bytes.extend_from_slice(user.as_bytes());
    bytes.extend_from_slice(message.as_bytes());
    xxhash_rust::xxh3::xxh3_128(&bytes)
}

impl UserSlot {
    /// Returns the index of the cell of a measure.
    pub(super) fn cell(&self, measure: MeasureId) -> Option<usize> {
        self.cells.binary_search_by_key(&measure, |cell| cell.measure()).ok()
    }

    /// Takes a cell out, leaving its place; `Err` where it would be.
    fn take(&mut self, measure: MeasureId) -> (Result<usize, usize>, Option<crate::cell::Cell>) {
        match self.cells.binary_search_by_key(&measure, |cell| cell.measure()) {
            Ok(at) => {
                let hole = crate::cell::Cell::Count { measure, count: 0 };
                (Ok(at), Some(std::mem::replace(&mut self.cells[at], hole)))
            }
            Err(at) => (Err(at), None),
        }
    }

    /// Puts a cell where [`take`](Self::take) found its place.
    fn put(&mut self, at: Result<usize, usize>, cell: Option<crate::cell::Cell>) {
        match (at, cell) {
            (Ok(at), Some(cell)) => self.cells[at] = cell,
            (Ok(at), None) => drop(self.cells.remove(at)),
            (Err(at), Some(cell)) => {
                if self.cells.len() == self.cells.capacity() {
                    self.cells.reserve_exact(2 + self.cells.len() / 4);
                }
                self.cells.insert(at, cell);
            }
            (Err(_), None) => {}
        }
    }
}

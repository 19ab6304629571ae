//! Events applied to a user's cells, each at its own instant.

use audience_rules::ast::Millis;
use audience_rules::record::{EventRef, RecordKind};

use crate::calendar::Calendar;
use crate::cell::{AppliedTrait, apply, apply_trait};
use crate::measure::{AppliedEvent, MeasureId, MeasureKind};
use crate::question::SharedRecord;

use super::rows::{PendingEvent, UserRows};

impl UserRows {
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
    pub(super) fn come_due(&mut self, slot: u32, before: Millis, now: Millis) {
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
        self.touched.clear();
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
        if self.touched.iter().any(|(known, _)| *known == measure) {
            return;
        }
        let Some(definition) = self.registry.measures.get(measure) else { return };
        let user = &self.users[slot as usize];
        let reading = match user.cell(measure) {
            Some(at) => user.cells[at].reading(&definition.kind, before),
            None => definition.default.clone(),
        };
        self.touched.push((measure, reading));
    }

    /// Feeds an event whose time has come to the measures that want it.
    fn apply_event(&mut self, slot: u32, event: &EventRef<'_>, (before, now): (Millis, Millis)) {
        if !event.kind().counts() {
            return;
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        self.registry.listeners.of_event(event, &mut candidates);
        let applied = AppliedEvent { event, record: &SharedRecord::default(), now };
        for measure in &candidates {
            self.touch(slot, *measure, before);
            self.feed(slot, *measure, applied);
        }
        self.candidates = candidates;
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

    /// Brings the windows of a user to `now`.
    pub(super) fn bring_to(&mut self, slot: u32, now: Millis) {
        for cell in &mut self.users[slot as usize].cells {
            if let Some(definition) = self.registry.measures.get(cell.measure()) {
                cell.advance(&definition.kind, now);
            }
        }
        self.set_due(slot, now);
        self.schedule(slot);
    }
}

//! Rules put in and out of force, and the history of new measures.

use std::sync::Arc;

use audience_rules::ast::{Cut, Millis, SegmentId};
use audience_rules::record::{EventRef, RecordKind, records};
use hashbrown::HashMap;
use parking_lot::RwLockWriteGuard;
use roaring::RoaringBitmap;

use crate::cell::AppliedTrait;
use crate::measure::{AppliedEvent, Listeners};
use crate::membership::{Membership, user_hash};
use crate::message::{Cause, Publication, RankCut, RankInput, SegmentContent};
use crate::program::Program;
use crate::question::SharedRecord;
use crate::registry::{BitmapId, Boundary, RuleId, RuleRole};

use super::tick::message_key;
use super::{OperatorError, PublishedSegment, WorkerState};

/// Events of a backfill whose users are fetched from memory together.
const EVENTS_A_TURN: usize = 32;

impl WorkerState {
    /// Begins to compute rules in silence.
    pub fn install(&mut self, rules: &[(SegmentId, Arc<Program>)], boundary: Option<Boundary>) {
        self.plans = None;
        let membership = self.membership();
        let mut guard = membership.write();
        let known_ranks: Vec<u32> = self.registry.ranks.iter().map(|(id, _)| id).collect();
        for (segment, program) in rules {
            let id = self.registry.add_rule(program, RuleRole::Shadow, boundary, &mut || guard.add_bitmap());
            self.installed.insert(segment.clone(), id);
        }
        self.registry.set_levels(&self.published_rules);
        for (rank, entry) in self.registry.ranks.iter().filter(|(id, _)| !known_ranks.contains(id)) {
            let cut = match entry.program.cut {
                Cut::Top(count) => RankCut::Top(count),
                Cut::Percent(percent) => RankCut::PercentUnits(percent.units()),
            };
            self.rank_inputs.push(RankInput::Define { rank, descending: entry.program.descending, cut });
        }
    }

    /// Forgets rules that were installed and not put in force.
    pub fn uninstall(&mut self, rules: &[SegmentId]) {
        self.plans = None;
        let membership = self.membership();
        let mut guard = membership.write();
        self.scan = None;
        for name in rules {
            if let Some(rule) = self.installed.remove(name) {
                self.drop_rule(rule, &mut guard);
            }
        }
        drop(guard);
        self.registry.set_levels(&self.published_rules);
        self.backfill_done();
        self.sweep();
    }

    fn drop_rule(&mut self, rule: u32, membership: &mut Membership) {
        let (bitmaps, ranks) = self.registry.remove_rule(rule);
        for bitmap in bitmaps {
            membership.free_bitmap(bitmap);
        }
        self.rank_inputs.extend(ranks.into_iter().map(|rank| RankInput::Drop { rank }));
    }

    /// Feeds history to the measures that are being backfilled. The scan that follows finds when their users are due, once
    /// for each user and not for every event.
    pub fn backfill(&mut self, history: &[u8]) -> Result<(), OperatorError> {
        let backfilling: HashMap<u32, Boundary> = self
            .registry
            .measures
            .iter()
            .filter_map(|(id, measure)| measure.backfill.map(|boundary| (id, boundary)))
            .collect();
        let events: Vec<EventRef<'_>> = records(history).filter(|event| event.kind().counts()).collect();
        let keys: Vec<u128> = events
            .iter()
            .filter_map(|event| event.message().map(|message| message_key(event.user(), message)))
            .collect();
        let mut first = if keys.is_empty() { Vec::new() } else { self.messages.first(&keys)? }.into_iter();
        let mut counting: Vec<(u64, EventRef<'_>)> = Vec::with_capacity(events.len());
        for event in events {
            let repeated = event.message().is_some() && first.next().flatten() != Some(event.sequence());
            if !repeated {
                counting.push((user_hash(event.user_bytes()), event));
            }
        }
        let mut listeners = Listeners::default();
        for measure in backfilling.keys() {
            if let Some(definition) = self.registry.measures.get(*measure) {
                listeners.add(*measure, &definition.key);
            }
        }
        let membership = self.membership();
        let mut guard = membership.write();
        for together in counting.chunks(EVENTS_A_TURN) {
            guard.users.fetch(together.iter().map(|(hash, _)| *hash));
            let slots = together.iter().map(|(hash, event)| self.slot_of_hash(*hash, event.user_bytes(), &mut guard));
            let slots: Vec<u32> = slots.collect();
            self.fetch(slots.iter().copied());
            for (slot, (_, event)) in slots.iter().zip(together) {
                if !self.backfilled.contains(slot) {
                    self.backfill_event(*slot, event, &listeners, &backfilling);
                }
            }
            RwLockWriteGuard::bump(&mut guard);
        }
        Ok(())
    }

    fn backfill_event(
        &mut self,
        slot: u32,
        event: &EventRef<'_>,
        listeners: &Listeners,
        backfilling: &HashMap<u32, Boundary>,
    ) {
        let is_before = |measure: &u32| backfilling.get(measure).is_some_and(|boundary| boundary.is_before(event));
        let mut candidates = std::mem::take(&mut self.buffers.candidates);
        candidates.clear();
        listeners.of_event(event, &mut candidates);
        let applied = AppliedEvent { event, record: &SharedRecord::default(), now: self.clock };
        for measure in candidates.iter().filter(|measure| is_before(measure)) {
            self.feed(slot, *measure, applied);
        }
        self.buffers.candidates = candidates;
        if event.kind() == RecordKind::Identify {
            for (name, value) in event.traits() {
                for measure in listeners.of_trait(name).iter().filter(|measure| is_before(measure)) {
                    self.feed_trait(slot, *measure, AppliedTrait { name, value, event });
                }
            }
        }
    }

    /// The history of every measure is complete.
    pub fn backfill_done(&mut self) {
        let ids: Vec<u32> = self.registry.measures.iter().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(measure) = self.registry.measures.get_mut(id) {
                measure.backfill = None;
            }
        }
        self.backfilled.clear();
    }

    /// Puts changes in force at `at`; `lists` are the users of this worker that the lists name, resolved.
    pub fn publish(&mut self, publications: &[Publication], lists: &HashMap<SegmentId, Vec<String>>, at: Millis) {
        self.plans = None;
        let membership = self.membership();
        let mut guard = membership.write();
        let has_references = self.registry.has_references();
        for publication in publications {
            self.publish_one(publication, lists, at, &mut guard);
            if has_references {
                self.registry.set_levels(&self.published_rules);
            }
        }
        drop(guard);
        // One may have been made in between.
        self.plans = None;
        self.sweep();
    }

    fn publish_one(
        &mut self,
        publication: &Publication,
        lists: &HashMap<SegmentId, Vec<String>>,
        at: Millis,
        membership: &mut Membership,
    ) {
        let segment = &publication.segment;
        let index = self.segment_index(segment);
        if let SegmentContent::Unchanged = publication.content {
            self.versions[index as usize] = publication.version;
            return;
        }
        let old_rule = self.published.remove(segment).and_then(|published| published.rule);
        let old_bitmap = membership.segments.remove(segment);
        self.published_rules.remove(segment);
        self.lists.remove(segment);
        let (new_rule, new_bitmap) = self.take_content(publication, lists, membership);
        let empty = RoaringBitmap::new();
        let old = old_bitmap.map_or(&empty, |bitmap| membership.bitmap(bitmap));
        let new = new_bitmap.map_or(&empty, |bitmap| membership.bitmap(bitmap)).clone();
        let changed = old ^ &new;
        self.versions[index as usize] = publication.version;
        if let Some(bitmap) = new_bitmap {
            membership.segments.insert(segment.clone(), bitmap);
            self.published.insert(segment.clone(), PublishedSegment { index, rule: new_rule });
        }
        self.note_changes(&changed, index, |user| new.contains(user), at);
        match old_rule {
            Some(rule) => self.drop_rule(rule, membership),
            None => drop(old_bitmap.map(|bitmap| membership.free_bitmap(bitmap))),
        }
        if let Some(predicate) = self.registry.segment_predicate(segment) {
            for slot in &changed {
                self.settle_flips(slot, &[predicate], at, Cause::Rule, membership);
            }
        }
    }

    /// Takes the installed rule or the list of a publication; returns the rule, and the bitmap of the members.
    fn take_content(
        &mut self,
        publication: &Publication,
        lists: &HashMap<SegmentId, Vec<String>>,
        membership: &mut Membership,
    ) -> (Option<RuleId>, Option<BitmapId>) {
        let segment = &publication.segment;
        let new_rule = match publication.content {
            SegmentContent::Rule => self.installed.remove(segment),
            SegmentContent::List(_) | SegmentContent::Unchanged | SegmentContent::Nothing => None,
        };
        let new_bitmap = match &publication.content {
            SegmentContent::Rule => new_rule.and_then(|rule| self.registry.rules.get(rule)).map(|rule| rule.members),
            SegmentContent::List(list) => {
                self.lists.insert(segment.clone(), list.clone());
                let bitmap = membership.add_bitmap();
                for user in lists.get(segment).into_iter().flatten() {
                    let slot = self.slot_of(user, membership);
                    membership.bitmap_mut(bitmap).insert(slot);
                }
                Some(bitmap)
            }
            SegmentContent::Unchanged | SegmentContent::Nothing => None,
        };
        if let Some(rule) = new_rule {
            if let Some(rule) = self.registry.rules.get_mut(rule) {
                rule.role = RuleRole::Published(segment.clone());
                if self.silent {
                    // Nobody is looked at before `activate` looks at everybody.
                    rule.scanned = u32::MAX;
                }
            }
            self.published_rules.insert(segment.clone(), rule);
        }
        (new_rule, new_bitmap)
    }

    /// Removes the cells of measures that nothing needs any more.
    pub(super) fn sweep(&mut self) {
        if self.registry.dropped.is_empty() {
            return;
        }
        let dropped = &self.registry.dropped;
        for user in &mut self.users {
            if user.cells.iter().any(|cell| dropped.contains(&cell.measure())) {
                user.cells.retain(|cell| !dropped.contains(&cell.measure()));
            }
        }
        self.columns.drop_measures(|measure| dropped.contains(&measure));
        self.registry.forget_dropped();
    }

    /// Ends the silence of a start: computes every membership from the state, and gives out nothing.
    pub fn activate(&mut self) {
        self.plans = None;
        let membership = self.membership();
        let now = self.clock;
        self.done_until = now;
        self.registry.drop_unneeded_measures();
        self.registry.measures_scanned(u32::MAX);
        let ranks: Vec<u32> = self.registry.ranks.iter().map(|(id, _)| id).collect();
        for rank in ranks {
            let among = self.registry.ranks.get_mut(rank).and_then(|entry| {
                entry.scanned = u32::MAX;
                entry.among
            });
            if let Some(rule) = among.and_then(|among| self.registry.rules.get_mut(among)) {
                rule.scanned = u32::MAX;
            }
        }
        let users = self.users.len() as u32;
        for slot in 0..users {
            self.bring_to(slot, now);
        }
        let rules: Vec<RuleId> = self.registry.rules.iter().map(|(id, _)| id).collect();
        self.enter_members(&rules, 0..users, now, &membership);
        self.silent = false;
        let ranks: Vec<u32> = self.registry.ranks.iter().map(|(id, _)| id).collect();
        let guard = membership.read();
        for rank in ranks {
            for slot in (0..users).filter(|slot| self.users[*slot as usize].known).collect::<Vec<_>>() {
                self.tell_rank(rank, slot, now, &guard);
            }
        }
        drop(guard);
        self.sweep();
    }

    /// Brings the windows of a user to `now`.
    fn bring_to(&mut self, slot: u32, now: Millis) {
        for cell in &mut self.users[slot as usize].cells {
            if let Some(definition) = self.registry.measures.get(cell.measure()) {
                cell.advance(&definition.kind, now);
            }
        }
        self.set_due(slot, now);
        self.schedule(slot);
    }
}

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

use super::column::Columns;
use super::in_force::PublishedSegment;
use super::intake::message_key;
use super::rows::UserRows;
use super::{OperatorError, WorkerOutput, WorkerState};

/// Events of a backfill whose users are fetched from memory together.
const EVENTS_A_TURN: usize = 32;

impl UserRows {
    fn drop_rule(&mut self, rule: RuleId, membership: &mut Membership, output: &mut WorkerOutput) {
        let (bitmaps, ranks) = self.registry.remove_rule(rule);
        for bitmap in bitmaps {
            membership.free_bitmap(bitmap);
        }
        output.rank_inputs.extend(ranks.into_iter().map(|rank| RankInput::Drop { rank }));
    }

    fn backfill_event(
        &mut self,
        slot: u32,
        event: &EventRef<'_>,
        listeners: &Listeners,
        backfilling: &HashMap<u32, Boundary>,
        now: Millis,
    ) {
        let is_before = |measure: &u32| backfilling.get(measure).is_some_and(|boundary| boundary.is_before(event));
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        listeners.of_event(event, &mut candidates);
        let applied = AppliedEvent { event, record: &SharedRecord::default(), now };
        for measure in candidates.iter().filter(|measure| is_before(measure)) {
            self.feed(slot, *measure, applied);
        }
        self.candidates = candidates;
        if event.kind() == RecordKind::Identify {
            for (name, value) in event.traits() {
                for measure in listeners.of_trait(name).iter().filter(|measure| is_before(measure)) {
                    self.feed_trait(slot, *measure, AppliedTrait { name, value, event });
                }
            }
        }
    }

    /// Removes the cells of measures that nothing needs any more.
    fn sweep(&mut self, columns: &mut Columns) {
        if self.registry.dropped.is_empty() {
            return;
        }
        let dropped = &self.registry.dropped;
        for user in &mut self.users {
            if user.cells.iter().any(|cell| dropped.contains(&cell.measure())) {
                user.cells.retain(|cell| !dropped.contains(&cell.measure()));
            }
        }
        columns.drop_measures(|measure| dropped.contains(&measure));
        self.registry.forget_dropped();
    }
}

impl WorkerState {
    /// Begins to compute rules in silence.
    pub fn install(&mut self, rules: &[(SegmentId, Arc<Program>)], boundary: Option<Boundary>) {
        self.evaluation.plans = None;
        let membership = self.membership();
        let mut guard = membership.write();
        let known_ranks: Vec<u32> = self.rows.registry.ranks.iter().map(|(id, _)| id).collect();
        for (segment, program) in rules {
            let id = self.rows.registry.add_rule(program, RuleRole::Shadow, boundary, &mut || guard.add_bitmap());
            self.in_force.installed.insert(segment.clone(), id);
        }
        self.rows.registry.set_levels(&self.in_force.rules);
        for (rank, entry) in self.rows.registry.ranks.iter().filter(|(id, _)| !known_ranks.contains(id)) {
            let cut = match entry.program.cut {
                Cut::Top(count) => RankCut::Top(count),
                Cut::Percent(percent) => RankCut::PercentUnits(percent.units()),
            };
            self.output.rank_inputs.push(RankInput::Define { rank, descending: entry.program.descending, cut });
        }
    }

    /// Forgets rules that were installed and not put in force.
    pub fn uninstall(&mut self, rules: &[SegmentId]) {
        self.evaluation.plans = None;
        let membership = self.membership();
        let mut guard = membership.write();
        self.scans.under_way = None;
        for name in rules {
            if let Some(rule) = self.in_force.installed.remove(name) {
                self.rows.drop_rule(rule, &mut guard, &mut self.output);
            }
        }
        drop(guard);
        self.rows.registry.set_levels(&self.in_force.rules);
        self.backfill_done();
        self.rows.sweep(&mut self.scans.columns);
    }

    /// Feeds history to the measures that are being backfilled. The scan that follows finds when their users are due, once
    /// for each user and not for every event.
    pub fn backfill(&mut self, history: &[u8]) -> Result<(), OperatorError> {
        let backfilling: HashMap<u32, Boundary> = self
            .rows
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
        let mut first = if keys.is_empty() { Vec::new() } else { self.intake.messages.first(&keys)? }.into_iter();
        let mut counting: Vec<(u64, EventRef<'_>)> = Vec::with_capacity(events.len());
        for event in events {
            let repeated = event.message().is_some() && first.next().flatten() != Some(event.sequence());
            if !repeated {
                counting.push((user_hash(event.user_bytes()), event));
            }
        }
        let mut listeners = Listeners::default();
        for measure in backfilling.keys() {
            if let Some(definition) = self.rows.registry.measures.get(*measure) {
                listeners.add(*measure, &definition.key);
            }
        }
        let membership = self.membership();
        let mut guard = membership.write();
        for together in counting.chunks(EVENTS_A_TURN) {
            guard.users.fetch(together.iter().map(|(hash, _)| *hash));
            let slots =
                together.iter().map(|(hash, event)| self.rows.slot_of_hash(*hash, event.user_bytes(), &mut guard));
            let slots: Vec<u32> = slots.collect();
            self.rows.fetch(slots.iter().copied());
            for (slot, (_, event)) in slots.iter().zip(together) {
                if !self.scans.backfilled.contains(slot) {
                    self.rows.backfill_event(*slot, event, &listeners, &backfilling, self.time.clock);
                }
            }
            RwLockWriteGuard::bump(&mut guard);
        }
        Ok(())
    }

    /// The history of every measure is complete.
    pub fn backfill_done(&mut self) {
        let ids: Vec<u32> = self.rows.registry.measures.iter().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(measure) = self.rows.registry.measures.get_mut(id) {
                measure.backfill = None;
            }
        }
        self.scans.backfilled.clear();
    }

    /// Puts changes in force at `at`; `lists` are the users of this worker that the lists name, resolved.
    pub fn publish(&mut self, publications: &[Publication], lists: &HashMap<SegmentId, Vec<String>>, at: Millis) {
        self.evaluation.plans = None;
        let membership = self.membership();
        let mut guard = membership.write();
        let has_references = self.rows.registry.has_references();
        for publication in publications {
            self.publish_one(publication, lists, at, &mut guard);
            if has_references {
                self.rows.registry.set_levels(&self.in_force.rules);
            }
        }
        drop(guard);
        // One may have been made in between.
        self.evaluation.plans = None;
        self.rows.sweep(&mut self.scans.columns);
    }

    fn publish_one(
        &mut self,
        publication: &Publication,
        lists: &HashMap<SegmentId, Vec<String>>,
        at: Millis,
        membership: &mut Membership,
    ) {
        let segment = &publication.segment;
        let index = self.segments.number_or_new(segment);
        if let SegmentContent::Unchanged = publication.content {
            self.segments.set_version(index, publication.version);
            return;
        }
        let old_rule = self.in_force.published.remove(segment).and_then(|published| published.rule);
        let old_bitmap = membership.segments.remove(segment);
        self.in_force.rules.remove(segment);
        self.in_force.lists.remove(segment);
        let (new_rule, new_bitmap) = self.take_content(publication, lists, membership);
        let empty = RoaringBitmap::new();
        let old = old_bitmap.map_or(&empty, |bitmap| membership.bitmap(bitmap));
        let new = new_bitmap.map_or(&empty, |bitmap| membership.bitmap(bitmap)).clone();
        let changed = old ^ &new;
        self.segments.set_version(index, publication.version);
        if let Some(bitmap) = new_bitmap {
            membership.segments.insert(segment.clone(), bitmap);
            self.in_force.published.insert(segment.clone(), PublishedSegment { index, rule: new_rule });
        }
        if !self.time.silent {
            self.output.note(&changed, index, |user| new.contains(user), at);
        }
        match old_rule {
            Some(rule) => self.rows.drop_rule(rule, membership, &mut self.output),
            None => drop(old_bitmap.map(|bitmap| membership.free_bitmap(bitmap))),
        }
        if let Some(predicate) = self.rows.registry.segment_predicate(segment) {
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
            SegmentContent::Rule => self.in_force.installed.remove(segment),
            SegmentContent::List(_) | SegmentContent::Unchanged | SegmentContent::Nothing => None,
        };
        let new_bitmap = match &publication.content {
            SegmentContent::Rule => {
                new_rule.and_then(|rule| self.rows.registry.rules.get(rule)).map(|rule| rule.members)
            }
            SegmentContent::List(list) => {
                self.in_force.lists.insert(segment.clone(), list.clone());
                let bitmap = membership.add_bitmap();
                for user in lists.get(segment).into_iter().flatten() {
                    let slot = self.rows.slot_of(user, membership);
                    membership.bitmap_mut(bitmap).insert(slot);
                }
                Some(bitmap)
            }
            SegmentContent::Unchanged | SegmentContent::Nothing => None,
        };
        if let Some(rule) = new_rule {
            if let Some(rule) = self.rows.registry.rules.get_mut(rule) {
                rule.role = RuleRole::Published(segment.clone());
                if self.time.silent {
                    // Nobody is looked at before `activate` looks at everybody.
                    rule.scanned = u32::MAX;
                }
            }
            self.in_force.rules.insert(segment.clone(), rule);
        }
        (new_rule, new_bitmap)
    }

    /// Ends the silence of a start: computes every membership from the state, and gives out nothing.
    pub fn activate(&mut self) {
        self.evaluation.plans = None;
        let membership = self.membership();
        let now = self.time.clock;
        self.time.done_until = now;
        self.rows.registry.drop_unneeded_measures();
        self.rows.registry.measures_scanned(u32::MAX);
        let ranks: Vec<u32> = self.rows.registry.ranks.iter().map(|(id, _)| id).collect();
        for rank in ranks {
            let among = self.rows.registry.ranks.get_mut(rank).and_then(|entry| {
                entry.scanned = u32::MAX;
                entry.among
            });
            if let Some(rule) = among.and_then(|among| self.rows.registry.rules.get_mut(among)) {
                rule.scanned = u32::MAX;
            }
        }
        let users = self.rows.users.len() as u32;
        for slot in 0..users {
            self.rows.bring_to(slot, now);
        }
        let rules: Vec<RuleId> = self.rows.registry.rules.iter().map(|(id, _)| id).collect();
        self.rows.enter_members(&rules, 0..users, now, &membership);
        self.time.silent = false;
        let ranks: Vec<u32> = self.rows.registry.ranks.iter().map(|(id, _)| id).collect();
        let guard = membership.read();
        for rank in ranks {
            for slot in (0..users).filter(|slot| self.rows.users[*slot as usize].known).collect::<Vec<_>>() {
                let input = self.rows.rank_input(rank, slot, now, &guard);
                self.output.rank_inputs.extend(input);
            }
        }
        drop(guard);
        self.rows.sweep(&mut self.scans.columns);
    }
}

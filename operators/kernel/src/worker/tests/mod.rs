//! A worker's state beside the naive evaluator, which has all accepted events, and beside the evaluation of one rule.

mod checkpoint;
mod rules;
mod scan;
mod tick;

use std::collections::{BTreeMap, BTreeSet};

use audience_rules::ast::SegmentId;
use audience_rules::catalogue::{Catalogue, Definition, Segment, SegmentStatus};
use audience_rules::json::parse_json;
use audience_rules::oracle::World;
use audience_rules::parse::{NoTraits, parse_rules};
use audience_rules::record::{RecordKind, erasure, set_sequence};
use fastrand::Rng;
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::rows::PendingEvent;
use super::*;
use crate::aliases::{Aliases, IdSince, Identified, UserMerge, newest_naming};
use crate::cell::Cell;
use crate::message::{
    IdentityChange, IdentityChangeKind, Publication, Routed, SegmentContent, TickClock, WorkerChange,
};
use crate::program::Program;
use crate::registry::{Boundary, RuleId};
use crate::testing::{event, pick, record};

/// 2026-01-01T00:00:00Z.
const START: Millis = 1_767_225_600_000;

/// The accepted records, in order.
#[derive(Default)]
struct MemoryHistory(Mutex<Vec<Vec<u8>>>);

impl UserHistory for MemoryHistory {
    fn of_users(&self, ids: &[&str], before: u64) -> Result<Vec<u8>, StoreError> {
        let records = self.0.lock();
        let is_of_users = |record: &&Vec<u8>| {
            let event = event(record);
            let is_named = |id: &str| ids.contains(&id);
            event.sequence() < before && (is_named(event.user()) || event.other().is_some_and(is_named))
        };
        Ok(records.iter().filter(is_of_users).flatten().copied().collect())
    }
}

/// The least sequence number of each message.
#[derive(Default)]
struct ModelMessages(Mutex<BTreeMap<u128, u64>>);

impl MessageIndex for ModelMessages {
    fn note(&self, messages: &[(u128, u64)]) -> Result<Vec<u64>, StoreError> {
        let mut known = self.0.lock();
        let least = |(key, sequence): &(u128, u64)| {
            let known = known.entry(*key).or_insert(*sequence);
            *known = (*known).min(*sequence);
            *known
        };
        Ok(messages.iter().map(least).collect())
    }

    fn first(&self, keys: &[u128]) -> Result<Vec<Option<u64>>, StoreError> {
        let known = self.0.lock();
        Ok(keys.iter().map(|key| known.get(key).copied()).collect())
    }

    fn forget(&self, keys: &[u128], below: u64) -> Result<(), StoreError> {
        self.0.lock().retain(|key, sequence| !keys.contains(key) || *sequence >= below);
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The merge that an event brings about, as the operators before the worker find it.
fn merge_of(
    aliases: &mut Aliases,
    event: &audience_rules::record::EventRef<'_>,
    history: &MemoryHistory,
) -> Option<UserMerge> {
    let other = event.other()?;
    if event.merges_named() {
        return aliases.merge(other, event.user());
    }
    let is_named = |ids: &[IdSince]| {
        let names: Vec<&str> = ids.iter().map(|(id, _)| id.as_str()).collect();
        let found = history.of_users(&names, event.sequence())?;
        Ok::<_, StoreError>(newest_naming(&found, ids, event.sequence()).is_some())
    };
    match aliases.identify(other, event.user(), is_named).expect("memory answers") {
        Identified::Merged(merged) => Some(merged),
        Identified::Same | Identified::Refused => None,
    }
}

/// A worker that has all users, and what it is held to.
struct ModelledWorker {
    worker: WorkerState,
    world: World,
    now: Millis,
    history: Arc<MemoryHistory>,
    messages: Arc<ModelMessages>,
    aliases: Aliases,
    sequence: u64,
    /// The members by the changes that were given out.
    given_out: BTreeSet<(u32, u32)>,
}

impl ModelledWorker {
    fn new() -> Self {
        let (history, messages) = (Arc::new(MemoryHistory::default()), Arc::new(ModelMessages::default()));
        ModelledWorker {
            worker: WorkerState::new(history.clone(), messages.clone()),
            world: World::new(Catalogue::default()),
            now: START,
            history,
            messages,
            aliases: Aliases::default(),
            sequence: 0,
            given_out: BTreeSet::new(),
        }
    }

    /// Accepts a record, and routes it as the dataflow does.
    fn accept(&mut self, mut record: Vec<u8>, routed: &mut Routed) {
        let (sequence, at) = (self.sequence, self.now);
        self.sequence += 1;
        set_sequence(&mut record, sequence);
        self.world.accept(&record);
        let event = event(&record);
        let mut identity = |user: String, fate| routed.merges.push(IdentityChange { user, sequence, at, fate });
        if event.kind() == RecordKind::Erasure {
            let ids = self.aliases.erase(event.user(), sequence);
            ids.iter().for_each(|id| identity(id.clone(), IdentityChangeKind::Erased(ids.clone())));
        } else if let Some(merged) = merge_of(&mut self.aliases, &event, &self.history) {
            identity(merged.from.to_string(), IdentityChangeKind::Gone);
            identity(merged.into.to_string(), IdentityChangeKind::Made(merged.ids));
        }
        if event.kind().counts() {
            self.route(&event, &mut routed.records);
        }
        self.history.0.lock().push(record);
    }

    fn route(&self, event: &audience_rules::record::EventRef<'_>, out: &mut Vec<u8>) {
        match self.aliases.root(event.user()) {
            Some(root) => event.write_as(root, out),
            None => out.extend_from_slice(event.bytes()),
        }
    }

    /// A tick of now, with these records.
    fn tick(&mut self, records: Vec<Vec<u8>>) {
        let mut routed = Routed::default();
        records.into_iter().for_each(|record| self.accept(record, &mut routed));
        self.worker.tick(TickInput { clock: TickClock::at(self.now), routed: vec![routed] }).expect("a tick");
        self.fold_changes();
    }

    /// A tick of random events, after a random while.
    fn some_tick(&mut self, users: u32, random: &mut Rng) {
        self.now += *pick(random, &[0, 1, 400, 1_000, 2_500, 10_000]);
        let records = (0..random.usize(0..4)).map(|_| some_record(self.now, users, random)).collect();
        self.tick(records);
    }

    /// Begins to compute rules, with all history.
    fn install_with_history(&mut self, rules: &[(&str, &str)]) {
        self.install(rules);
        self.backfill();
    }

    /// Begins to compute rules, whose history is yet to come.
    fn install(&mut self, rules: &[(&str, &str)]) {
        let rules: Vec<(SegmentId, Arc<Program>)> =
            rules.iter().map(|(id, text)| (id[..].into(), compile(text))).collect();
        self.worker.install(&rules, Some(Boundary { sequence: self.sequence, clock: self.now }));
    }

    /// Brings the history of what was installed, found in all that was accepted by now.
    fn backfill(&mut self) {
        let records = self.history.0.lock().clone();
        let mut history = Vec::new();
        for record in &records {
            let event = event(record);
            if event.kind().counts() && !self.aliases.is_erased(&event) {
                self.route(&event, &mut history);
            }
        }
        self.worker.backfill(&history).expect("a backfill");
        self.worker.backfill_done();
    }

    /// Puts rules in force that everybody was looked at for.
    fn publish(&mut self, rules: &[(&str, &str)]) {
        let publication =
            |(id, _): &(&str, &str)| Publication { segment: id[..].into(), version: 1, content: SegmentContent::Rule };
        let publications: Vec<Publication> = rules.iter().map(publication).collect();
        self.worker.publish(&publications, &HashMap::new(), self.now);
        for (id, text) in rules {
            let definition = Definition::Dynamic(parse(text).into());
            let status = SegmentStatus::Active;
            self.world.catalogue.put_segment(Segment { id: id[..].into(), version: 1, status, definition });
        }
        self.fold_changes();
    }

    fn fold_changes(&mut self) {
        for change in self.worker.output.changes.drain(..) {
            let member = (change.user, change.segment);
            let is_change = if change.entered { self.given_out.insert(member) } else { self.given_out.remove(&member) };
            assert!(is_change, "{change:?} says nothing new");
        }
    }

    /// Goes on with another worker, in which the memberships given out so far hold.
    fn replace_worker(&mut self, worker: WorkerState) {
        self.worker = worker;
        self.given_out.clear();
        for (segment, rule) in &self.worker.in_force.rules {
            let index = self.worker.segments.number(segment).expect("a number");
            self.given_out.extend(self.members(*rule).into_iter().map(|user| (user, index)));
        }
    }

    /// Returns the users that fulfil a rule, looking at each by itself.
    fn fulfilling(&self, rule: RuleId) -> BTreeSet<u32> {
        let membership = self.worker.membership.read();
        let known = (0..).zip(&self.worker.rows.users).filter(|(_, user)| user.known).map(|(slot, _)| slot);
        known.filter(|slot| self.worker.rows.holds(rule, *slot, self.now, &membership)).collect()
    }

    /// The members that a rule's bitmap has.
    fn members(&self, rule: RuleId) -> BTreeSet<u32> {
        let rule = self.worker.rows.registry.rules.get(rule).expect("a rule");
        self.worker.membership.read().bitmap(rule.members).iter().collect()
    }

    /// Memberships are those of one rule for one user at a time, of the naive evaluator, and of the changes given out.
    fn check(&self) {
        let membership = self.worker.membership.read();
        for (segment, rule) in &self.worker.in_force.rules {
            assert_eq!(self.members(*rule), self.fulfilling(*rule), "{segment} by one rule at {}", self.now);
            let found: BTreeSet<&str> = membership.members(segment).collect();
            let expected = self.world.members(segment, self.now);
            assert_eq!(found, expected.iter().map(|user| &**user).collect(), "{segment} by the law at {}", self.now);
            let index = self.worker.segments.number(segment).expect("a number");
            let given_out: BTreeSet<u32> =
                self.given_out.iter().filter(|(_, segment)| *segment == index).map(|(user, _)| *user).collect();
            assert_eq!(self.members(*rule), given_out, "{segment} by its changes at {}", self.now);
        }
        let known = self.worker.rows.users.iter().filter(|user| user.known).count() as u64;
        assert_eq!((known, self.worker.rows.known_users), (self.world.known_users().len() as u64, known));
    }
}

fn parse(rule: &str) -> audience_rules::ast::Node {
    parse_rules(&parse_json(rule.as_bytes()).expect("JSON"), &NoTraits).expect("a rule")
}

fn compile(rule: &str) -> Arc<Program> {
    Arc::new(Program::compile(&parse(rule), &Catalogue::default()))
}

/// Something that one of a few users does, or that is done to them.
fn some_record(now: Millis, users: u32, random: &mut Rng) -> Vec<u8> {
    let user = format!("u{}", random.u32(..users));
    let timestamp = now + *pick(random, &[0, 0, 0, -1, -999, -3_000, -20_000, 1, 2_000]);
    let message = if random.u8(..5) == 0 { format!(r#", "messageId": "m{}""#, random.u8(..4)) } else { String::new() };
    let value = pick(random, &["1", "2", "2.5", "-3", "10", "10000000000", r#""x""#, r#""yx""#, "null"]);
    let json = match random.u8(..30) {
        0 => {
            let mut record = Vec::new();
            erasure(&user, now, &mut record);
            return record;
        }
        1 => format!(r#"{{"userId": "{user}", "eventType": "alias", "previousId": "u{}"}}"#, random.u32(..users)),
        2 => format!(
            r#"{{"userId": "{user}", "eventType": "identify", "anonymousId": "u{}"{message}}}"#,
            random.u32(..users)
        ),
        3 => format!(r#"{{"anonymousId": "{user}", "eventType": "a"{message}}}"#),
        4..9 => format!(
            r#"{{"userId": "{user}", "eventType": "identify", "timestamp": {timestamp}, "traits": {{"n": {value}}}{message}}}"#
        ),
        _ => {
            let name = pick(random, &["a", "a", "b"]);
            format!(
                r#"{{"userId": "{user}", "eventType": "{name}", "timestamp": {timestamp}, "properties": {{"v": {value}}}{message}}}"#
            )
        }
    };
    record(&json, now, 0)
}

//! The law in standard differential operators: the specification that the kernel is held to.
//!
//! Law: membership(t) = evaluate(rules in force at t, every event accepted with timestamp ≤ t, t), as a delta join over
//! three collections: events, rules and the clock. Everything follows from them by `map`, `join`, `reduce`, `distinct`
//! and `iterate`; the operators keep all state. The kernel computes the same changes from rows of its own, 5 to 10 times
//! faster.
//!
//! Cost: a step of the clock makes every value again, users × leaves × events. Small data only.
//!
//! - [`plan`]: the rules as a collection of rows.
//! - [`measure`]: the value of one leaf over one user's events.
//! - [`dataflow`]: the collections, from events, rules and clock to memberships.
//!
//! `audience replay --kernel standard` runs timelines and files of events on it.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod dataflow;
pub mod measure;
pub mod plan;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use audience_rules::ast::Millis;
use audience_rules::catalogue::{Catalogue, Definition, Segment};
use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::fault::Fault;
use audience_rules::oracle::World;
use audience_rules::record::{Erased, EventRef, erasure, records, set_sequence};
use audience_rules::timeline::{SegmentDefinition, SegmentLine, Subject};
use audience_rules::value::Value;
use audience_rules::zone::ZoneId;
use differential_dataflow::input::InputSession;
use timely::dataflow::operators::probe::Handle as ProbeHandle;
use timely::worker::Worker;

use plan::{PlanRow, rows};

/// How often each (segment, user) is among the members: once, or not at all.
type MembershipCounts = Rc<RefCell<BTreeMap<(String, String), isize>>>;

/// The three collections that everything follows from.
struct Inputs {
    records: InputSession<u64, (u64, Vec<u8>), isize>,
    rows: InputSession<u64, PlanRow, isize>,
    clock: InputSession<u64, Millis, isize>,
}

/// The specification on one worker: the subject of a timeline, or of a file of events.
pub struct Reference<'w> {
    worker: &'w mut Worker,
    inputs: Inputs,
    probe: ProbeHandle<u64>,
    members: MembershipCounts,
    catalogue: Catalogue,
    in_force: BTreeSet<PlanRow>,
    now: Millis,
    sequence: u64,
    line: u64,
    decoder: EventDecoder,
    /// The ids that are one user, for erasure.
    ids: World,
    /// Every record that was not erased.
    accepted: Vec<(u64, Vec<u8>)>,
}

impl<'w> Reference<'w> {
    /// An empty reference on a worker.
    pub fn new(worker: &'w mut Worker) -> Self {
        let members = MembershipCounts::default();
        let into = members.clone();
        let probe = ProbeHandle::new();
        let mut inputs = Inputs { records: InputSession::new(), rows: InputSession::new(), clock: InputSession::new() };
        worker.dataflow::<u64, _, _>(|scope| {
            let records = inputs.records.to_collection(scope);
            let (rows, clock) = (inputs.rows.to_collection(scope), inputs.clock.to_collection(scope));
            dataflow::members(records, rows, clock)
                .consolidate()
                .inspect(move |(member, _, change)| *into.borrow_mut().entry(member.clone()).or_default() += *change)
                .probe_with(&probe);
        });
        inputs.clock.insert(0);
        Reference {
            worker,
            inputs,
            probe,
            members,
            catalogue: Catalogue::with_shipped_traits(),
            in_force: BTreeSet::new(),
            now: 0,
            sequence: 0,
            line: 0,
            decoder: EventDecoder::new(),
            ids: World::default(),
            accepted: Vec::new(),
        }
    }

    /// Puts a whole catalogue in force.
    pub fn set_catalogue(&mut self, catalogue: Catalogue) {
        self.catalogue = catalogue;
        self.edit();
    }

    /// Accepts records and moves the clock to `now`, all in one step of logical time. Returns once the memberships follow.
    pub fn accept(&mut self, bytes: &[u8], now: Millis) {
        for record in records(bytes) {
            self.insert(record.bytes().to_vec());
        }
        self.at(now);
    }

    /// Every membership as (user, segment), in no order.
    pub fn memberships(&self) -> Vec<(String, String)> {
        let members = self.members.borrow();
        let present = members.iter().filter(|(_, count)| **count > 0);
        present.map(|((segment, user), _)| (user.clone(), segment.clone())).collect()
    }

    fn insert(&mut self, mut record: Vec<u8>) {
        set_sequence(&mut record, self.sequence);
        self.ids.accept(&record);
        self.inputs.records.insert((self.sequence, record.clone()));
        self.accepted.push((self.sequence, record));
        self.sequence += 1;
    }

    /// Ends a step of logical time: everything follows from it before the next.
    fn end_line(&mut self) {
        self.line += 1;
        let Inputs { records, rows, clock } = &mut self.inputs;
        records.advance_to(self.line);
        records.flush();
        rows.advance_to(self.line);
        rows.flush();
        clock.advance_to(self.line);
        clock.flush();
        while self.probe.less_than(&self.line) {
            self.worker.step();
        }
    }

    /// Feeds the difference between the rules in force and the catalogue's.
    fn edit(&mut self) {
        let next = rows(&self.catalogue);
        self.in_force.difference(&next).for_each(|row| self.inputs.rows.remove(row.clone()));
        next.difference(&self.in_force).for_each(|row| self.inputs.rows.insert(row.clone()));
        self.in_force = next;
        self.end_line();
    }
}

/// Runs `body` with an empty reference on a worker of its own.
pub fn run<T, F>(body: F) -> T
where
    T: Send + 'static,
    F: FnOnce(&mut Reference<'_>) -> T + Send + Sync + 'static,
{
    timely::execute_directly(move |worker| body(&mut Reference::new(worker)))
}

fn all(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}

impl Subject for Reference<'_> {
    fn at(&mut self, now: Millis) {
        self.inputs.clock.remove(self.now);
        self.inputs.clock.insert(now);
        self.now = now;
        self.end_line();
    }

    fn event(&mut self, json: &[u8]) -> Result<(), String> {
        let mut record = Vec::new();
        let defaults = EventDefaults { accepted_at: self.now };
        self.decoder.decode(json, &defaults, &mut record).map_err(|fault| fault.to_string())?;
        self.insert(record);
        self.end_line();
        Ok(())
    }

    /// Retracts every record of the user, aliases too, as if they had never been accepted; and the ids of the user from
    /// `identify` events of others.
    fn erase_user(&mut self, id: &str) -> Result<(), String> {
        let user = self.ids.resolve(id);
        for (sequence, record) in std::mem::take(&mut self.accepted) {
            let Some((event, _)) = EventRef::read(&record) else { continue };
            let mut left = Vec::new();
            let erased = Erased::of(&event, |id| self.ids.resolve(id) == user);
            erased.write(&event, &mut left);
            if erased != Erased::Nothing {
                self.inputs.records.remove((sequence, record));
            }
            if erased == Erased::Other {
                self.inputs.records.insert((sequence, left.clone()));
            }
            if erased != Erased::Whole {
                self.accepted.push((sequence, left));
            }
        }
        let mut record = Vec::new();
        erasure(id, self.now, &mut record);
        self.ids.accept(&record);
        self.end_line();
        Ok(())
    }

    fn set_timezone(&mut self, name: &str) -> Result<(), String> {
        let zone = ZoneId::named(name).ok_or_else(|| format!("`{name}` is no time zone"))?;
        self.catalogue.timezone = zone;
        self.decoder.set_zone(zone);
        self.edit();
        Ok(())
    }

    fn put_trait(&mut self, json: &Value) -> Result<(), String> {
        let computed = self.catalogue.check_trait(json).map_err(|faults| all(&faults))?;
        self.catalogue.put_trait(computed);
        self.edit();
        Ok(())
    }

    fn put_segment(&mut self, line: &SegmentLine) -> Result<(), String> {
        let definition = match &line.definition {
            SegmentDefinition::Dynamic(rules) => {
                Definition::Dynamic(self.catalogue.check_rules(&line.id, rules).map_err(|faults| all(&faults))?.into())
            }
            SegmentDefinition::Static(users) => {
                let users: BTreeSet<Arc<str>> = users.iter().map(|user| user.as_str().into()).collect();
                Definition::Static(users.into())
            }
        };
        let id = line.id.as_str().into();
        self.catalogue.put_segment(Segment { id, version: 1, status: line.status, definition });
        self.edit();
        Ok(())
    }

    fn delete_segment(&mut self, id: &str) -> Result<(), String> {
        self.catalogue.check_delete_segment(id).map_err(|fault| fault.to_string())?;
        self.catalogue.delete_segment(id).ok_or_else(|| format!("there is no segment `{id}`"))?;
        self.edit();
        Ok(())
    }

    fn members(&mut self, segment: &str) -> Vec<String> {
        let members = self.members.borrow();
        let found = members.iter().filter(|((of, _), count)| of == segment && **count > 0);
        found.map(|((_, user), _)| user.clone()).collect()
    }

    fn refuse(&mut self, id: &str, rules: &Value) -> Vec<String> {
        let faults = self.catalogue.check_rules(id, rules).err().unwrap_or_default();
        faults.into_iter().map(|fault| fault.pointer).collect()
    }
}

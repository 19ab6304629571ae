//! Resolves users through aliases and sends every record to the worker of its user.
//!
//! A tick is done when all of it, and all that other workers have announced of it, is there; aliases take effect in the
//! order of acceptance, between the records of that order.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use audience_rules::ast::{Millis, SegmentId};
use audience_rules::record::{EventRef, records};
use hashbrown::HashMap;
use parking_lot::RwLock;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::announce::{AliasNote, Announcement, Local, UNKNOWN_CLOCK};
use super::{Inward, STRIDE};
use crate::aliases::Aliases;
use crate::membership::shard_of;
use crate::message::{Clock, Content, Control, Fate, Merge, Routed};

/// What a worker does by itself in a tick.
#[derive(Clone, Debug)]
pub enum Directed {
    /// Merges of its users.
    Merges(Vec<Merge>),
    /// A change of what is computed; with the users of this worker that its lists name.
    Control(Arc<Control>, HashMap<SegmentId, Vec<String>>),
    /// The time of the tick.
    Clock(Clock),
    /// Lines that were refused.
    Refused(u64, String),
    /// The aliases, for a checkpoint.
    Aliases(Aliases),
}

#[derive(Default)]
struct Tick {
    locals: Vec<Local>,
    announcements: Vec<Announcement>,
}

/// The operator.
pub fn route<'scope>(
    local: StreamVec<'scope, u64, Local>,
    announcements: StreamVec<'scope, u64, Announcement>,
    aliases: Rc<RefCell<Aliases>>,
    mirror: Option<Arc<RwLock<Aliases>>>,
) -> (StreamVec<'scope, u64, Routed>, StreamVec<'scope, u64, Directed>) {
    let scope = local.scope();
    let mut router =
        Router { aliases, mirror, worker: scope.index() as u64, peers: scope.peers() as u64, clock: UNKNOWN_CLOCK };
    let mut builder = OperatorBuilder::new("Route".to_owned(), scope);
    let mut local = builder.new_input(local, Pipeline);
    let mut announcements = builder.new_input(announcements, Exchange::new(|told: &Announcement| told.worker));
    let (routed, routed_stream) = builder.new_output();
    let (directed, directed_stream) = builder.new_output();
    let mut routed = OutputBuilder::from(routed);
    let mut directed = OutputBuilder::from(directed);
    builder.build(move |mut capabilities| {
        capabilities.clear();
        let mut ticks: BTreeMap<u64, (Capability<u64>, Capability<u64>, Tick)> = BTreeMap::new();
        move |frontiers| {
            local.for_each_time(|time, data| {
                let entry =
                    ticks.entry(*time.time()).or_insert_with(|| (time.retain(0), time.retain(1), Tick::default()));
                data.for_each(|batch| entry.2.locals.append(batch));
            });
            announcements.for_each_time(|time, data| {
                let entry =
                    ticks.entry(*time.time()).or_insert_with(|| (time.retain(0), time.retain(1), Tick::default()));
                data.for_each(|batch| entry.2.announcements.append(batch));
            });
            let mut routed = routed.activate();
            let mut directed = directed.activate();
            while let Some(first) = ticks.first_entry() {
                let time = *first.key();
                if frontiers.iter().any(|frontier| frontier.less_equal(&time)) {
                    break;
                }
                let (routed_capability, directed_capability, tick) = first.remove();
                let (blobs, own) = router.route(tick);
                routed.session(&routed_capability).give_iterator(blobs.into_iter());
                directed.session(&directed_capability).give_iterator(own.into_iter());
                debug_assert_eq!(time % STRIDE, 0, "inputs stand at the first place of a tick");
            }
        }
    });
    (routed_stream, directed_stream)
}

struct Router {
    aliases: Rc<RefCell<Aliases>>,
    /// The same table for readers outside; kept by one worker.
    mirror: Option<Arc<RwLock<Aliases>>>,
    worker: u64,
    peers: u64,
    /// The greatest timestamp so far, where the clock follows the events.
    clock: Millis,
}

impl Router {
    fn owner(&self, user: &str) -> u64 {
        shard_of(user) % self.peers
    }

    fn route(&mut self, tick: Tick) -> (Vec<Routed>, Vec<Directed>) {
        let mut blobs: Vec<Routed> = (0..self.peers).map(|worker| Routed { worker, ..Routed::default() }).collect();
        let before = self.clocks_before(&tick.announcements);
        let mut notes: Vec<_> = tick.announcements.into_iter().flat_map(|told| told.aliases).collect();
        notes.sort_unstable();
        let mut own = Vec::new();
        let mut merges = Vec::new();
        let mut history = Vec::new();
        let mut waiting = notes.into_iter().peekable();
        let (mut records_of_tick, others) = split(tick.locals);
        if waiting.peek().is_some() {
            sort_by_sequence(&mut records_of_tick);
        }
        for (slice, bytes) in &records_of_tick {
            let floor = slice.and_then(|slice| before.get(&slice).copied()).unwrap_or(UNKNOWN_CLOCK);
            for record in records(bytes) {
                while let Some(note) = waiting.next_if(|note| note.sequence <= record.sequence()) {
                    self.take_note(&note, note.at.max(floor), &mut merges);
                }
                if record.kind().counts() {
                    self.send(&record, floor, &mut blobs);
                }
            }
        }
        for note in waiting {
            self.take_note(&note, note.at, &mut merges);
        }
        own.push(Directed::Merges(merges));
        let mut clock = None;
        for item in others {
            match item {
                Local::Refused(count, first) => own.push(Directed::Refused(count, first)),
                Local::Other(Inward::Backfill(bytes)) => history.push(bytes),
                Local::Other(Inward::Control(control)) => match &*control {
                    Control::Clock(given) => clock = Some(*given),
                    Control::Capture { shards, .. } if shards.start == 0 && self.worker == 0 => {
                        own.push(Directed::Aliases(self.aliases.borrow().clone()));
                        own.push(self.direct(control));
                    }
                    _ => own.push(self.direct(control)),
                },
                _ => {}
            }
        }
        for record in history.iter().flat_map(|bytes| records(bytes)) {
            self.send_history(&record, &mut blobs);
        }
        match clock {
            Some(clock) => own.push(Directed::Clock(clock)),
            // What happens in the last second may yet be joined by more of that second.
            None if self.clock != UNKNOWN_CLOCK => {
                own.push(Directed::Clock(Clock { now: self.clock, limit: self.clock.div_euclid(1000) * 1000 - 1 }));
            }
            None => {}
        }
        blobs.retain(|blob| !blob.records.is_empty() || !blob.backfill.is_empty());
        (blobs, own)
    }

    /// The clock before each slice; the clock moves behind the last.
    fn clocks_before(&mut self, announcements: &[Announcement]) -> HashMap<u32, Millis> {
        let mut slices: Vec<(u32, Millis)> = announcements.iter().filter_map(|told| told.slice).collect();
        slices.sort_unstable();
        let mut before = HashMap::with_capacity(slices.len());
        for (slice, greatest) in slices {
            before.insert(slice, self.clock);
            self.clock = self.clock.max(greatest);
        }
        before
    }

    fn take_note(&mut self, note: &AliasNote, at: Millis, merges: &mut Vec<Merge>) {
        match &note.previous {
            Some(previous) => self.merge(previous, &note.user, note.sequence, at, merges),
            None => self.erase(&note.user, note.sequence, at, merges),
        }
    }

    /// Every id of the user is told: each is one by itself again, with its own entries in lists.
    fn erase(&mut self, user: &str, sequence: u64, at: Millis, merges: &mut Vec<Merge>) {
        let ids = self.aliases.borrow_mut().erase(user, sequence);
        if let Some(mirror) = &self.mirror {
            mirror.write().erase(user, sequence);
        }
        for id in ids.iter().filter(|id| self.owner(id) == self.worker) {
            merges.push(Merge { user: id.clone(), sequence, at, fate: Fate::Erased(ids.clone()) });
        }
    }

    fn merge(&mut self, previous: &str, user: &str, sequence: u64, at: Millis, merges: &mut Vec<Merge>) {
        let Some(merged) = self.aliases.borrow_mut().merge(previous, user) else { return };
        if let Some(mirror) = &self.mirror {
            mirror.write().merge(previous, user);
        }
        if self.owner(&merged.from) == self.worker {
            merges.push(Merge { user: merged.from.to_string(), sequence, at, fate: Fate::Gone });
        }
        if self.owner(&merged.into) == self.worker {
            merges.push(Merge { user: merged.into.to_string(), sequence, at, fate: Fate::Made(merged.ids) });
        }
    }

    /// Sends a record to the worker of its user, with its clock raised to `floor`.
    fn send(&self, record: &EventRef<'_>, floor: Millis, blobs: &mut [Routed]) {
        let aliases = self.aliases.borrow();
        let out;
        let start;
        match aliases.root(record.user()) {
            Some(root) => {
                out = &mut blobs[self.owner(root) as usize].records;
                start = out.len();
                record.write_as(root, out);
            }
            None => {
                out = &mut blobs[self.owner(record.user()) as usize].records;
                start = out.len();
                out.extend_from_slice(record.bytes());
            }
        }
        if record.accepted_at() < floor {
            audience_rules::record::set_accepted_at(&mut out[start..], floor);
            if record.timestamp() == UNKNOWN_CLOCK {
                audience_rules::record::set_timestamp(&mut out[start..], floor);
            }
        }
    }

    fn send_history(&self, record: &EventRef<'_>, blobs: &mut [Routed]) {
        let aliases = self.aliases.borrow();
        if record.sequence() < aliases.counts_from(record.user()) {
            return;
        }
        match aliases.root(record.user()) {
            Some(root) => record.write_as(root, &mut blobs[self.owner(root) as usize].backfill),
            None => blobs[self.owner(record.user()) as usize].backfill.extend_from_slice(record.bytes()),
        }
    }

    /// Finds the users of this worker that the lists of a publication name.
    fn direct(&self, control: Arc<Control>) -> Directed {
        let aliases = self.aliases.borrow();
        let mut lists = HashMap::new();
        if let Control::Publish(publications) = &*control {
            for publication in publications {
                let Content::List(list) = &publication.content else { continue };
                let roots = list.iter().map(|id| aliases.root(id).unwrap_or(id));
                let own = roots.filter(|root| self.owner(root) == self.worker).map(|root| root.to_string());
                lists.insert(publication.segment.clone(), own.collect());
            }
        }
        Directed::Control(control, lists)
    }
}

type Records = Vec<(Option<u32>, Vec<u8>)>;

fn split(locals: Vec<Local>) -> (Records, Vec<Local>) {
    let mut records = Vec::new();
    let mut others = Vec::new();
    for local in locals {
        match local {
            Local::Records { slice, bytes } => records.push((slice, bytes)),
            other => others.push(other),
        }
    }
    (records, others)
}

/// Orders runs of records by the sequence number of their first; within a run they are in order.
fn sort_by_sequence(runs: &mut Records) {
    runs.sort_by_key(|(_, bytes)| EventRef::read(bytes).map_or(u64::MAX, |(record, _)| record.sequence()));
}

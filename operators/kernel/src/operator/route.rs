//! Resolves users through aliases and sends every record to the worker of its user.
//!
//! A tick is done when all of it, and all that other workers have announced of it, is there; aliases take effect in the
//! order of acceptance, between the records of that order.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use audience_contract::{StoreError, UserHistory};
use audience_rules::ast::SegmentId;
use audience_rules::record::{EventRef, records};
use hashbrown::HashMap;
use parking_lot::RwLock;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use super::announce::{AliasAction, AliasNote, Announcement};
use super::{Inward, STRIDE};
use crate::aliases::{Aliases, IdSince, Identified, UserMerge, newest_naming};
use crate::membership::shard_of;
use crate::message::{Control, IdentityChange, IdentityChangeKind, Routed, SegmentContent, TickClock};

/// The work that a worker does by itself in a tick.
#[derive(Clone, Debug)]
pub enum Directed {
    /// Merges of its users.
    Merges(Vec<IdentityChange>),
    /// A change of what is computed; with the users of this worker that its lists name.
    Control(Arc<Control>, HashMap<SegmentId, Vec<String>>),
    /// The time of the tick.
    Clock(TickClock),
    /// The aliases, for a checkpoint.
    Aliases(Aliases),
    /// So many `identify` events did not merge, since whom their anonymous ids stand for is named. One worker says so.
    Refused(u64),
    /// The reason why it cannot be decided who a user is.
    Failed(String),
}

/// The effects of a tick's records on who users are.
#[derive(Default)]
struct IdentityNews {
    /// The changes of this worker's users.
    changes: Vec<IdentityChange>,
    /// The `identify` events that did not merge, over all workers.
    refused: u64,
}

#[derive(Default)]
struct RoutedTick {
    locals: Vec<Inward>,
    announcements: Vec<Announcement>,
}

/// The operator.
pub fn route<'scope>(
    local: StreamVec<'scope, u64, Inward>,
    announcements: StreamVec<'scope, u64, Announcement>,
    aliases: Rc<RefCell<Aliases>>,
    mirror: Option<Arc<RwLock<Aliases>>>,
    history: Arc<dyn UserHistory>,
) -> (StreamVec<'scope, u64, Routed>, StreamVec<'scope, u64, Directed>) {
    let scope = local.scope();
    let (worker, peers) = (scope.index() as u64, scope.peers() as u64);
    let mut router = Router { aliases, mirror, history, worker, peers };
    let mut builder = OperatorBuilder::new("Route".to_owned(), scope);
    let mut local = builder.new_input(local, Pipeline);
    let mut announcements = builder.new_input(announcements, Exchange::new(|told: &Announcement| told.worker));
    let (routed, routed_stream) = builder.new_output();
    let (directed, directed_stream) = builder.new_output();
    let mut routed = OutputBuilder::from(routed);
    let mut directed = OutputBuilder::from(directed);
    builder.build(move |mut capabilities| {
        capabilities.clear();
        let mut ticks: BTreeMap<u64, (Capability<u64>, Capability<u64>, RoutedTick)> = BTreeMap::new();
        move |frontiers| {
            local.for_each_time(|time, data| {
                let entry = ticks
                    .entry(*time.time())
                    .or_insert_with(|| (time.retain(0), time.retain(1), RoutedTick::default()));
                data.for_each(|batch| entry.2.locals.append(batch));
            });
            announcements.for_each_time(|time, data| {
                let entry = ticks
                    .entry(*time.time())
                    .or_insert_with(|| (time.retain(0), time.retain(1), RoutedTick::default()));
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
    /// Knows who is named.
    history: Arc<dyn UserHistory>,
    worker: u64,
    peers: u64,
}

impl Router {
    fn owner(&self, user: &str) -> u64 {
        self.owner_of(user.as_bytes())
    }

    fn owner_of(&self, user: &[u8]) -> u64 {
        shard_of(user) % self.peers
    }

    fn route(&mut self, tick: RoutedTick) -> (Vec<Routed>, Vec<Directed>) {
        let mut blobs: Vec<Routed> = (0..self.peers).map(|worker| Routed { worker, ..Routed::default() }).collect();
        let mut parts = Parts::of(tick.locals);
        let bytes: usize = parts.records.iter().map(Vec::len).sum();
        for blob in &mut blobs {
            // Each gets about as much as the others.
            blob.records.reserve((bytes + bytes / 8) / self.peers as usize);
        }
        let news = self.send_records(&mut parts.records, tick.announcements, &mut blobs);
        for record in parts.history.iter().flat_map(|bytes| records(bytes)) {
            if !self.aliases.borrow().is_erased(&record) {
                self.send(&record, &mut blobs, |blob| &mut blob.backfill);
            }
        }
        let mut own = match news {
            Ok(IdentityNews { changes, refused }) => {
                let is_told = refused > 0 && self.worker == 0;
                let refused = is_told.then_some(Directed::Refused(refused));
                std::iter::once(Directed::Merges(changes)).chain(refused).collect()
            }
            Err(error) => vec![Directed::Failed(error.to_string())],
        };
        for control in parts.controls {
            match &*control {
                Control::Clock(given) => own.push(Directed::Clock(*given)),
                Control::ForgetErased(gone) => self.forget_erased(gone),
                Control::Capture { shards, .. } if shards.start == 0 && self.worker == 0 => {
                    own.push(Directed::Aliases(self.aliases.borrow().clone()));
                    own.push(self.direct(control));
                }
                _ => own.push(self.direct(control)),
            }
        }
        blobs.retain(|blob| !blob.records.is_empty() || !blob.backfill.is_empty());
        (blobs, own)
    }

    /// Sends the records of a tick, with the aliases and erasures between them in the order of acceptance; gives what
    /// becomes of users of this worker by them.
    fn send_records(
        &self,
        runs: &mut [Vec<u8>],
        announcements: Vec<Announcement>,
        blobs: &mut [Routed],
    ) -> Result<IdentityNews, StoreError> {
        let mut notes: Vec<AliasNote> = announcements.into_iter().flat_map(|told| told.aliases).collect();
        notes.sort_unstable();
        if !notes.is_empty() {
            sort_by_sequence(runs);
        }
        let mut news = IdentityNews::default();
        let mut waiting = notes.into_iter().peekable();
        for record in runs.iter().flat_map(|bytes| records(bytes)) {
            while let Some(note) = waiting.next_if(|note| note.sequence <= record.sequence()) {
                self.take_note(&note, &mut news)?;
            }
            if record.kind().counts() {
                self.send(&record, blobs, |blob| &mut blob.records);
            }
        }
        waiting.try_for_each(|note| self.take_note(&note, &mut news))?;
        Ok(news)
    }

    fn take_note(&self, note: &AliasNote, news: &mut IdentityNews) -> Result<(), StoreError> {
        match &note.action {
            AliasAction::Merge(previous) => {
                let merged = self.aliases.borrow_mut().merge(previous, &note.user);
                merged.into_iter().for_each(|merged| self.tell(merged, note, &mut news.changes));
            }
            AliasAction::Identify { anonymous, stood_at } => {
                let is_named = |ids: &[IdSince]| self.is_named(anonymous, *stood_at, ids, note.sequence);
                let identified = self.aliases.borrow_mut().identify(anonymous, &note.user, is_named)?;
                match identified {
                    Identified::Same => {}
                    Identified::Merged(merged) => self.tell(merged, note, &mut news.changes),
                    Identified::Refused => news.refused += 1,
                }
            }
            AliasAction::Erase => self.erase(note, &mut news.changes),
        }
        Ok(())
    }

    /// Returns whether any of the ids that are one user with `anonymous` stood as `userId` below `before`. Every worker comes
    /// to the same answer; the log is asked only if `anonymous` was merged without having been identified.
    fn is_named(
        &self,
        anonymous: &str,
        stood_at: Option<Option<u64>>,
        ids: &[IdSince],
        before: u64,
    ) -> Result<bool, StoreError> {
        let own = ids.iter().find(|(id, _)| id == anonymous).map_or(0, |(_, since)| *since);
        match stood_at {
            Some(Some(at)) if at >= own => return Ok(true),
            Some(_) if ids.len() == 1 => return Ok(false),
            _ => {}
        }
        let names: Vec<&str> = ids.iter().map(|(id, _)| id.as_str()).collect();
        Ok(newest_naming(&self.history.of_users(&names, before)?, ids, before).is_some())
    }

    /// Every id of the user is told: each is one by itself again, with its own entries in lists.
    fn erase(&self, note: &AliasNote, merges: &mut Vec<IdentityChange>) {
        let AliasNote { sequence, at, user, .. } = note;
        let ids = self.aliases.borrow_mut().erase(user, *sequence);
        if let Some(mirror) = &self.mirror {
            mirror.write().erase(user, *sequence);
        }
        for id in ids.iter().filter(|id| self.owner(id) == self.worker) {
            merges.push(IdentityChange {
                user: id.clone(),
                sequence: *sequence,
                at: *at,
                fate: IdentityChangeKind::Erased(ids.clone()),
            });
        }
    }

    fn forget_erased(&self, gone: &[IdSince]) {
        self.aliases.borrow_mut().forget_erased(gone);
        if let Some(mirror) = &self.mirror {
            mirror.write().forget_erased(gone);
        }
    }

    /// Tells those of the two users who are of this worker.
    fn tell(&self, merged: UserMerge, note: &AliasNote, merges: &mut Vec<IdentityChange>) {
        let (sequence, at) = (note.sequence, note.at);
        if let Some(mirror) = &self.mirror {
            mirror.write().merge(&merged.from, &merged.into);
        }
        if self.owner(&merged.from) == self.worker {
            merges.push(IdentityChange { user: merged.from.to_string(), sequence, at, fate: IdentityChangeKind::Gone });
        }
        if self.owner(&merged.into) == self.worker {
            merges.push(IdentityChange {
                user: merged.into.to_string(),
                sequence,
                at,
                fate: IdentityChangeKind::Made(merged.ids),
            });
        }
    }

    /// Sends a record to the worker of its user, into that part of its blob.
    fn send(&self, record: &EventRef<'_>, blobs: &mut [Routed], part: fn(&mut Routed) -> &mut Vec<u8>) {
        let aliases = self.aliases.borrow();
        let root = if aliases.is_empty() { None } else { aliases.root(record.user()) };
        match root {
            Some(root) => record.write_as(root, part(&mut blobs[self.owner(root) as usize])),
            None => {
                let owner = self.owner_of(record.user_bytes());
                part(&mut blobs[owner as usize]).extend_from_slice(record.bytes());
            }
        }
    }

    /// Finds the users of this worker that the lists of a publication name.
    fn direct(&self, control: Arc<Control>) -> Directed {
        let aliases = self.aliases.borrow();
        let mut lists = HashMap::new();
        if let Control::Publish(publications) = &*control {
            for publication in publications {
                let SegmentContent::List(list) = &publication.content else { continue };
                let roots = list.iter().map(|id| aliases.root(id).unwrap_or(id));
                let own = roots.filter(|root| self.owner(root) == self.worker).map(|root| root.to_string());
                lists.insert(publication.segment.clone(), own.collect());
            }
        }
        Directed::Control(control, lists)
    }
}

/// The input of a tick, by kind.
#[derive(Default)]
struct Parts {
    records: Vec<Vec<u8>>,
    history: Vec<Vec<u8>>,
    controls: Vec<Arc<Control>>,
}

impl Parts {
    fn of(locals: Vec<Inward>) -> Self {
        let mut parts = Parts::default();
        for local in locals {
            match local {
                Inward::Records(bytes) => parts.records.push(bytes),
                Inward::Backfill(bytes) => parts.history.push(bytes),
                Inward::Control(control) => parts.controls.push(control),
            }
        }
        parts
    }
}

/// Orders runs of records by the sequence number of their first; within a run they are in order.
fn sort_by_sequence(runs: &mut [Vec<u8>]) {
    runs.sort_by_key(|bytes| EventRef::read(bytes).map_or(u64::MAX, |(record, _)| record.sequence()));
}

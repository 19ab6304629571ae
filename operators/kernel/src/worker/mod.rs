//! The user rows of one worker, and the evaluation of every rule on them.
//!
//! Law: after a tick with clock *t*, `membership` holds exactly the users that fulfil each published rule at *t*, given the
//! events so far. `changes` are the differences to the tick before, each at the second at which it came about. A
//! membership that changes and changes back within a second leaves no trace.
//! Cost: an event costs the measures that it feeds and the predicates between their old and new values. A tick costs the
//! users that are due. An edit costs one look at each user.

mod band_table;
mod breakdown;
mod checkpoint;
mod column;
mod edits;
mod identity;
mod leaf;
mod number_rule;
mod plan;
mod prepare;
mod preview;
mod scan;
mod settle;
mod survey;
mod tick;

use std::cell::{Ref, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use audience_contract::{MessageIndex, StoreError, UserHistory};
use audience_rules::ast::{Millis, SegmentId};
use hashbrown::{HashMap, HashSet};
use parking_lot::RwLock;
use roaring::RoaringBitmap;

use crate::calendar::Calendar;
use crate::cell::Cell;
use crate::measure::MeasureId;
use crate::membership::{MemberUpdate, Membership, user_hash};
use crate::message::{Cause, RankInput, WorkerChange};
use crate::reading::Reading;
use crate::registry::{RankId, Registry, RuleId};

pub use checkpoint::MeasureText;
pub use tick::{TickInput, message_key};

/// An event dated after now, until its time comes.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct PendingEvent {
    timestamp: Millis,
    record: Box<[u8]>,
}

/// One user.
#[derive(Clone, Debug, Default)]
struct UserSlot {
    /// True if any event of theirs was accepted.
    known: bool,
    /// The state of each measure, sorted by measure.
    cells: Vec<Cell>,
    /// Events dated after now, the latest first.
    pending: Vec<PendingEvent>,
    /// The next instant at which anything may change by time alone; [`Millis::MAX`] for none.
    due: Millis,
    /// The bucket of the calendar in which the user stands; [`Millis::MAX`] for none.
    scheduled: Millis,
}

/// A published segment.
struct PublishedSegment {
    index: u32,
    rule: Option<RuleId>,
}

/// The ids of segments by their numbers on one worker. A number is never given twice.
pub type SegmentNames = Rc<RefCell<Vec<SegmentId>>>;

/// A user's measures that were touched, with what they said before.
type TouchedMeasures = Vec<(MeasureId, Reading)>;

/// The users of one worker.
pub struct WorkerState {
    registry: Registry,
    users: Vec<UserSlot>,
    /// The number of known users.
    known_users: u64,
    membership: Arc<RwLock<Membership>>,
    calendar: Calendar,
    clock: Millis,
    /// All that is due up to here is done.
    done_until: Millis,
    published: HashMap<SegmentId, PublishedSegment>,
    published_rules: HashMap<SegmentId, RuleId>,
    lists: HashMap<SegmentId, Arc<BTreeSet<Arc<str>>>>,
    segment_names: SegmentNames,
    segment_numbers: HashMap<SegmentId, u32>,
    versions: Vec<u64>,
    installed: HashMap<SegmentId, RuleId>,
    scan: Option<scan::UserScan>,
    columns: column::Columns,
    /// Users whose whole history the measures under backfill have already.
    backfilled: HashSet<u32>,
    deferred: Vec<crate::message::Routed>,
    silent: bool,
    /// True if there was a merge since changes were last netted: a merge gives them out one by one.
    pub has_merged: bool,
    /// Shards loaded from a checkpoint: events below this sequence number are in their users' state.
    floors: Vec<u64>,
    log: Arc<dyn UserHistory>,
    messages: Arc<dyn MessageIndex>,
    buffers: ReusedBuffers,
    /// Made from the rules in force when next needed; `None` after every edit.
    plans: Option<plan::RulePlans>,
    /// Users who are yet to be entered into every planned rule that holds without any event.
    appeared: Vec<u32>,
    /// Members of planned rules that are yet to be entered or removed, after those.
    updates: Vec<MemberUpdate>,
    /// Membership changes since they were last taken.
    pub changes: Vec<WorkerChange>,
    /// Messages to the ranks since they were last taken.
    pub rank_inputs: Vec<RankInput>,
}

/// Buffers that are used again for every user.
#[derive(Default)]
struct ReusedBuffers {
    touched: TouchedMeasures,
    candidates: Vec<MeasureId>,
    /// Flipped predicates of one measure, and of all.
    flips: Vec<u32>,
    flipped: Vec<u32>,
    marks: Vec<u8>,
    queue: Vec<RuleId>,
    ranks: Vec<RankId>,
    sorted: Vec<MemberUpdate>,
}

impl WorkerState {
    /// An empty state that reads history from `log` and tells repeated messages by `messages`.
    pub fn new(log: Arc<dyn UserHistory>, messages: Arc<dyn MessageIndex>) -> Self {
        WorkerState {
            registry: Registry::default(),
            users: Vec::new(),
            known_users: 0,
            membership: Arc::default(),
            calendar: Calendar::default(),
            clock: Millis::MIN,
            done_until: Millis::MIN,
            published: HashMap::new(),
            published_rules: HashMap::new(),
            lists: HashMap::new(),
            segment_names: SegmentNames::default(),
            segment_numbers: HashMap::new(),
            versions: Vec::new(),
            installed: HashMap::new(),
            scan: None,
            columns: column::Columns::default(),
            backfilled: HashSet::new(),
            deferred: Vec::new(),
            silent: false,
            has_merged: false,
            floors: Vec::new(),
            log,
            messages,
            buffers: ReusedBuffers::default(),
            plans: None,
            appeared: Vec::new(),
            updates: Vec::new(),
            changes: Vec::new(),
            rank_inputs: Vec::new(),
        }
    }

    /// Returns the memberships, which others may read while this works.
    pub fn membership(&self) -> Arc<RwLock<Membership>> {
        self.membership.clone()
    }

    /// The accepted events of single users.
    pub fn history(&self) -> Arc<dyn UserHistory> {
        self.log.clone()
    }

    /// Returns whether a start is being made, which gives nothing out.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// The id of a segment's number.
    pub fn segment(&self, index: u32) -> Ref<'_, SegmentId> {
        Ref::map(self.segment_names.borrow(), |names| &names[index as usize])
    }

    /// The ids of all segments, by number, for the operators after this state.
    pub fn segment_names(&self) -> SegmentNames {
        self.segment_names.clone()
    }

    /// The version in force of a segment's number.
    pub fn version(&self, index: u32) -> u64 {
        self.versions[index as usize]
    }

    /// Now.
    pub fn clock(&self) -> Millis {
        self.clock
    }

    /// Returns the number of known users: those with an accepted event that counts, not merged into others and not erased.
    pub fn known_users(&self) -> u64 {
        self.known_users
    }

    fn become_known(&mut self, slot: u32) {
        let was_known = std::mem::replace(&mut self.users[slot as usize].known, true);
        self.known_users += u64::from(!was_known);
    }

    /// Takes out what the ranks up to a depth are to be told.
    pub fn take_rank_inputs(&mut self, depth: u32) -> Vec<RankInput> {
        if self.rank_inputs.is_empty() {
            return Vec::new();
        }
        let is_due = |input: &RankInput| match input {
            RankInput::Define { .. } | RankInput::Drop { .. } => true,
            RankInput::Entry { rank, .. } => self.registry.ranks.get(*rank).is_none_or(|entry| entry.depth <= depth),
        };
        let (due, later) = std::mem::take(&mut self.rank_inputs).into_iter().partition(is_due);
        self.rank_inputs = later;
        due
    }

    /// The deepest rank; 0 where there is none.
    pub fn deepest_rank(&self) -> u32 {
        self.registry.deepest_rank()
    }

    /// The first instant at which some user may change by time alone, to the second below.
    pub fn next_due(&self) -> Option<Millis> {
        self.calendar.first()
    }

    /// The members of this worker by segment number, for the base of the collection of memberships.
    pub fn segment_members(&self) -> Vec<(u32, u64)> {
        let membership = self.membership.read();
        let number = |segment: &SegmentId| self.segment_numbers.get(segment).copied();
        let members = membership.segments.keys().filter_map(|segment| {
            let members = membership.size(segment);
            (members > 0).then_some((number(segment)?, members))
        });
        members.collect()
    }

    /// Begins the silence of a start: state is brought back as of `clock`, nothing is evaluated until
    /// [`Control::Activate`].
    ///
    /// [`Control::Activate`]: crate::message::Control::Activate
    pub fn begin_silence(&mut self, clock: Millis) {
        self.silent = true;
        self.clock = clock;
        self.done_until = clock;
    }

    /// Returns the number of users that have a number, and of the cells that are kept for them.
    pub fn figures(&self) -> (usize, usize) {
        (self.users.len(), self.users.iter().map(|user| user.cells.len()).sum())
    }

    /// The number of a user, given where they have none.
    fn slot_of(&mut self, id: &str, membership: &mut Membership) -> u32 {
        self.slot_of_hash(user_hash(id.as_bytes()), id.as_bytes(), membership)
    }

    /// As [`slot_of`](Self::slot_of), the hash being known.
    fn slot_of_hash(&mut self, hash: u64, id: &[u8], membership: &mut Membership) -> u32 {
        let (slot, is_new) = membership.users.find_or_add(hash, id);
        if is_new {
            self.users.push(UserSlot { due: Millis::MAX, scheduled: Millis::MAX, ..UserSlot::default() });
        }
        slot
    }

    /// The number of a segment, given where it has none.
    fn segment_index(&mut self, id: &SegmentId) -> u32 {
        let mut names = self.segment_names.borrow_mut();
        let next = names.len() as u32;
        let index = *self.segment_numbers.entry(id.clone()).or_insert(next);
        if index == next {
            names.push(id.clone());
            self.versions.push(0);
        }
        index
    }

    /// Notes the change of every member of a bitmap.
    fn note_changes(&mut self, users: &RoaringBitmap, segment: u32, entered: impl Fn(u32) -> bool, at: Millis) {
        if self.silent {
            return;
        }
        self.changes.extend(users.iter().map(|user| WorkerChange {
            user,
            segment,
            at,
            entered: entered(user),
            cause: Cause::Rule,
        }));
    }

    /// Takes out changes that came and went within a second, for ticks in which ranks, edits or merges were settled in
    /// steps.
    pub fn net_changes(&mut self) {
        self.has_merged = false;
        // Stable, so that of equal keys the order in which they came about is kept.
        self.changes.sort_by_key(|change| (change.user, change.segment));
        let mut kept: Vec<WorkerChange> = Vec::with_capacity(self.changes.len());
        for change in self.changes.drain(..) {
            match kept.last() {
                Some(last)
                    if (last.user, last.segment) == (change.user, change.segment)
                        && last.entered != change.entered
                        && last.at.div_euclid(1000) == change.at.div_euclid(1000) =>
                {
                    kept.pop();
                }
                _ => kept.push(change),
            }
        }
        self.changes = kept;
    }
}

/// A fault that stops a worker.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// A store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A checkpoint does not fit.
    #[error("the checkpoint cannot be loaded: {0}")]
    Checkpoint(String),
    /// The event log does not say who is named.
    #[error("who a user is cannot be decided: {0}")]
    Identity(String),
}

#[cfg(test)]
mod tests;

//! The messages that flow between the operators.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub use audience_contract::Cause;
use audience_rules::ast::{Millis, SegmentId};
use serde::{Deserialize, Serialize};

use crate::aliases::IdSince;
use crate::program::{MeasureKey, Program};
use crate::reading::RankKey;
use crate::registry::{Boundary, RankId};

/// Records for the users of one worker.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Routed {
    /// The worker.
    pub worker: u64,
    /// Flat records, their users resolved through aliases.
    #[serde(with = "serde_bytes")]
    pub records: Vec<u8>,
    /// Merges of users.
    pub merges: Vec<IdentityChange>,
    /// History for measures that are being backfilled.
    #[serde(with = "serde_bytes")]
    pub backfill: Vec<u8>,
}

/// A change of who a user is: a step of a merge of two users, or an erasure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IdentityChange {
    /// The user.
    pub user: String,
    /// The place of the alias in the order of acceptance.
    pub sequence: u64,
    /// The clock when it was accepted.
    pub at: Millis,
    /// The user's fate.
    pub fate: IdentityChangeKind,
}

/// The fate of a user whose identity changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum IdentityChangeKind {
    /// Is merged into another, and no longer one.
    Gone,
    /// Has the history of all these ids now.
    Made(Vec<IdSince>),
    /// Is unknown again, as is each of these ids, which were one user.
    Erased(Vec<String>),
}

/// A change of what is computed, for every worker at the same tick.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Control {
    /// The clock of this tick.
    Clock(TickClock),
    /// The meaning of this tick outside.
    Label(TickLabel),
    /// Begins to compute these rules in silence.
    Install {
        /// The rules by segment.
        rules: Vec<(SegmentId, Arc<Program>)>,
        /// The end of the history that a backfill will bring; `None` if there is no history.
        boundary: Option<Boundary>,
    },
    /// The history of the measures that the installed rules need is complete.
    BackfillDone,
    /// Looks at every user: for the new ranks of a depth, or, without one, for the installed rules.
    Scan {
        /// The depth.
        rank_depth: Option<u32>,
    },
    /// Puts changes in force, in this order: a segment comes after those that it refers to.
    Publish(Vec<Publication>),
    /// Forgets rules that were installed and not put in force.
    Uninstall(Vec<SegmentId>),
    /// Counts whom an installed rule would make members, once everybody was looked at for it.
    Preview(PreviewRequest),
    /// Finds the first members of a segment by a measure.
    Leaders(LeadersRequest),
    /// Writes these shards of a checkpoint.
    Capture {
        /// The shards.
        shards: std::ops::Range<u32>,
        /// Events below this sequence number are in it, with this clock.
        boundary: Boundary,
    },
    /// None of the records is left that these ids had before they were erased there: it need not be known any more.
    ForgetErased(Vec<IdSince>),
    /// Ends the silence in which a start brings back the state: computes every membership without giving out changes.
    Activate,
}

/// A request to count the members that an installed rule would have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PreviewRequest {
    /// The name that it was installed under.
    pub rule: SegmentId,
    /// The name of the rule that holds where this one does not rest on a missing value, where it may.
    pub certain: Option<SegmentId>,
    /// The segment whose members it is held against, where there is one.
    pub against: Option<SegmentId>,
    /// The most users that are named for each count.
    pub samples: u32,
    /// The segment whose members are counted by value, if that is asked for.
    pub breakdown: Option<BreakdownRequest>,
}

/// A request to count the members of a segment by their value of a measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BreakdownRequest {
    /// The segment.
    pub segment: SegmentId,
    /// The measure; it is computed, since the rule that is installed asks it.
    pub measure: MeasureKey,
}

/// A request for the first members of a segment by a measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeadersRequest {
    /// The segment.
    pub segment: SegmentId,
    /// The measure; it is computed, since the segment's rule in force asks it.
    pub measure: MeasureKey,
    /// Greatest first.
    pub descending: bool,
    /// The most users that are given.
    pub most: u32,
}

/// One of the first members of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// The user.
    pub user: String,
    /// The key that orders.
    pub key: RankKey,
    /// The value as JSON.
    pub value: String,
}

/// The members of a segment by value. The counts together are the segment's members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersByValue {
    /// Values as JSON, each with its members, in no order.
    pub values: Vec<(String, u64)>,
    /// Members without a value.
    pub missing: u64,
    /// Members with a value that is not told apart: there are too many, or it is too long.
    pub other: u64,
}

/// The changes that putting a rule in force would make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewResult {
    /// Users that are known.
    pub users: u64,
    /// Users that would be members.
    pub members: u64,
    /// Those of them that are not members now.
    pub entered: SampledCount,
    /// Users that are members now and would not be.
    pub left: SampledCount,
    /// Users that would be members only because a value is missing.
    pub by_missing: SampledCount,
    /// The members of a segment by value, if that was asked for.
    pub values: Option<MembersByValue>,
}

/// A number of users, and some of them by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampledCount {
    /// The number.
    pub count: u64,
    /// Some, spread over all.
    pub sample: Vec<String>,
}

/// The meaning of a tick outside of the dataflow. It travels with the tick, and comes back with its output unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickLabel {
    /// The tick's number over all runs.
    pub number: u64,
    /// All events below this sequence number are in this tick or an earlier one.
    pub sequence: u64,
    /// The version of the catalogue that is in force once the tick is done.
    pub catalogue_version: u64,
    /// When the tick's oldest event was accepted, measured from the start of the engine.
    pub oldest_accepted: Option<Duration>,
}

/// The time of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TickClock {
    /// Now.
    pub now: Millis,
    /// The end of what this tick does: whatever is due later waits for a later tick.
    pub limit: Millis,
}

impl TickClock {
    /// All of time up to now.
    pub fn at(now: Millis) -> Self {
        TickClock { now, limit: now }
    }
}

/// A segment put in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Publication {
    /// The segment.
    pub segment: SegmentId,
    /// Its version.
    pub version: u64,
    /// Its content from now on.
    pub content: SegmentContent,
}

/// The content of a segment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum SegmentContent {
    /// The rule installed for it.
    Rule,
    /// A list of ids.
    List(Arc<BTreeSet<Arc<str>>>),
    /// The same content as before, under another version.
    Unchanged,
    /// Not in force: it has no members.
    Nothing,
}

/// A change of one membership. Users and segments by their numbers within the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerChange {
    /// The user.
    pub user: u32,
    /// The segment.
    pub segment: u32,
    /// The instant of the change.
    pub at: Millis,
    /// Entered, or left.
    pub entered: bool,
    /// Why.
    pub cause: Cause,
}

/// A message to the ranks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RankInput {
    /// There is a rank.
    Define {
        /// The rank.
        rank: RankId,
        /// Greatest first.
        descending: bool,
        /// The first so many.
        cut: RankCut,
    },
    /// There is no longer such a rank.
    Drop {
        /// The rank.
        rank: RankId,
    },
    /// A user's place; `None`: not ranked.
    Entry {
        /// The rank.
        rank: RankId,
        /// The user.
        user: String,
        /// The key that orders; `None` if the user is not ranked.
        key: Option<RankKey>,
    },
}

impl RankInput {
    /// The rank.
    pub fn rank(&self) -> RankId {
        match self {
            RankInput::Define { rank, .. } | RankInput::Drop { rank } | RankInput::Entry { rank, .. } => *rank,
        }
    }
}

/// The number of users that a rank takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RankCut {
    /// So many.
    Top(u32),
    /// So many units of 10^-9 percent, rounded up.
    PercentUnits(i128),
}

/// A user came into a rank's first, or fell out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RankChange {
    /// The rank.
    pub rank: RankId,
    /// The user.
    pub user: String,
    /// Inside now?
    pub inside: bool,
}

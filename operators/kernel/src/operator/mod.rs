//! The operators of the dataflow, one a file, and what goes into and out of it. [`dataflow`](crate::dataflow) joins them.

pub mod announce;
pub mod memberships;
pub mod ranks;
pub mod route;
pub mod sizes;
pub mod users;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use audience_rules::ast::{Millis, SegmentId};
use parking_lot::RwLock;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use crate::aliases::Aliases;
use crate::message::{Control, Leader, PreviewResult, TickLabel};
use crate::worker::{MeasureText, OperatorError, WorkerState};

/// The places of a tick.
pub const STRIDE: u64 = 64;

/// The input of a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Inward {
    /// Accepted events: flat records with sequence numbers.
    Records(#[serde(with = "serde_bytes")] Vec<u8>),
    /// History for a backfill: flat records.
    Backfill(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A change of what is computed.
    Control(Arc<Control>),
}

/// The output of a worker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Outward {
    /// Memberships as the silence of a start ends, where whoever reads them is in another process.
    Held(MembershipPiece),
    /// A tick is done.
    Tick(Box<TickOutput>),
    /// The scan is at its end.
    Scanned,
    /// The sizes of segments, over all workers, are counted up to a tick.
    Sizes(SizesCounted),
    /// The worker cannot go on.
    Failed(String),
}

/// Sizes that changed on one worker's share of the segments.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SizesCounted {
    /// Every tick below this one is counted.
    pub below: u64,
    /// The segments that changed since the last report, each with its size over all workers, in the order of ticks.
    pub sizes: Vec<(SegmentId, u64)>,
}

/// A piece of all memberships of a worker's users: first all users, then the members of each segment; and later, before each
/// tick that brings any, the users who are new.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum MembershipPiece {
    /// Users in the order of their numbers, behind those before.
    Users(Vec<String>),
    /// The numbers of a segment's members.
    Members(SegmentId, RoaringBitmap),
}

/// The output of a tick.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TickOutput {
    /// The tick.
    pub tick: u64,
    /// The tick's meaning outside, as it came in.
    pub label: TickLabel,
    /// The clock.
    pub clock: Millis,
    /// Events done.
    pub events: u64,
    /// `identify` events that merged nobody, since whom their anonymous ids stand for is named. One worker counts them.
    pub refused_identifies: u64,
    /// The number of changed memberships.
    pub change_count: u64,
    /// The number of them that began.
    pub entered_count: u64,
    /// Users that the worker has a number for: also who was merged into another, was erased or only stands on a list.
    pub users: u64,
    /// Users that are known.
    pub known_users: u64,
    /// The changes, as the encoder of the worker wrote them.
    #[serde(with = "serde_bytes")]
    pub changes: Vec<u8>,
    /// Shards of a checkpoint.
    pub shards: Vec<(u32, Vec<u8>)>,
    /// The measures that are computed, with shards.
    pub sources: Vec<MeasureText>,
    /// The aliases, with the first shards.
    pub aliases: Option<Aliases>,
    /// When the next user may change by time alone, to the second below.
    pub next_due: Option<Millis>,
    /// The deepest rank.
    pub deepest_rank: u32,
    /// The changes among the worker's users that putting a rule in force would make.
    pub previewed: Option<PreviewResult>,
    /// The first of the worker's users in a segment, in no order.
    pub leaders: Option<Vec<Leader>>,
}

impl TickOutput {
    /// Returns whether it brings a part of a checkpoint.
    pub fn has_part(&self) -> bool {
        !self.shards.is_empty() || self.aliases.is_some() || !self.sources.is_empty()
    }
}

/// Writes the changes of a tick down for those outside.
pub type ChangeEncoder = Box<dyn FnMut(&mut WorkerState, &mut Vec<u8>)>;

/// The parts that a worker's dataflow is made with.
pub struct WorkerParts {
    /// Its users.
    pub state: WorkerState,
    /// The aliases up to where its input begins.
    pub aliases: Rc<RefCell<Aliases>>,
    /// A copy of them for readers outside, kept by this worker.
    pub mirror: Option<Arc<RwLock<Aliases>>>,
    /// Writes the changes down.
    pub encoder: ChangeEncoder,
    /// The number of users that are looked at before events get their turn.
    pub scan_slice_users: u32,
    /// True if memberships are given out as the silence of a start ends, since nobody outside can read them in place.
    pub gives_members: bool,
}

/// The text of an error for those outside.
fn failed(error: &OperatorError) -> Outward {
    Outward::Failed(error.to_string())
}

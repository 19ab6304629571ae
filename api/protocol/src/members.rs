//! Changes of the members of static segments.

use serde::Serialize;

use crate::SegmentView;

/// The ways to change a list by the ids that come with the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersMode {
    /// The ids become the list.
    Replace,
    /// The ids join the list.
    Add,
    /// The ids leave the list.
    Remove,
}

/// A change of the members of a static segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersChange {
    /// The use that is made of the ids.
    pub mode: MembersMode,
    /// The ids, none of them twice.
    pub members: Vec<String>,
    /// True to compute the outcome and change nothing.
    pub is_dry_run: bool,
    /// The author's note.
    pub note: Option<String>,
}

/// The outcome of a change of a list. A change that changes nothing makes no version.
#[derive(Clone, Debug)]
pub struct MembersOutcome {
    /// The segment after the change.
    pub segment: SegmentView,
    /// Ids that joined.
    pub added: u64,
    /// Ids that left.
    pub removed: u64,
    /// Ids that made no difference.
    pub unchanged: u64,
    /// The effect of a change that was only tried; absent if no engine runs in this process.
    pub effect: Option<MembersEffect>,
}

/// The effect that a change of a list would have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MembersEffect {
    /// Ids of known users among those that came with the change.
    pub known: u64,
    /// Ids of nobody who is known yet.
    pub unknown: u64,
    /// The first of the unknown ids.
    pub sample_unknown: Vec<String>,
    /// Users who would enter the segment; several ids of one user count once.
    pub entered: u64,
    /// Users who would leave the segment.
    pub left: u64,
}

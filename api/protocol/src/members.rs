//! Changes of the members of static segments.

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
}

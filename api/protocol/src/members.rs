//! Changes of the members of static segments.

use crate::SegmentView;

/// What a change of a list does with the ids that come with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersMode {
    /// They become the list.
    Replace,
    /// They join the list.
    Add,
    /// They leave the list.
    Remove,
}

/// A change of the members of a static segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersChange {
    /// What is done with the ids.
    pub mode: MembersMode,
    /// The ids, none of them twice.
    pub members: Vec<String>,
    /// Only says what would come of it.
    pub is_dry_run: bool,
    /// What the author says to it.
    pub note: Option<String>,
}

/// What came of a change of a list. One that changes nothing makes no version.
#[derive(Clone, Debug)]
pub struct MembersOutcome {
    /// The segment behind it; as it is where nothing was to be changed.
    pub segment: SegmentView,
    /// Ids that joined.
    pub added: u64,
    /// Ids that left.
    pub removed: u64,
    /// Ids that came and made no difference.
    pub unchanged: u64,
}

//! Explanations: a user's membership, node by node.

use audience_rules::catalogue::SegmentStatus;
use serde::Serialize;
use serde_json::value::RawValue;

/// An explanation of why a user is in a segment, or is not.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The id that the user goes by.
    pub user_id: String,
    /// The segment.
    pub segment_id: String,
    /// The version of the segment that is explained.
    pub version: u64,
    /// The segment's status. A segment that is not ACTIVE has no members, whatever its rules say.
    pub status: SegmentStatus,
    /// True if this version was there at that instant. An instant older than the segment is explained by its first version.
    pub in_force: bool,
    /// RFC 3339: the instant that is explained, by all events accepted so far.
    pub at: String,
    /// True if the user is a member then; absent if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<bool>,
    /// RFC 3339: nothing changes by time alone before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_change_at: Option<String>,
    /// True if the verdict may change at `nextChangeAt` or later (at any time if that is absent); false if it does change then.
    #[serde(skip_serializing_if = "is_false")]
    pub may_change: bool,
    /// The rules.
    pub node: ExplainedNode,
}

/// A node of the rules, explained.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedNode {
    /// JSON pointer into the rules of the segment that the node is of.
    pub pointer: String,
    /// all, any, not, event, trait, segment, list, sequence, rank or sample.
    pub kind: &'static str,
    /// The question, in a short line.
    pub text: String,
    /// The other segment, if the node is a reference. That segment's rules are the child.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment_id: Option<String>,
    /// True if the node holds; absent if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<bool>,
    /// True if it is not known whether the node holds.
    #[serde(skip_serializing_if = "is_false")]
    pub unknown: bool,
    /// The value found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<RawValue>>,
    /// The operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<&'static str>,
    /// The value that the operator compares with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Box<RawValue>>,
    /// True if there was no value of the kind that the operator needs.
    #[serde(skip_serializing_if = "is_false")]
    pub missing: bool,
    /// RFC 3339: the node does not change by time alone before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_change_at: Option<String>,
    /// As for the whole explanation.
    #[serde(skip_serializing_if = "is_false")]
    pub may_change: bool,
    /// The user's place in a rank, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<usize>,
    /// The number of users in a rank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranked: Option<usize>,
    /// The number of first places that a rank takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The events that made the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<CountedEvents>,
    /// The node's parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<ExplainedNode>,
}

/// Events that counted.
#[derive(Clone, Debug, Serialize)]
pub struct CountedEvents {
    /// The number of events.
    pub total: usize,
    /// Some events as an export has them, the newest first; those of a sequence in the order of its steps.
    pub items: Vec<Box<RawValue>>,
    /// Some of those that others undid, the newest first; of a sequence, its last event with the first that must not come after it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undone: Vec<UndoneEvent>,
}

/// An event that would count if another did not undo it.
#[derive(Clone, Debug, Serialize)]
pub struct UndoneEvent {
    /// The event.
    pub event: Box<RawValue>,
    /// The event that undid it.
    pub by: Box<RawValue>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

//! Why a user is in a segment, node by node.

use audience_rules::catalogue::SegmentStatus;
use serde::Serialize;
use serde_json::value::RawValue;

/// Why a user is in a segment, or is not.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The id that the user goes by.
    pub user_id: String,
    /// The segment.
    pub segment_id: String,
    /// The version of the segment that is explained.
    pub version: u64,
    /// Its status; one that is not ACTIVE has no members, whatever its rules say.
    pub status: SegmentStatus,
    /// Whether this version was there at that instant. One that is older than the segment is explained by its first version.
    pub in_force: bool,
    /// RFC 3339: the instant that is explained. All that is accepted by now counts as of then.
    pub at: String,
    /// Whether the user is a member then; nothing where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<bool>,
    /// RFC 3339: nothing changes by time alone before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_change_at: Option<String>,
    /// It may change at `nextChangeAt` or later (where that is absent, at any time); else it does change then.
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
    /// What is asked, in a short line.
    pub text: String,
    /// Of a reference: the other segment, whose rules are the child.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment_id: Option<String>,
    /// Whether it holds; nothing where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<bool>,
    /// It is not known whether it holds.
    #[serde(skip_serializing_if = "is_false")]
    pub unknown: bool,
    /// The value found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<RawValue>>,
    /// The operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<&'static str>,
    /// What the operator compares with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Box<RawValue>>,
    /// There was no value of the kind that the operator asks for.
    #[serde(skip_serializing_if = "is_false")]
    pub missing: bool,
    /// RFC 3339: it does not change by time alone before this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_change_at: Option<String>,
    /// As of the whole explanation.
    #[serde(skip_serializing_if = "is_false")]
    pub may_change: bool,
    /// Of a rank: the user's place in it, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<usize>,
    /// Of a rank: how many users are ranked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranked: Option<usize>,
    /// Of a rank: how many of the first are meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The events that made the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<CountedEvents>,
    /// What it is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<ExplainedNode>,
}

/// Events that counted.
#[derive(Clone, Debug, Serialize)]
pub struct CountedEvents {
    /// How many.
    pub total: usize,
    /// Some of them as an export has them, the newest first; of a sequence, in the order of its steps.
    pub items: Vec<Box<RawValue>>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

//! Users looked at one by one, what events and traits look like, and how the system is.

use std::collections::BTreeMap;

use audience_rules::catalogue::SegmentStatus;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::ComponentHealth;

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

/// A user in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserId {
    /// The id that the user goes by.
    pub user_id: String,
}

/// Which users to list.
#[derive(Clone, Debug, Default)]
pub struct UserQuery {
    /// Only ids that begin so.
    pub prefix: String,
    /// Only ids behind this one, by bytes.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// Which events of a user to list.
#[derive(Clone, Debug, Default)]
pub struct UserEventQuery {
    /// Only of this type.
    pub event_type: Option<String>,
    /// Only those behind the page that gave this cursor.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// What events and traits look like, as far as some of them were looked at; and what rules may refer to.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Schema {
    /// Event types, the most frequent first.
    pub events: Vec<EventShape>,
    /// `identify` traits by name.
    pub traits: Vec<FieldShape>,
    /// Computed traits by name: their definitions.
    pub computed_traits: Vec<Box<RawValue>>,
    /// Segments by id.
    pub segments: Vec<NamedSegment>,
}

/// An event type.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventShape {
    /// The event type.
    pub name: String,
    /// How many were looked at.
    pub count: u64,
    /// RFC 3339: the latest timestamp seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<String>,
    /// Paths into its properties, by name.
    pub properties: Vec<FieldShape>,
}

/// What is found at a path.
#[derive(Clone, Debug, Serialize)]
pub struct FieldShape {
    /// The path.
    pub name: String,
    /// number, text, boolean, list, object.
    pub types: Vec<&'static str>,
    /// Some values, at most ten.
    pub examples: Vec<Box<RawValue>>,
}

/// A segment's id and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedSegment {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// How the system is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemView {
    /// The program's version.
    pub version: &'static str,
    /// RFC 3339: when this run began.
    pub started_at: String,
    /// Since then.
    pub uptime_seconds: f64,
    /// Workers, over all processes.
    pub workers: usize,
    /// Users that are known.
    pub users: u64,
    /// Segments, of any status.
    pub segments: u64,
    /// Events.
    pub events: EventFigures,
    /// Membership changes given out in this run.
    pub changes: ChangeFigures,
    /// How far the clock of the last tick done is behind now.
    pub frontier_lag_seconds: f64,
    /// The newest checkpoint of this run.
    pub checkpoint: CheckpointFigures,
    /// Memory of this process; 0 where the system does not tell.
    pub memory_bytes: u64,
    /// Health.
    pub health: SystemHealth,
}

/// Figures of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventFigures {
    /// Accepted, ever.
    pub accepted: u64,
    /// Refused by this process in this run.
    pub rejected: u64,
    /// Accepted, over the last seconds.
    pub per_second: f64,
}

/// Figures of membership changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeFigures {
    /// Given out in this run.
    pub total: u64,
    /// Given out, over the last seconds.
    pub per_second: f64,
}

/// Figures of the newest checkpoint of this run; nothing before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointFigures {
    /// Since it was finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
    /// Its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
}

/// Health of all parts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SystemHealth {
    /// Whether it has caught up and every part is up.
    pub ready: bool,
    /// By part.
    pub components: BTreeMap<String, ComponentHealth>,
}

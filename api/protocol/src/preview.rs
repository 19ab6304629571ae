//! Previews: the effect of a rule before it is saved.

use audience_rules::ast::Millis;
use audience_rules::catalogue::SegmentStatus;
use audience_rules::fault::Fault;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A client's request for a preview.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreviewInput {
    /// The segment that the rules are for; absent or unknown for a new one.
    #[serde(default)]
    pub id: Option<String>,
    /// The rules.
    pub rules: Box<RawValue>,
    /// The number of users to name of each kind; 10 if absent.
    #[serde(default)]
    pub sample_size: Option<u32>,
    /// The segment whose members are counted by their value of what the rules test; never a client's wish.
    #[serde(skip)]
    pub break_down: Option<String>,
    /// The definition of a computed trait that the rules, and those of the segments they refer to, are read with; never a
    /// client's wish.
    #[serde(skip)]
    pub with_trait: Option<Box<RawValue>>,
}

/// The changes that rules would make if they were in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// Users who would be members.
    pub size: u64,
    /// Users who would be members and are none now.
    pub entered: u64,
    /// Users who are members now and would be none.
    pub left: u64,
    /// A sample of those who would enter.
    pub sample_entered: Vec<String>,
    /// A sample of those who would leave.
    pub sample_left: Vec<String>,
    /// Users who would be members only because a value is missing.
    pub missing_only: MissingOnly,
    /// Known users.
    pub users: u64,
    /// The running version that the rules are compared with; absent if none runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_version: Option<u64>,
    /// The status of the segment; absent for a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<SegmentStatus>,
    /// Milliseconds that it took.
    pub took_milliseconds: u64,
    /// True if history was scanned for a measure that no rule needed before.
    pub history_scanned: bool,
    /// Names and values that were never seen: most often mistakes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Fault>,
    /// The members of a segment by value, for who asked for them; no part of the answer to a client.
    #[serde(skip)]
    pub values: Option<ValueCounts>,
}

/// The members of a segment by value. The counts together are the segment's members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueCounts {
    /// Values as JSON, each with its members, in no order.
    pub values: Vec<(String, u64)>,
    /// Members without a value.
    pub missing: u64,
    /// Members with a value that is not told apart.
    pub other: u64,
}

/// A client's request for the size that rules would have had over the past.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CurveInput {
    /// The rules.
    pub rules: Box<RawValue>,
    /// Epoch milliseconds: the first point; 30 days before the last if absent.
    #[serde(default)]
    pub from: Option<Millis>,
    /// Epoch milliseconds: the last point; now if absent.
    #[serde(default)]
    pub to: Option<Millis>,
    /// The number of points; 60 if absent.
    #[serde(default)]
    pub points: Option<u32>,
}

/// The sizes that rules would have had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SizeCurve {
    /// Points in order of time, at equal distances.
    pub points: Vec<CurvePoint>,
    /// Events that were gone through.
    pub events: u64,
    /// Milliseconds that it took.
    pub took_milliseconds: u64,
}

/// A size at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CurvePoint {
    /// RFC 3339.
    pub at: String,
    /// Users for whom the rules hold then, by all that is known now.
    pub size: u64,
}

/// Users who would be members only because a value is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MissingOnly {
    /// The number of users.
    pub size: u64,
    /// A sample of them.
    pub sample: Vec<String>,
}

/// The progress of a preview.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewProgress {
    /// The current phase.
    pub phase: PreviewPhase,
    /// Events scanned.
    pub done: u64,
    /// Events to be scanned; 0 if that is not known yet.
    pub total: u64,
}

/// A phase of a preview.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PreviewPhase {
    /// The preview waits for an edit or another preview.
    Waiting,
    /// History is scanned for measures that no rule needed before.
    Scanning,
}

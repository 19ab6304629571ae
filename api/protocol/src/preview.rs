//! Previews: the effect of a rule before it is saved.

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

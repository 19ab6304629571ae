//! What a rule would change, before it is saved.

use audience_rules::catalogue::SegmentStatus;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Rules that a client wants to see the effect of.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreviewInput {
    /// The segment that they are for; absent or unknown for a new one.
    #[serde(default)]
    pub id: Option<String>,
    /// The rules.
    pub rules: Box<RawValue>,
    /// How many users are named of those of each kind; 10 where absent.
    #[serde(default)]
    pub sample_size: Option<u32>,
}

/// What rules would change if they were in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// Who would be a member.
    pub size: u64,
    /// Who of them is none now.
    pub entered: u64,
    /// Who is a member now and would be none.
    pub left: u64,
    /// Some of those who would enter.
    pub sample_entered: Vec<String>,
    /// Some of those who would leave.
    pub sample_left: Vec<String>,
    /// Who would be a member only because a value is missing.
    pub missing_only: MissingOnly,
    /// Users that are known.
    pub users: u64,
    /// The version that is running and that this is held against; absent where none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_version: Option<u64>,
    /// The status of the segment; absent for a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<SegmentStatus>,
    /// How long it took.
    pub took_milliseconds: u64,
    /// Whether history was scanned for something that no rule asked for before.
    pub history_scanned: bool,
}

/// Who would be a member only because a value is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MissingOnly {
    /// How many.
    pub size: u64,
    /// Some of them.
    pub sample: Vec<String>,
}

/// How far a preview is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreviewProgress {
    /// What is done just now.
    pub phase: PreviewPhase,
    /// Events scanned.
    pub done: u64,
    /// Events to be scanned; 0 where that is not known yet.
    pub total: u64,
}

/// What a preview does just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PreviewPhase {
    /// It waits for an edit or another preview.
    Waiting,
    /// History is scanned for what no rule asked for before.
    Scanning,
}

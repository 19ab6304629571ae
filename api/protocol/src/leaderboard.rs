//! Leaderboards: the first members of a segment by the measure that its rule ranks by.

use serde::Serialize;
use serde_json::value::RawValue;

/// The first members of a segment, exactly as of one instant.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Leaderboard {
    /// The segment.
    pub segment_id: String,
    /// The version whose members these are.
    pub version: u64,
    /// RFC 3339: the instant.
    pub at: String,
    /// The measure that orders, as rules write it.
    pub by: Box<RawValue>,
    /// True if the greatest come first.
    pub descending: bool,
    /// The members of the segment.
    pub size: u64,
    /// The first of them, in order: by value, and of equal ones by id.
    pub items: Vec<LeaderView>,
}

/// A member with a place.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaderView {
    /// The user.
    pub user_id: String,
    /// The value; a duration is in milliseconds. Absent for callers without `pii:read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<RawValue>>,
}

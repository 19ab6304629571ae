//! Users as the API shows them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

/// A segment that a user is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserSegment {
    /// The segment.
    pub segment_id: String,
    /// The segment's name.
    pub name: String,
}

/// What is known of a user.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    /// The id that the user goes by now.
    pub user_id: String,
    /// Ids merged into it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// `identify` traits, by name, as JSON.
    pub traits: BTreeMap<String, Box<RawValue>>,
    /// Computed traits, by name, as JSON; missing ones are left out.
    pub computed_traits: BTreeMap<String, Box<RawValue>>,
    /// Events that count.
    pub event_count: u64,
    /// The segments.
    pub segments: Vec<UserSegment>,
}

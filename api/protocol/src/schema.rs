//! The shape of events and traits, as far as they were seen.

use serde::Serialize;
use serde_json::value::RawValue;

/// The shape of events and traits, as far as some of them were looked at, and the names that rules may refer to.
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
    /// The number of events that were looked at.
    pub count: u64,
    /// RFC 3339: the latest timestamp seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<String>,
    /// Paths into its properties, by name.
    pub properties: Vec<FieldShape>,
}

/// The values found at a path.
#[derive(Clone, Debug, Serialize)]
pub struct FieldShape {
    /// The path.
    pub name: String,
    /// number, text, boolean, list, object.
    pub types: Vec<&'static str>,
    /// A sample of values, at most ten.
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

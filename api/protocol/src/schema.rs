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
    /// `identify` traits that a computed trait of the same name hides in rules, by name.
    pub hidden_traits: Vec<String>,
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
    /// The number of them whose properties were looked at, too.
    pub sampled: u64,
    /// RFC 3339: the latest timestamp seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<String>,
    /// The last 24 hours in which any was accepted, of the last day, in order of time.
    pub hours: Vec<EventsOfHour>,
    /// Paths into its properties, by name.
    pub properties: Vec<FieldShape>,
}

/// The events of a type that were accepted within an hour, as far as they were looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventsOfHour {
    /// RFC 3339: the beginning of the hour.
    pub at: String,
    /// The number of events.
    pub count: u64,
}

/// The values found at a path.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldShape {
    /// The path; `products[].name` is that of a member of the objects in a list.
    pub name: String,
    /// number, text, boolean, list, object.
    pub types: Vec<&'static str>,
    /// The number of values found of each of the types, in their order.
    pub counts: Vec<u64>,
    /// The number of texts that are a number, as rules read them.
    pub numbers_in_text: u64,
    /// RFC 3339: the latest timestamp of an event with a value there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<String>,
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

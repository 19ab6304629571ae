//! Sizes of segments now and over time, and overlaps.

use std::collections::BTreeMap;

use audience_rules::ast::Millis;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::{Result, needs_engine};
use crate::leaderboard::Leaderboard;
use crate::preview::{CurveInput, SizeCurve};

/// Sizes of segments. A platform implements what it can answer; the rest is refused with
/// [`PlatformError::NeedsEngine`](crate::PlatformError::NeedsEngine).
pub trait SizeResource: Send + Sync + 'static {
    /// Returns the sizes of all segments.
    fn sizes_now(&self) -> Result<SizesNow> {
        needs_engine("sizes as they change", ())
    }

    /// Returns a segment's sizes over time, as finely as is kept of that age.
    fn segment_sizes(&self, id: &str, query: &SizeQuery) -> Result<SizeHistory> {
        needs_engine("how large segments were", (id, query))
    }

    /// Counts the members of a segment by their values of a trait, told or computed: exact, on the workers.
    fn segment_breakdown(&self, id: &str, field: &str, limit: usize) -> Result<Breakdown> {
        needs_engine("who the members of a segment are", (id, field, limit))
    }

    /// Returns the first members of a segment in the order of its rule's rank, with their values.
    fn segment_leaderboard(&self, id: &str, limit: usize) -> Result<Leaderboard> {
        needs_engine("who the members of a segment are", (id, limit))
    }

    /// Computes the sizes that rules would have had over the past, by all that is known now. `is_wanted` is asked meanwhile.
    fn size_curve(&self, input: &CurveInput, is_wanted: &dyn Fn() -> bool) -> Result<SizeCurve> {
        let _ = is_wanted;
        needs_engine("how large a segment would have been", input)
    }

    /// Counts the members that a segment has in common with each of the others.
    fn segment_overlap(&self, id: &str, others: &[String]) -> Result<Overlaps> {
        needs_engine("who the members of a segment are", (id, others))
    }
}

/// The members of a segment by the value of a trait. Items, rest and missing together are its size.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Breakdown {
    /// The segment.
    pub segment_id: String,
    /// The trait.
    #[serde(rename = "trait")]
    pub field: String,
    /// The members of the segment.
    pub size: u64,
    /// The most frequent values, the most frequent first.
    pub items: Vec<ValueCount>,
    /// Members with another value.
    pub rest: u64,
    /// Members without a value.
    pub missing: u64,
    /// The number of different values; absent where there are too many to be told apart, and then a value that is as
    /// frequent as those of the items may be among the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub different_values: Option<u64>,
}

/// A value with its members.
#[derive(Clone, Debug, Serialize)]
pub struct ValueCount {
    /// The value.
    pub value: Box<RawValue>,
    /// Members who have it.
    pub count: u64,
}

/// A range of time, with the distance of its points.
#[derive(Clone, Copy, Debug)]
pub struct SizeQuery {
    /// The first instant.
    pub from: Millis,
    /// The end.
    pub to: Millis,
    /// Milliseconds between two points.
    pub step: Millis,
}

/// Sizes of all segments at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SizesNow {
    /// The newest version of the catalogue.
    pub catalogue_version: u64,
    /// The version that memberships follow.
    pub in_force_version: u64,
    /// Sizes by segment id.
    pub sizes: BTreeMap<String, u64>,
}

/// Sizes of a segment over time.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SizeHistory {
    /// The segment.
    pub segment_id: String,
    /// Members now.
    pub size: u64,
    /// RFC 3339: the instant from which its sizes are known.
    pub known_since: String,
    /// Points in order of time.
    pub points: Vec<SizePoint>,
    /// Growth compared with before.
    pub growth: Growth,
}

/// A size at an instant.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SizePoint {
    /// RFC 3339.
    pub at: String,
    /// Members then.
    pub size: u64,
    /// Users who entered since the point before.
    pub entered: u64,
    /// Users who left since the point before.
    pub left: u64,
}

/// The growth of a segment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Growth {
    /// Growth in the last 24 hours.
    pub day: GrowthSince,
    /// Growth in the last 7 days.
    pub week: GrowthSince,
}

/// The growth of a segment since an instant by what people do: edits of rules and lists are no growth.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GrowthSince {
    /// RFC 3339: the latest of so long ago, the last edit that changed memberships, and the first known size.
    pub since: String,
    /// Members then, after the edit if there was one.
    pub size_then: u64,
    /// Users who entered since.
    pub entered: u64,
    /// Users who left since.
    pub left: u64,
    /// Members now minus members then.
    pub net: i64,
    /// The same in percent of the members then; absent if there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
}

/// The overlap of a segment with others.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overlaps {
    /// The segment.
    pub segment_id: String,
    /// Its members.
    pub size: u64,
    /// The overlap with each other segment.
    pub with: Vec<Overlap>,
}

/// The overlap of two segments.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overlap {
    /// The other one.
    pub segment_id: String,
    /// Its members.
    pub size: u64,
    /// Members of both.
    pub both: u64,
    /// Members of at least one of the two.
    pub either: u64,
    /// Members of the first alone.
    pub only_this: u64,
    /// Members of the other alone.
    pub only_other: u64,
    /// `both / either`; 0 if nobody is in either.
    pub jaccard: f64,
}

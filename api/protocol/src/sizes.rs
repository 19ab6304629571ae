//! How large segments were and are, and who is in several.

use std::collections::BTreeMap;

use audience_rules::ast::Millis;
use serde::Serialize;

use crate::error::{Result, needs_engine};

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

    /// Counts the members that a segment has in common with each of the others.
    fn segment_overlap(&self, id: &str, others: &[String]) -> Result<Overlaps> {
        needs_engine("who the members of a segment are", (id, others))
    }
}

/// Which sizes are asked for.
#[derive(Clone, Copy, Debug)]
pub struct SizeQuery {
    /// From when on.
    pub from: Millis,
    /// Up to when.
    pub to: Millis,
    /// Between two points, milliseconds.
    pub step: Millis,
}

/// Sizes of all segments at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SizesNow {
    /// The newest version of the catalogue.
    pub catalogue_version: u64,
    /// The version that memberships follow.
    pub in_force_version: u64,
    /// By id.
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
    /// RFC 3339: since when its sizes are known.
    pub known_since: String,
    /// By time.
    pub points: Vec<SizePoint>,
    /// Compared with before.
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
    /// Who entered since the point before.
    pub entered: u64,
    /// Who left since the point before.
    pub left: u64,
}

/// How a segment has grown.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Growth {
    /// In the last 24 hours.
    pub day: GrowthSince,
    /// In the last 7 days.
    pub week: GrowthSince,
}

/// How a segment has grown since then by what people do: edits of rules and lists are no growth.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GrowthSince {
    /// RFC 3339: so long ago, or the last edit that changed who is a member, or since when sizes are known, whichever is last.
    pub since: String,
    /// Members then, behind the edit where there was one.
    pub size_then: u64,
    /// Who entered since.
    pub entered: u64,
    /// Who left since.
    pub left: u64,
    /// More members now than then; fewer where negative.
    pub net: i64,
    /// The same in percent of those then; absent where there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
}

/// What a segment has in common with others.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overlaps {
    /// The segment.
    pub segment_id: String,
    /// Its members.
    pub size: u64,
    /// Of each other one.
    pub with: Vec<Overlap>,
}

/// What a segment has in common with another.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overlap {
    /// The other one.
    pub segment_id: String,
    /// Its members.
    pub size: u64,
    /// Members of both.
    pub both: u64,
    /// Members of at least one.
    pub either: u64,
    /// Members of the first alone.
    pub only_this: u64,
    /// Members of the other alone.
    pub only_other: u64,
    /// `both / either`; 0 where nobody is in either.
    pub jaccard: f64,
}

//! Pipelines: what a segment's rule becomes in the engine.

use audience_rules::catalogue::SegmentStatus;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::SegmentKind;

/// The pipeline of a version of a segment, a function of the catalogue at one version and of nothing else; only `sources` are
/// those of the running platform.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentPipeline {
    /// The segment.
    pub segment_id: String,
    /// Its version.
    pub version: u64,
    /// The version of the catalogue, whose other rules share parts with it.
    pub catalogue_version: u64,
    /// DYNAMIC or STATIC.
    #[serde(rename = "type")]
    pub kind: SegmentKind,
    /// The status in that version. Only an ACTIVE one runs; for others it is what would run.
    pub status: SegmentStatus,
    /// The sources of events.
    pub sources: Vec<PipelineSource>,
    /// The types of events that it reads, each with the measures that they feed.
    pub events: Vec<PipelineEvents>,
    /// The fields that it reads, each with the measures that do.
    pub fields: Vec<PipelineField>,
    /// The numbers, values and answers that are kept of each user.
    pub measures: Vec<PipelineMeasure>,
    /// The distinct conditions.
    pub predicates: Vec<PipelinePredicate>,
    /// The way in which the conditions are joined; absent for a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PipelinePlan>,
    /// True if the plan is looked up in a table of all combinations, as it has few conditions.
    pub is_table: bool,
    /// Other segments that it refers to.
    pub segments: Vec<String>,
    /// The windows over time, each once.
    pub windows: Vec<Box<RawValue>>,
    /// The costs.
    pub cost: PipelineCost,
    /// RFC 3339: the instant from which on history counts; absent where all of it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_from: Option<String>,
}

/// A source of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineSource {
    /// Its name; `http` for the ingestion API.
    pub name: String,
    /// The topic, for a source that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
}

/// Events of a type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineEvents {
    /// The type; `*` for all.
    pub event_type: String,
    /// The measures that they feed.
    pub measures: Vec<String>,
    /// The conditions on these measures: at most so many are looked at.
    pub predicates: u64,
}

/// A field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineField {
    /// The field as rules write it.
    pub field: String,
    /// `event` or `trait`.
    pub of: &'static str,
    /// The measures that read it.
    pub measures: Vec<String>,
}

/// A measure: what is kept of each user.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineMeasure {
    /// Its name within the pipeline.
    pub id: String,
    /// `trait`, `behaviour`, `sequence` or `question`.
    pub kind: &'static str,
    /// The definition, as rules write it.
    pub definition: Box<RawValue>,
    /// The computed traits that are this measure.
    pub traits: Vec<String>,
    /// The active rules that share it, this one included.
    pub shared_by: u64,
    /// Bytes for each user of whom there is anything.
    pub bytes_per_user: u64,
    /// The thing that its memory grows with: `values`, `events` or `records`; absent where it does not grow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grows_with: Option<&'static str>,
    /// Bytes for each of these; of a record, beside its own.
    pub bytes_each: u64,
}

/// A condition.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelinePredicate {
    /// Its name within the pipeline.
    pub id: String,
    /// `test`, `segment`, `rank` or `sample`.
    pub kind: &'static str,
    /// The condition, as rules write it.
    pub condition: Box<RawValue>,
    /// The measure that it asks, or by which a rank orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measure: Option<String>,
    /// The rule of who is ranked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub among: Option<PipelinePlan>,
    /// The active rules that share it, this one included.
    pub shared_by: u64,
}

/// The way in which conditions are joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PipelinePlan {
    /// A condition.
    Predicate(String),
    /// All hold.
    All(Vec<PipelinePlan>),
    /// Any holds.
    Any(Vec<PipelinePlan>),
    /// None holds.
    None(Vec<PipelinePlan>),
}

/// The costs of a rule. Parts that other rules share cost nothing more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PipelineCost {
    /// Bytes for each user, of all measures.
    pub bytes_per_user: u64,
    /// Bytes of those for each user that no other active rule needs.
    pub own_bytes_per_user: u64,
    /// The measures that an event feeds, at most.
    pub measures_per_event: u64,
    /// The conditions that are looked at for an event, at most.
    pub predicates_per_event: u64,
}

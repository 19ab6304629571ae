//! Segments: their documents, versions and lifecycle, their members, and what a change of rules would change.

use audience_rules::catalogue::SegmentStatus;
use audience_rules::fault::Fault;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Result, needs_engine};
use crate::words::optional_word;
use crate::{
    MembersChange, MembersOutcome, NamedSegment, Page, PageLimit, Preview, PreviewInput, PreviewProgress,
    SegmentPipeline,
};

/// Segments. A platform implements what it can answer; the rest is refused with
/// [`PlatformError::NeedsEngine`](crate::PlatformError::NeedsEngine).
///
/// `expected` is the version that the caller read; `None` replaces whatever is there.
pub trait SegmentResource: Send + Sync + 'static {
    /// Creates a segment; faults of its rules have pointers below `/rules`. Returns when it is in force and wholly served,
    /// or with `effective: false` when history must be scanned for longer than two seconds.
    fn create_segment(&self, input: SegmentInput, author: &str) -> Result<SegmentView> {
        needs_engine("segments", (input, author))
    }

    /// Replaces a segment.
    fn replace_segment(
        &self,
        id: &str,
        input: SegmentInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        needs_engine("segments", (id, input, expected, author))
    }

    /// Takes a lifecycle step.
    fn transition_segment(
        &self,
        id: &str,
        to: Transition,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        needs_engine("segments", (id, to, note, expected, author))
    }

    /// Makes a new version with the content of an earlier one: everything but the status, which stays. A segment that is
    /// archived or deleted comes back as INACTIVE, so that nobody enters before someone has looked at it.
    fn rollback_segment(
        &self,
        id: &str,
        version: u64,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        needs_engine("segments", (id, version, note, expected, author))
    }

    /// Deletes a segment.
    fn delete_segment(&self, id: &str, expected: Option<u64>, author: &str) -> Result<()> {
        needs_engine("segments", (id, expected, author))
    }

    /// Returns a segment.
    fn segment(&self, id: &str) -> Result<SegmentView> {
        needs_engine("segments", id)
    }

    /// Returns segments in order of their ids.
    fn segments(&self, query: &SegmentQuery) -> Result<Page<SegmentView>> {
        needs_engine("segments", query)
    }

    /// Returns every version of a segment since it was last created, oldest first, also of a segment that is deleted.
    fn segment_versions(&self, id: &str) -> Result<Vec<SegmentDocument>> {
        needs_engine("segments", id)
    }

    /// Returns what a version of a segment becomes in the engine; its newest version where none is named.
    fn segment_pipeline(&self, id: &str, version: Option<u64>) -> Result<SegmentPipeline> {
        needs_engine("what a rule becomes", (id, version))
    }

    /// Computes what rules would change if they were in force: exact, as of one instant of the running engine. Nothing is
    /// saved or emitted. Calls `watch` every now and then, and stops when that returns false.
    fn preview(&self, input: PreviewInput, watch: &mut dyn FnMut(PreviewProgress) -> bool) -> Result<Preview> {
        needs_engine("what a rule would change", (input, watch))
    }

    /// Returns at most `limit` members whose ids come after `after`, in order of their ids by bytes.
    fn members(&self, id: &str, after: Option<&str>, limit: PageLimit) -> Result<Page<String>> {
        needs_engine("who the members of a segment are", (id, after, limit))
    }

    /// Gives all members of a segment as of one moment, in no order, to `take` in pieces of a few thousand. Stops early
    /// when that returns false.
    fn visit_members(&self, id: &str, take: &mut dyn FnMut(Vec<String>) -> bool) -> Result<()> {
        needs_engine("who the members of a segment are", (id, take))
    }

    /// Changes the members of a static segment.
    fn change_members(
        &self,
        id: &str,
        change: MembersChange,
        expected: Option<u64>,
        author: &str,
    ) -> Result<MembersOutcome> {
        needs_engine("lists of members", (id, change, expected, author))
    }
}

/// A segment as the API shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentDocument {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its purpose.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// DYNAMIC or STATIC.
    #[serde(rename = "type")]
    pub kind: SegmentKind,
    /// DRAFT, ACTIVE, INACTIVE or ARCHIVED.
    pub status: SegmentStatus,
    /// The rules of a dynamic segment, in canonical form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Box<RawValue>>,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The person or team that answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// 1 at creation, one more with every change.
    pub version: u64,
    /// RFC 3339: the instant of creation.
    pub created_at: String,
    /// RFC 3339: the instant of the newest version.
    pub updated_at: String,
    /// The author of this version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub updated_by: String,
    /// The author's note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The kind of a segment: rules or a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SegmentKind {
    /// Rules decide who is a member.
    Dynamic,
    /// A list names the members.
    Static,
}

/// A segment with its computed figures.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentView {
    /// The document.
    #[serde(flatten)]
    pub document: SegmentDocument,
    /// Members now; absent if no engine runs in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// True if the served memberships follow the newest version; absent if no engine runs in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<bool>,
    /// Faults of a newer version that was stored by other ways than this API and does not run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// The segments whose rules use it, in order of their ids; absent in a list of segments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_by: Option<Vec<NamedSegment>>,
    /// Names and values of rules just sent that were never seen: most often mistakes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Fault>,
}

/// A client's request to create or replace a segment.
///
/// `rules` stays as text: it is read by the rule parser, whose faults carry pointers below `/rules`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SegmentInput {
    /// Its id; made from the name if absent.
    #[serde(default)]
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// Its purpose.
    #[serde(default)]
    pub description: String,
    /// DYNAMIC (default) or STATIC, in any case.
    #[serde(rename = "type", default, deserialize_with = "optional_word")]
    pub kind: Option<SegmentKind>,
    /// DRAFT, ACTIVE (default) or INACTIVE at creation, in any case.
    #[serde(default, deserialize_with = "optional_word")]
    pub status: Option<SegmentStatus>,
    /// The rules of a dynamic segment.
    #[serde(default)]
    pub rules: Option<Box<RawValue>>,
    /// The members of a static segment.
    #[serde(default)]
    pub members: Option<Vec<String>>,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The person or team that answers for it.
    #[serde(default)]
    pub owner: Option<String>,
    /// The author's note to this version.
    #[serde(default)]
    pub note: Option<String>,
}

/// A lifecycle step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// DRAFT or INACTIVE → ACTIVE
    Activate,
    /// ACTIVE → INACTIVE
    Deactivate,
    /// Any but ARCHIVED → ARCHIVED
    Archive,
}

/// Filter of segments.
#[derive(Clone, Debug, Default)]
pub struct SegmentQuery {
    /// Only segments of this status.
    pub status: Option<SegmentStatus>,
    /// Only segments of this kind.
    pub kind: Option<SegmentKind>,
    /// Only segments with this text in id, name, description, tags or owner, in any case.
    pub text: Option<String>,
    /// Only segments with this tag.
    pub tag: Option<String>,
    /// Only segments of this owner.
    pub owner: Option<String>,
    /// Only ids after this one.
    pub after: Option<String>,
    /// The largest number of segments.
    pub limit: PageLimit,
}

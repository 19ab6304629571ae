//! Segments and computed traits as the API shows them, and what is asked of them.

use audience_rules::fault::Fault;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A segment as the API shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentDocument {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// DYNAMIC or STATIC.
    #[serde(rename = "type")]
    pub kind: SegmentKind,
    /// DRAFT, ACTIVE, INACTIVE or ARCHIVED.
    pub status: audience_rules::catalogue::SegmentStatus,
    /// The rules, for a dynamic one, in canonical form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Box<RawValue>>,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// 1 at creation, one more with every change.
    pub version: u64,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
    /// Who made this version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub updated_by: String,
    /// What they say to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Rules or a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SegmentKind {
    /// By rules.
    Dynamic,
    /// A list of ids.
    Static,
}

/// A segment with what is computed of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentView {
    /// The document.
    #[serde(flatten)]
    pub document: SegmentDocument,
    /// Members now; nothing where no engine runs in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Whether the newest version is wholly in the served memberships; nothing where no engine runs in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<bool>,
    /// What is wrong with a newer version that was stored by other ways than this API, and does not run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

/// A document that was stored by other ways than the API, and does not run. The version before it does, if there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultyDocument {
    /// segment, trait or members
    pub kind: &'static str,
    /// Its id, or a trait's name.
    pub id: String,
    /// The version of the whole catalogue that brought it.
    pub catalogue_version: u64,
    /// The version of the whole catalogue that brought what runs in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_version: Option<u64>,
    /// What is wrong, with JSON pointers into the document.
    pub faults: Vec<Fault>,
}

/// What a client sends to create or replace a segment.
///
/// `rules` stays as text: it is read by the rule parser, whose faults carry pointers below `/rules`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SegmentInput {
    /// Its id; made from the name where absent.
    #[serde(default)]
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// dynamic (default) or static, in any case.
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    /// DRAFT or ACTIVE (default) at creation, in any case.
    #[serde(default)]
    pub status: Option<String>,
    /// The rules of a dynamic one.
    #[serde(default)]
    pub rules: Option<Box<RawValue>>,
    /// The members of a static one.
    #[serde(default)]
    pub members: Option<Vec<String>>,
    /// Free labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<String>,
    /// What the author says to this version.
    #[serde(default)]
    pub note: Option<String>,
}

/// What a lifecycle call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// DRAFT or INACTIVE → ACTIVE
    Activate,
    /// ACTIVE → INACTIVE
    Deactivate,
    /// Any but ARCHIVED → ARCHIVED
    Archive,
}

/// Which segments to list.
#[derive(Clone, Debug, Default)]
pub struct SegmentQuery {
    /// Only of this status.
    pub status: Option<audience_rules::catalogue::SegmentStatus>,
    /// Only of this kind.
    pub kind: Option<SegmentKind>,
    /// Only with this text in id, name, description, tags or owner, in any case.
    pub text: Option<String>,
    /// Only with this tag.
    pub tag: Option<String>,
    /// Only of this owner.
    pub owner: Option<String>,
    /// Only ids after this one.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// A page of a list.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Give it as `cursor` for the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A computed trait as the API shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TraitDocument {
    /// Its name.
    pub name: String,
    /// Its definition: `{name, event, where?, measure?, within?}` in canonical form.
    pub definition: Box<RawValue>,
    /// 1 at creation, one more with every change.
    pub version: u64,
    /// RFC 3339.
    pub updated_at: String,
}

//! Computed traits.

use audience_rules::fault::Fault;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::NamedSegment;
use crate::error::{Result, needs_engine};

/// Computed traits. A platform implements what it can answer; the rest is refused with
/// [`PlatformError::NeedsEngine`](crate::PlatformError::NeedsEngine).
///
/// `expected` is the version that the caller read; `None` replaces whatever is there.
pub trait TraitResource: Send + Sync + 'static {
    /// Creates (`expected` is `Some(0)`) or replaces a computed trait.
    fn put_trait(&self, input: TraitInput, expected: Option<u64>, author: &str) -> Result<TraitView> {
        needs_engine("computed traits", (input, expected, author))
    }

    /// Makes a new version with the definition of an earlier one; a deleted trait comes back by it.
    fn rollback_trait(
        &self,
        name: &str,
        version: u64,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<TraitView> {
        needs_engine("computed traits", (name, version, note, expected, author))
    }

    /// Deletes a computed trait.
    fn delete_trait(&self, name: &str, expected: Option<u64>, author: &str) -> Result<()> {
        needs_engine("computed traits", (name, expected, author))
    }

    /// Counts who would enter and leave the segments that use a trait, directly or through others, if it had another
    /// definition. Nothing is changed. `watch` is called while it counts, and stops it by returning false.
    fn preview_trait(&self, preview: TraitPreviewInput, watch: &mut dyn FnMut() -> bool) -> Result<TraitPreview> {
        needs_engine("what a definition would change", (preview, watch()))
    }

    /// Returns a computed trait.
    fn computed_trait(&self, name: &str) -> Result<TraitView> {
        needs_engine("computed traits", name)
    }

    /// Returns every version of a trait since it was last created, oldest first, also of a trait that is deleted.
    fn trait_versions(&self, name: &str) -> Result<Vec<TraitDocument>> {
        needs_engine("computed traits", name)
    }

    /// Returns all computed traits in order of their names.
    fn computed_traits(&self) -> Result<Vec<TraitDocument>> {
        needs_engine("computed traits", ())
    }
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
    /// RFC 3339: the instant of this version.
    pub updated_at: String,
    /// The author of this version.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub updated_by: String,
    /// The author's note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A computed trait with its uses.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TraitView {
    /// The document.
    #[serde(flatten)]
    pub document: TraitDocument,
    /// The segments whose rules use it, in order of their ids.
    pub used_by: Vec<NamedSegment>,
    /// Names and values of a definition just sent that were never seen: most often mistakes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Fault>,
}

/// A client's request for the effect of a definition.
#[derive(Clone, Debug)]
pub struct TraitPreviewInput {
    /// `{name, event, where?, measure?, within?}`
    pub definition: Box<RawValue>,
    /// The number of users to name of each kind; 10 if absent.
    pub sample_size: Option<u32>,
}

/// The effect that a definition would have.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TraitPreview {
    /// The active segments that use the trait, directly or through others; the nearest first.
    pub segments: Vec<SegmentEffect>,
    /// Those that are not counted, since there are too many.
    pub not_counted: Vec<NamedSegment>,
    /// Names and values of the definition that were never seen: most often mistakes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Fault>,
}

/// The users who would enter and leave a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentEffect {
    /// The segment.
    #[serde(flatten)]
    pub segment: NamedSegment,
    /// Users who would be members.
    pub size: u64,
    /// Users who would be members and are none now.
    pub entered: u64,
    /// Users who are members now and would be none.
    pub left: u64,
    /// A sample of those who would enter.
    pub sample_entered: Vec<String>,
    /// A sample of those who would leave.
    pub sample_left: Vec<String>,
}

/// A client's request to create or replace a computed trait.
///
/// `definition` stays as text: it is read by the rule parser, whose faults carry pointers into it.
#[derive(Clone, Debug)]
pub struct TraitInput {
    /// `{name, event, where?, measure?, within?}`
    pub definition: Box<RawValue>,
    /// The author's note to this version.
    pub note: Option<String>,
}

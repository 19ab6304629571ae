//! Segments, contents, campaigns and settings as their files have them.

use audience_protocol::{CampaignInput, ContentInput, ContentPurpose};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A segment as its file has it. The members of a list are data, and in no file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SegmentFile {
    pub id: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// `STATIC` for a list; rules otherwise.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `ACTIVE` where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Box<RawValue>>,
}

impl SegmentFile {
    /// Returns whether it is a list, whose members are no rules.
    pub(super) fn is_list(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("static"))
    }

    pub(super) fn status(&self) -> &str {
        self.status.as_deref().unwrap_or("ACTIVE")
    }

    pub(super) fn is_archived(&self) -> bool {
        self.status().eq_ignore_ascii_case("archived")
    }
}

/// The settings of the platform, as their file has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DefinedSettings {
    /// A name of the tz database. A file without it leaves the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// The approval that a content's file asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WantedStatus {
    Approved,
}

/// A content as its file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ContentFile {
    pub id: String,
    pub name: String,
    /// A file without it leaves the approval to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<WantedStatus>,
    #[serde(default)]
    pub purpose: ContentPurpose,
    pub subject: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub preheader: String,
    pub body: String,
}

impl ContentFile {
    /// The request that creates or replaces it.
    pub(super) fn input(&self) -> ContentInput {
        let ContentFile { id, name, purpose, subject, preheader, body, .. } = self.clone();
        ContentInput { id: Some(id), name, purpose, subject, preheader, body }
    }

    pub(super) fn is_to_be_approved(&self) -> bool {
        self.status == Some(WantedStatus::Approved)
    }

    /// Returns whether it says the same, whatever its approval.
    pub(super) fn has_text_of(&self, other: &ContentFile) -> bool {
        let text = |file: &ContentFile| ContentFile { status: None, ..file.clone() };
        text(self) == text(other)
    }
}

/// Returns whether two campaigns are the same; what a file leaves out has its default in both.
pub(super) fn is_same_campaign(one: &CampaignInput, other: &CampaignInput) -> bool {
    let value = |input: &CampaignInput| serde_json::to_value(input).ok();
    value(one).is_some() && value(one) == value(other)
}

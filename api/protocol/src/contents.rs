//! Contents: the mails that campaigns send, with versions and approval.

use serde::{Deserialize, Serialize};

use crate::error::{Result, needs_engine};

/// Contents. A platform implements what it can answer; the rest is refused with
/// [`PlatformError::NeedsEngine`](crate::PlatformError::NeedsEngine).
pub trait ContentResource: Send + Sync + 'static {
    /// Creates a content, as a draft.
    fn create_content(&self, input: ContentInput, author: &str) -> Result<ContentDocument> {
        needs_engine("contents", (input, author))
    }

    /// Replaces a content: its new version is a draft. Campaigns go on with the approved version that they were launched with.
    fn replace_content(
        &self,
        id: &str,
        input: ContentInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<ContentDocument> {
        needs_engine("contents", (id, input, expected, author))
    }

    /// Approves or archives the newest version. A marketing mail without a link that unsubscribes, or without a postal
    /// address, is not approved.
    fn change_content(
        &self,
        id: &str,
        to: ContentStatus,
        expected: Option<u64>,
        author: &str,
    ) -> Result<ContentDocument> {
        needs_engine("contents", (id, to, expected, author))
    }

    /// Returns a content.
    fn content(&self, id: &str) -> Result<ContentDocument> {
        needs_engine("contents", id)
    }

    /// Returns all contents in order of their ids.
    fn contents(&self) -> Result<Vec<ContentDocument>> {
        needs_engine("contents", ())
    }

    /// Renders the newest version for a user as of now; sends nothing.
    fn preview_content(&self, id: &str, user: &str) -> Result<RenderedMail> {
        needs_engine("contents", (id, user))
    }
}

/// A client's request to create or replace a content.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContentInput {
    /// The id; made from the name where it is absent.
    #[serde(default)]
    pub id: Option<String>,
    /// The name.
    pub name: String,
    /// The purpose; marketing by default.
    #[serde(default)]
    pub purpose: ContentPurpose,
    /// The subject, a template.
    pub subject: String,
    /// The line that mail programs show after the subject, a template.
    #[serde(default)]
    pub preheader: String,
    /// The mail in HTML, a template.
    pub body: String,
}

/// A content.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentDocument {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its channel: `email`.
    #[serde(rename = "type")]
    pub channel: String,
    /// Its purpose.
    pub purpose: ContentPurpose,
    /// The subject, a template.
    pub subject: String,
    /// The line that mail programs show after the subject, a template.
    #[serde(default)]
    pub preheader: String,
    /// The mail in HTML, a template.
    pub body: String,
    /// The variables that its templates name.
    #[serde(default)]
    pub variables: Vec<String>,
    /// The status of this version.
    pub status: ContentStatus,
    /// 1 at creation, one more with every change.
    pub version: u64,
    /// RFC 3339: the instant of creation.
    pub created_at: String,
    /// RFC 3339: the instant of this version.
    pub updated_at: String,
    /// The author of this version.
    pub updated_by: String,
}

/// The purpose of a content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContentPurpose {
    /// Advertising: needs consent, a link that unsubscribes and a postal address.
    #[default]
    Marketing,
    /// The person asked for it by what they did: needs no consent.
    Transactional,
}

/// The status of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContentStatus {
    /// It may change, and is not sent.
    Draft,
    /// It may be sent.
    Approved,
    /// It is kept, and no new campaign sends it.
    Archived,
}

/// A mail as one user would get it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RenderedMail {
    /// The subject.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The plain text part.
    pub text: String,
}

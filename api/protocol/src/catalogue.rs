//! The catalogue as a whole: its audit log, and documents that do not run.

use audience_rules::fault::Fault;
use serde::Serialize;

use crate::Page;
use crate::error::{Result, needs_engine};

/// The catalogue as a whole. A platform implements what it can answer; the rest is refused with
/// [`PlatformError::NeedsEngine`](crate::PlatformError::NeedsEngine).
pub trait CatalogueResource: Send + Sync + 'static {
    /// Returns rows of the audit log, newest first. The cursor is a sequence.
    fn audit(&self, query: &AuditQuery) -> Result<Page<AuditItem>> {
        needs_engine("the audit log", query)
    }

    /// Returns documents that were stored by other ways than this API and do not run.
    fn faulty_documents(&self) -> Result<Vec<FaultyDocument>> {
        needs_engine("segments and traits", ())
    }
}

/// What can be done, as the audit log names it.
pub const AUDIT_ACTIONS: [&str; 14] = [
    "created",
    "updated",
    "activated",
    "deactivated",
    "archived",
    "rolledBack",
    "deleted",
    "membersReplaced",
    "membersAdded",
    "membersRemoved",
    "erased",
    "paused",
    "resumed",
    "secretRotated",
];

/// To what it can be done.
pub const AUDIT_KINDS: [&str; 5] = ["segment", "trait", "members", "user", "webhook"];

/// A row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditItem {
    /// Greater than that of every row before.
    pub sequence: u64,
    /// RFC 3339.
    pub at: String,
    /// Who did it.
    pub author: String,
    /// One of [`AUDIT_ACTIONS`].
    pub action: String,
    /// One of [`AUDIT_KINDS`].
    pub kind: String,
    /// Of what; of a user, whom nothing may name any more, a digest of the id.
    pub id: String,
    /// The version of it that came about; of what was deleted, the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The version of the whole catalogue that came about.
    pub catalogue_version: u64,
    /// What the author said to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What it was before: of a webhook, without its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    /// What it is now: of a webhook, without its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<serde_json::Value>,
}

/// Which rows of the audit log to give, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only of this kind.
    pub kind: Option<&'static str>,
    /// Only of this id; where the kind is user, also the user's id itself.
    pub id: Option<String>,
    /// Only by this author.
    pub author: Option<String>,
    /// Only where this was done.
    pub action: Option<&'static str>,
    /// Only from this instant on, in milliseconds.
    pub from: Option<i64>,
    /// Only before this instant.
    pub to: Option<i64>,
    /// Only rows with a sequence below this one.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
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

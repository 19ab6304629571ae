//! The catalogue as a whole: its audit log, documents that do not run, and the platform's time zone.

use audience_rules::fault::Fault;
use serde::{Deserialize, Serialize};

use crate::error::{Result, needs_engine};
use crate::{Page, PageLimit};

/// The catalogue as a whole. A platform implements what it can answer; the rest is refused with
/// [`PlatformError::NeedsEngine`](crate::PlatformError::NeedsEngine).
pub trait CatalogueResource: Send + Sync + 'static {
    /// Returns rows of the audit log, newest first. The cursor is a sequence.
    fn audit(&self, query: &AuditQuery) -> Result<Page<AuditItem>> {
        needs_engine("the audit log", query)
    }

    /// Records what somebody did that changes no document of the catalogue. Durable on return.
    fn record(&self, author: &str, note: AuditNote) -> Result<()> {
        needs_engine("the audit log", (author, note))
    }

    /// Returns documents that were stored by other ways than this API and do not run.
    fn faulty_documents(&self) -> Result<Vec<FaultyDocument>> {
        needs_engine("segments and traits", ())
    }

    /// Returns the platform's time zone.
    fn timezone(&self) -> Result<TimezoneDocument> {
        needs_engine("the time zone", ())
    }

    /// Returns every version of the time zone that was set, oldest first.
    fn timezone_versions(&self) -> Result<Vec<TimezoneDocument>> {
        needs_engine("the time zone", ())
    }

    /// Sets the time zone: an edit over all history, as one of a rule is. `expected` is the version that the caller read, 0
    /// where none was set. The zone that it is already makes no version.
    fn set_timezone(&self, input: TimezoneInput, expected: Option<u64>, author: &str) -> Result<TimezoneDocument> {
        needs_engine("the time zone", (input, expected, author))
    }
}

/// The platform's time zone as the API shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TimezoneDocument {
    /// A name of the tz database.
    pub timezone: String,
    /// 1 when one is first set, one more with every change; 0 while nobody has set one.
    pub version: u64,
    /// RFC 3339: the instant of this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// The author of this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
    /// The author's note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A client's request to set the time zone.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimezoneInput {
    /// A name of the tz database, spelled exactly.
    pub timezone: String,
    /// The author's note.
    #[serde(default)]
    pub note: Option<String>,
}

/// Actions, as the audit log names them.
pub const AUDIT_ACTIONS: [&str; 25] = [
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
    "exported",
    "paused",
    "resumed",
    "secretRotated",
    "signedIn",
    "signedOut",
    "refused",
    "invited",
    "joined",
    "passwordChanged",
    "takenBack",
    "approved",
    "launched",
    "cancelled",
];

/// Kinds of documents, as the audit log names them.
pub const AUDIT_KINDS: [&str; 18] = [
    "segment",
    "trait",
    "members",
    "user",
    "webhook",
    "member",
    "key",
    "session",
    "invitation",
    "route",
    "tenant",
    "label",
    "currency",
    "time",
    "setting",
    "content",
    "campaign",
    "suppression",
];

/// An action of somebody, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditNote {
    /// One of [`AUDIT_ACTIONS`].
    pub action: &'static str,
    /// One of [`AUDIT_KINDS`].
    pub kind: &'static str,
    /// The id of the thing.
    pub id: String,
    /// More about it.
    pub note: Option<String>,
    /// The thing before, without its secrets.
    pub before: Option<serde_json::Value>,
    /// The thing after, without its secrets.
    pub after: Option<serde_json::Value>,
}

impl AuditNote {
    /// A note without more about it.
    pub fn of(action: &'static str, kind: &'static str, id: &str) -> AuditNote {
        AuditNote { action, kind, id: id.to_owned(), note: None, before: None, after: None }
    }

    /// The same with more about it; nothing where the text is empty.
    pub fn with_note(self, note: &str) -> AuditNote {
        AuditNote { note: Some(note.to_owned()).filter(|note| !note.is_empty()), ..self }
    }

    /// The same with the thing before and after.
    pub fn with_change(self, before: serde_json::Value, after: serde_json::Value) -> AuditNote {
        AuditNote { before: Some(before), after: Some(after), ..self }
    }
}

/// A row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditItem {
    /// A number greater than that of every row before.
    pub sequence: u64,
    /// RFC 3339: the instant of the change.
    pub at: String,
    /// The author.
    pub author: String,
    /// One of [`AUDIT_ACTIONS`].
    pub action: String,
    /// One of [`AUDIT_KINDS`].
    pub kind: String,
    /// The document's id, or for an erased user, whom nothing may name any more, a digest of the id.
    pub id: String,
    /// The document's new version; the last one if it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The catalogue's new version.
    pub catalogue_version: u64,
    /// The author's note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The document before; a webhook is shown without its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
    /// The document after; a webhook is shown without its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<serde_json::Value>,
}

/// Filter of the audit log. Rows come newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only rows of this kind.
    pub kind: Option<&'static str>,
    /// Only rows of this id. With kind `user` the user's id fits too.
    pub id: Option<String>,
    /// Only rows of this author.
    pub author: Option<String>,
    /// Only rows of this action.
    pub action: Option<&'static str>,
    /// Only rows from this instant on, in epoch milliseconds.
    pub from: Option<i64>,
    /// Only rows before this instant, in epoch milliseconds.
    pub to: Option<i64>,
    /// Only rows with a sequence below this one.
    pub before: Option<u64>,
    /// The largest number of rows.
    pub limit: PageLimit,
}

/// A document that was stored by other ways than the API and does not run. The version before it runs, if there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultyDocument {
    /// segment, trait, members or setting
    pub kind: &'static str,
    /// Its id, or a trait's name.
    pub id: String,
    /// The catalogue version that brought the document.
    pub catalogue_version: u64,
    /// The catalogue version of the document that runs in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_version: Option<u64>,
    /// The faults, with JSON pointers into the document.
    pub faults: Vec<Fault>,
}

//! Lists of members and the audit log: what is asked of the catalogue beside segments and traits themselves.

use serde::Serialize;

use crate::SegmentView;

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

/// What a change of a list does with the ids that come with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersMode {
    /// They become the list.
    Replace,
    /// They join the list.
    Add,
    /// They leave the list.
    Remove,
}

/// A change of the members of a static segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersChange {
    /// What is done with the ids.
    pub mode: MembersMode,
    /// The ids, none of them twice.
    pub members: Vec<String>,
    /// Only says what would come of it.
    pub is_dry_run: bool,
    /// What the author says to it.
    pub note: Option<String>,
}

/// What came of a change of a list. One that changes nothing makes no version.
#[derive(Clone, Debug)]
pub struct MembersOutcome {
    /// The segment behind it; as it is where nothing was to be changed.
    pub segment: SegmentView,
    /// Ids that joined.
    pub added: u64,
    /// Ids that left.
    pub removed: u64,
    /// Ids that came and made no difference.
    pub unchanged: u64,
}

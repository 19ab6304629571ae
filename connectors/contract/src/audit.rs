//! Audit rows: who changed what, kept with the version of the catalogue that the change made.

use serde::{Deserialize, Serialize};

/// One thing that was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// created, updated, activated, deactivated, archived, rolledBack, deleted, membersReplaced, membersAdded,
    /// membersRemoved, erased, paused, resumed, secretRotated, approved, launched or cancelled
    pub action: String,
    /// segment, trait, members, user, webhook, content, campaign or suppression
    pub kind: String,
    /// The document's id.
    pub id: String,
    /// The version of it that came about.
    pub version: Option<u64>,
    /// The author's note.
    pub note: Option<String>,
    /// The document before, as JSON, if the catalogue keeps no versions of it.
    #[serde(default)]
    pub before: Option<String>,
    /// The document after, as JSON, if the catalogue keeps no versions of it.
    #[serde(default)]
    pub after: Option<String>,
}

/// The acts of one author in one change of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// The author.
    pub author: String,
    /// The instant, in milliseconds.
    pub at: i64,
    /// The entries, in order.
    pub entries: Vec<AuditEntry>,
}

/// A row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Greater than that of every row before.
    pub sequence: u64,
    /// The instant, in milliseconds.
    pub at: i64,
    /// The author.
    pub author: String,
    /// The version of the whole catalogue that came about.
    pub catalogue_version: u64,
    /// The entry.
    pub entry: AuditEntry,
}

/// Which rows of the audit log to give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only of this id.
    pub id: Option<String>,
    /// Only by this author.
    pub author: Option<String>,
    /// Only where this was done.
    pub action: Option<String>,
    /// Only from this instant on.
    pub from: Option<i64>,
    /// Only before this instant.
    pub to: Option<i64>,
    /// Only with sequences below this one.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

impl AuditFilter {
    /// Returns whether a row is asked for, `limit` aside.
    pub fn takes(&self, record: &AuditRecord) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        is(&self.kind, &record.entry.kind)
            && is(&self.id, &record.entry.id)
            && is(&self.author, &record.author)
            && is(&self.action, &record.entry.action)
            && self.from.is_none_or(|from| record.at >= from)
            && self.to.is_none_or(|to| record.at < to)
            && self.before.is_none_or(|before| record.sequence < before)
    }
}

//! The result of a checked edit, before it is stored.

use audience_contract::{AuditEntry, Document};

/// The author of an edit, and the catalogue version that it makes.
#[derive(Clone, Copy)]
pub(crate) struct Stamp<'a> {
    /// The author.
    pub author: &'a str,
    /// The catalogue version that the edit makes.
    pub catalogue_version: u64,
}

/// The documents and audit entries of one edit, with the answer that its caller gets. They are stored together or not
/// at all. A changeset without documents and entries changes nothing and makes no catalogue version.
pub(crate) struct Changeset<T> {
    /// The documents to store.
    pub documents: Vec<Document>,
    /// The entries of the audit log that describe them.
    pub entries: Vec<AuditEntry>,
    /// The caller's answer.
    pub answer: T,
}

impl<T> Changeset<T> {
    /// Returns whether there is nothing to store.
    pub(crate) fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.entries.is_empty()
    }
}

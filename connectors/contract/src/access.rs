//! The store of the platform's own documents: members, keys, sessions and invitations, and the words of people.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Result;

/// A document: a member, a key, a session, an invitation, a label, the currency. Its text is JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessDocument {
    /// The kind: 1 to 32 letters.
    pub kind: String,
    /// The id, one of its kind: 1 to 64 letters, digits, `-` and `_`.
    pub id: String,
    /// The text.
    pub body: String,
}

/// A document that is written, or deleted where it has no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessChange {
    /// The kind.
    pub kind: Cow<'static, str>,
    /// The id.
    pub id: String,
    /// The text; `None` deletes.
    pub body: Option<String>,
}

/// The documents of access, read as a whole and written by differences.
///
/// - A text MUST be given back as one that says the same: an implementation MAY order members otherwise and write numbers
///   and spaces in another way.
/// - MUST take texts of 64 KiB.
pub trait AccessStore: Send + Sync {
    /// The number of writes so far. Cheap: processes look at it every few seconds.
    fn revision(&self) -> Result<u64>;

    /// All documents as of one revision, by kind and id.
    fn all(&self) -> Result<(u64, Vec<AccessDocument>)>;

    /// Writes all changes or none, as the revision `expected + 1`; `Ok(false)` where the store is not at `expected`: of
    /// several that write at the same revision exactly one succeeds. Durable on return. The deletion of what is not there is
    /// done already.
    fn put(&self, expected: u64, changes: &[AccessChange]) -> Result<bool>;
}

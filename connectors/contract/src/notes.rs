//! Notes of the platform beside events, changes and catalogue.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use crate::{Result, StoreError};

/// A key, and what is noted under it; `None` takes away what was.
pub type Note = (Vec<u8>, Option<Vec<u8>>);

/// Takes a key and what is noted there.
pub type VisitNote<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// A place in the writes of notes, from one opening of their store to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotesMark {
    /// The opening: no other has that number.
    pub opened: u64,
    /// The writes since then.
    pub writes: u64,
}

/// The notes that were written since a mark.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangedNotes {
    /// The mark after them.
    pub mark: NotesMark,
    /// True if these are all notes that there are, since it is not known any more which were written.
    pub is_all: bool,
    /// The notes, in the order of the writes.
    pub notes: Vec<Note>,
}

/// Small values under keys, in the order of the keys' bytes.
///
/// MUST take keys of 1 to 1,024 bytes and values of 1 MiB.
pub trait Notes: Send + Sync {
    /// The note under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Calls `visit` with each key from `from` on (inclusive) up to `to` (exclusive), in order, and what is noted there.
    fn visit(&self, from: &[u8], to: &[u8], visit: &mut VisitNote<'_>) -> Result<()>;

    /// Notes all of this, or none. Durable on return.
    fn write(&self, notes: &[Note]) -> Result<()>;

    /// The notes written since a mark; all of them without one, or where it is too old. Costs next to nothing if none were. Notes
    /// that are not copied MAY refuse.
    fn changed_since(&self, _mark: Option<NotesMark>) -> Result<ChangedNotes> {
        let detail = "these notes are not copied".to_owned();
        Err(StoreError::Refused { action: "reading notes", detail })
    }
}

//! Documents of access, as notes: rows of `access/`, the kind and the id; and `access#`, the revision.

use std::ops::ControlFlow;
use std::sync::Arc;

use audience_contract::{AccessChange, AccessDocument, AccessStore, Note, Notes, Result};
use parking_lot::Mutex;

use crate::LedgerNotes;

const PREFIX: &str = "access/";
const PREFIX_END: &str = "access0";
const REVISION: &[u8] = b"access#";

/// The documents of access of a data directory. A write costs one fsync.
pub struct NotedAccess {
    notes: Arc<LedgerNotes>,
    /// One write at a time: the revision follows from the one that is there.
    writing: Mutex<()>,
}

impl NotedAccess {
    /// Those that are noted.
    pub(crate) fn open(notes: Arc<LedgerNotes>) -> NotedAccess {
        NotedAccess { notes, writing: Mutex::new(()) }
    }

    fn noted_revision(&self) -> Result<u64> {
        let noted = self.notes.get(REVISION)?;
        Ok(noted.and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?))).unwrap_or_default())
    }
}

impl AccessStore for NotedAccess {
    fn revision(&self) -> Result<u64> {
        self.noted_revision()
    }

    fn all(&self) -> Result<(u64, Vec<AccessDocument>)> {
        let _turn = self.writing.lock();
        let mut documents = Vec::new();
        self.notes.visit(PREFIX.as_bytes(), PREFIX_END.as_bytes(), &mut |key, value| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let name = text(&key[PREFIX.len()..]);
            if let Some((kind, id)) = name.split_once('/') {
                documents.push(AccessDocument { kind: kind.to_owned(), id: id.to_owned(), body: text(value) });
            }
            ControlFlow::Continue(())
        })?;
        Ok((self.noted_revision()?, documents))
    }

    fn put(&self, expected: u64, changes: &[AccessChange]) -> Result<bool> {
        let _turn = self.writing.lock();
        if self.noted_revision()? != expected {
            return Ok(false);
        }
        let change = |change: &AccessChange| -> Note {
            let key = format!("{PREFIX}{}/{}", change.kind, change.id);
            (key.into_bytes(), change.body.as_ref().map(|body| body.clone().into_bytes()))
        };
        let revision: Note = (REVISION.to_vec(), Some((expected + 1).to_be_bytes().to_vec()));
        self.notes.write(&changes.iter().map(change).chain([revision]).collect::<Vec<_>>())?;
        Ok(true)
    }
}

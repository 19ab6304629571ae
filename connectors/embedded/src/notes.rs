//! The notes of the platform, in the ledger beside changes and catalogue: rows of `"note/"` and the key.

use std::sync::Arc;

use audience_contract::{Note, Notes as _, Result, VisitNote};

use crate::db::Db;
use crate::seal::{self, Kind};

const PREFIX: &[u8] = b"note/";

/// The notes. A write costs one fsync.
pub struct LedgerNotes {
    db: Arc<Db>,
}

impl LedgerNotes {
    /// Those of the ledger.
    pub(crate) fn open(db: Arc<Db>) -> LedgerNotes {
        LedgerNotes { db }
    }

    /// Reads every note, and looks each up.
    pub(crate) fn check(&self) -> Result<()> {
        for row in self.db.meta().prefix(PREFIX) {
            let key = row.key().map_err(|e| self.db.error("reading notes", e))?;
            if self.get(&key[PREFIX.len()..])?.is_none() {
                return Err(seal::damaged(Kind::Note, &key, "it is not found where it is"));
            }
        }
        Ok(())
    }
}

impl audience_contract::Notes for LedgerNotes {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let key = stored(key);
        let value = self.db.meta().get(&key).map_err(|e| self.db.error("reading a note", e))?;
        value.map(|value| Ok(seal::open(Kind::Note, &key, &value)?.to_vec())).transpose()
    }

    fn visit(&self, from: &[u8], to: &[u8], visit: &mut VisitNote<'_>) -> Result<()> {
        for row in self.db.meta().range(stored(from)..stored(to)) {
            let (key, value) = row.into_inner().map_err(|e| self.db.error("reading notes", e))?;
            let payload = seal::open(Kind::Note, &key, &value)?;
            if visit(&key[PREFIX.len()..], payload).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, notes: &[Note]) -> Result<()> {
        self.db.commit("writing notes", |batch| {
            for (key, value) in notes {
                let key = stored(key);
                match value {
                    Some(value) => batch.insert(self.db.meta(), key.clone(), seal::seal(Kind::Note, &key, value)),
                    None => batch.remove(self.db.meta(), key),
                }
            }
        })
    }
}

fn stored(key: &[u8]) -> Vec<u8> {
    [PREFIX, key].concat()
}

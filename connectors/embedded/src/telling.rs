//! The position up to which the audit log was announced to those who follow changes.

use std::sync::Arc;

use audience_contract::{AuditRecord, Notes, Result};
use fjall::{Keyspace, Readable};
use parking_lot::Mutex;

use crate::audit::VersionRow;
use crate::db::Db;
use crate::notes::LedgerNotes;
use crate::seal::{self, Kind};

/// The sequence of the last row that is told, `u64 BE`.
const NOTE: &[u8] = b"catalogue/told";

/// A row of the audit log: its sequence, and a version of the catalogue at or before the one that it is of.
#[derive(Clone, Copy, Debug, Default)]
struct AuditPlace {
    sequence: u64,
    version: u64,
}

/// The last row that is told, and the last that was given to be told.
pub(crate) struct Telling(Mutex<(AuditPlace, AuditPlace)>);

impl Telling {
    /// Reads how far it is.
    pub(crate) fn open(db: &Arc<Db>) -> Result<Telling> {
        let noted = LedgerNotes::open(db.clone()).get(NOTE)?.unwrap_or_default();
        let damaged = || seal::damaged(Kind::Note, NOTE, "it is no number");
        let sequence = match &noted[..] {
            [] => 0,
            noted => u64::from_be_bytes(noted.try_into().map_err(|_| damaged())?),
        };
        Ok(Telling(Mutex::new((AuditPlace { sequence, version: 0 }, AuditPlace::default()))))
    }

    /// Returns whether everything up to that row is announced.
    pub(crate) fn is_at(&self, newest: u64) -> bool {
        self.0.lock().0.sequence >= newest
    }

    /// The rows behind, oldest first. Walks all versions once after a start, and later only those that are new.
    pub(crate) fn rows(&self, db: &Db, versions: &Keyspace, limit: usize) -> Result<Vec<AuditRecord>> {
        let mut places = self.0.lock();
        let told = places.0;
        let mut found = Vec::new();
        for row in db.snapshot().range(versions, told.version.to_be_bytes()..) {
            if found.len() >= limit {
                break;
            }
            let (key, value) = row.into_inner().map_err(|e| db.error("reading the audit log", e))?;
            let records = VersionRow::open(&key, &value)?.records(&key);
            found.extend(records.into_iter().filter(|record| record.sequence > told.sequence));
        }
        found.truncate(limit);
        if let Some(last) = found.last() {
            places.1 = AuditPlace { sequence: last.sequence, version: last.catalogue_version };
        }
        Ok(found)
    }

    /// The rows up to that one are told.
    pub(crate) fn mark_announced(&self, db: &Arc<Db>, sequence: u64) -> Result<()> {
        let mut places = self.0.lock();
        if sequence <= places.0.sequence {
            return Ok(());
        }
        LedgerNotes::open(db.clone()).write(&[(NOTE.to_vec(), Some(sequence.to_be_bytes().to_vec()))])?;
        let version = if places.1.sequence <= sequence { places.1.version } else { places.0.version };
        places.0 = AuditPlace { sequence, version };
        Ok(())
    }
}

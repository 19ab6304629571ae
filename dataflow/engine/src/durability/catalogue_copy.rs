//! The copy of the catalogue in a checkpoint, for a start on an empty data directory.

use audience_contract::{AuditEntry, AuditFilter, AuditRecord, CatalogueStore, Document, DocumentKind, StoreError};
use serde::{Deserialize, Serialize};

/// The catalogue, for a data directory that is made anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CatalogueCopy {
    /// Its version.
    pub version: u64,
    /// Every version of every segment and trait that there is then, and the newest of every list of members.
    pub documents: Vec<Document>,
    /// The audit log, oldest first.
    pub audit: Vec<AuditRecord>,
}

impl CatalogueCopy {
    /// Copies a catalogue as it is now.
    pub(super) fn of(store: &dyn CatalogueStore) -> Result<CatalogueCopy, StoreError> {
        let version = store.version()?;
        let mut documents = Vec::new();
        for newest in store.at(version)? {
            if newest.kind == DocumentKind::Members {
                documents.push(newest);
            } else {
                let history = store.history(newest.kind, &newest.id)?;
                documents.extend(history.into_iter().filter(|document| document.catalogue_version <= version));
            }
        }
        let mut audit = store.audit(&AuditFilter { limit: usize::MAX, ..AuditFilter::default() })?;
        audit.reverse();
        audit.retain(|record| record.catalogue_version <= version);
        Ok(CatalogueCopy { version, documents, audit })
    }

    /// Reads a copy. One that was written before there was an audit log ends before it, and entries of before they said what
    /// something was and is are shorter.
    pub(super) fn decode(bytes: &[u8]) -> bincode::Result<CatalogueCopy> {
        bincode::deserialize(bytes)
            .or_else(|_| {
                let (version, documents, audit) =
                    bincode::deserialize::<(u64, Vec<Document>, Vec<ShortRecord>)>(bytes)?;
                Ok(CatalogueCopy { version, documents, audit: audit.into_iter().map(of_short).collect() })
            })
            .or_else(|_: bincode::Error| {
                let (version, documents) = bincode::deserialize(bytes)?;
                Ok(CatalogueCopy { version, documents, audit: Vec::new() })
            })
    }
}

/// A row of the audit log of before it said what something was and is: sequence, time, author, version of the catalogue, and
/// of the entry action, kind, id, version and note.
type ShortRecord = (u64, i64, String, u64, (String, String, String, Option<u64>, Option<String>));

fn of_short((sequence, at, author, catalogue_version, entry): ShortRecord) -> AuditRecord {
    let (action, kind, id, version, note) = entry;
    let entry = AuditEntry { action, kind, id, version, note, before: None, after: None };
    AuditRecord { sequence, at, author, catalogue_version, entry }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_before_there_was_an_audit_log_are_read() {
        let body = Some("{}".to_owned());
        let document = Document { kind: DocumentKind::Segment, id: "a".to_owned(), catalogue_version: 7, body };
        let old = bincode::serialize(&(7_u64, vec![document.clone()])).unwrap();
        let copy = CatalogueCopy::decode(&old).unwrap();
        assert_eq!(copy, CatalogueCopy { version: 7, documents: vec![document], audit: Vec::new() });
        let entry = AuditEntry { action: "created".to_owned(), version: Some(1), ..AuditEntry::default() };
        let (text, short) = (|text: &str| text.to_owned(), copy.documents.clone());
        let row = |sequence: u64| {
            (sequence, 5_i64, text("ann"), 7_u64, (text("created"), text(""), text(""), Some(1_u64), None))
        };
        let short: (u64, Vec<Document>, Vec<ShortRecord>) = (7, short, vec![row(1), row(2), row(3)]);
        let read = CatalogueCopy::decode(&bincode::serialize(&short).unwrap()).unwrap();
        assert_eq!((read.audit.len(), &read.audit[2].entry), (3, &entry), "rows of before");
        let record = AuditRecord { sequence: 1, at: 5, author: "ann".to_owned(), catalogue_version: 7, entry };
        let new = CatalogueCopy { audit: vec![record], ..copy };
        assert_eq!(CatalogueCopy::decode(&bincode::serialize(&new).unwrap()).unwrap(), new);
        assert!(CatalogueCopy::decode(&old[..old.len() - 1]).is_err());
    }
}

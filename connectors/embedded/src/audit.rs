//! The row of a version of the catalogue: what it brought, and who did what.

use audience_contract::{Audit, AuditRecord, Result};
use xxhash_rust::xxh3::xxh3_64;

use crate::seal::{self, Kind};

/// The documents that a version brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Brought {
    count: u64,
    sum: u64,
}

/// `count u64 BE · sum u64 BE`, and where somebody said what was done: `number of the first entry u64 BE · JSON`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct VersionRow {
    /// The documents.
    pub brought: Brought,
    audit: Option<(u64, Audit)>,
}

impl Brought {
    /// Counts a document.
    pub(crate) fn add(&mut self, key: &[u8]) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(xxh3_64(key));
    }
}

impl VersionRow {
    /// The rows of a new version, after `audited` rows of the audit log.
    pub(crate) fn new(brought: Brought, audited: u64, audit: Option<&Audit>) -> VersionRow {
        let audit = audit.filter(|audit| !audit.entries.is_empty());
        VersionRow { brought, audit: audit.map(|audit| (audited + 1, audit.clone())) }
    }

    /// The number of the first entry.
    pub(crate) fn first_sequence(&self) -> Option<u64> {
        self.audit.as_ref().map(|(first, _)| *first)
    }

    /// The number of rows.
    pub(crate) fn entries(&self) -> u64 {
        self.audit.as_ref().map_or(0, |(_, audit)| audit.entries.len() as u64)
    }

    /// The entries as rows of the audit log; `key` is that of the version.
    pub(crate) fn records(self, key: &[u8]) -> Vec<AuditRecord> {
        let Some((first, audit)) = self.audit else { return Vec::new() };
        let catalogue_version = seal::read_u64(key).map_or(0, |(version, _)| version);
        let Audit { author, at, entries } = audit;
        let record = |(sequence, entry)| AuditRecord { sequence, at, author: author.clone(), catalogue_version, entry };
        (first..).zip(entries).map(record).collect()
    }

    /// The value to store.
    pub(crate) fn seal(&self, key: &[u8]) -> Vec<u8> {
        let mut value = seal::begin(16);
        value.extend_from_slice(&self.brought.count.to_be_bytes());
        value.extend_from_slice(&self.brought.sum.to_be_bytes());
        if let Some((first, audit)) = &self.audit {
            value.extend_from_slice(&first.to_be_bytes());
            // Texts and numbers alone: this cannot fail.
            value.extend_from_slice(&serde_json::to_vec(audit).unwrap_or_default());
        }
        seal::finish(Kind::CatalogueVersion, key, &mut value);
        value
    }

    /// Reads a stored value.
    pub(crate) fn open(key: &[u8], value: &[u8]) -> Result<VersionRow> {
        let payload = seal::open(Kind::CatalogueVersion, key, value)?;
        let read = || {
            let (count, rest) = seal::read_u64(&payload)?;
            let (sum, rest) = seal::read_u64(rest)?;
            let audit = match rest {
                [] => None,
                rest => {
                    let (first, json) = seal::read_u64(rest)?;
                    Some((first, serde_json::from_slice(json).ok()?))
                }
            };
            Some(VersionRow { brought: Brought { count, sum }, audit })
        };
        read().ok_or_else(|| seal::damaged(Kind::CatalogueVersion, key, "it cannot be read"))
    }
}

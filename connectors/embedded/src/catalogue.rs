//! Segments and traits with every version.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use audience_contract::{Audit, AuditFilter, AuditRecord, CatalogueStore, Document, DocumentKind, Result, StoreError};
use fjall::{Keyspace, KeyspaceCreateOptions, KvSeparationOptions, Readable, Snapshot};
use parking_lot::Mutex;

use crate::audit::{Brought, VersionRow};
use crate::db::Db;
use crate::seal::{self, Kind};
use crate::telling::Telling;

const READING: &str = "reading the catalogue";
const WRITING: &str = "writing the catalogue";
/// In the place of a list of members that was forgotten.
const FORGOTTEN: u8 = 2;
/// A key has at most 65,535 bytes.
const ID_BYTES: usize = 60_000;

/// Every version of every document.
///
/// A document is under `kind u8 · length of id u32 BE · id · version u64 BE`, so the versions of one are neighbours. Each
/// version of the catalogue has a row that says how many documents it brought and a sum over their keys: opening counts
/// them, and a document that got lost is noticed. The same row says who did what: the audit log is all these rows. Reading a
/// version walks all keys, but reads only the bodies it gives.
pub struct EmbeddedCatalogue {
    documents: Keyspace,
    versions: Keyspace,
    newest: Mutex<Newest>,
    telling: Telling,
    db: Arc<Db>,
}

/// The newest version, and the newest row of the audit log.
#[derive(Clone, Copy, Default)]
struct Newest {
    version: u64,
    audited: u64,
}

impl EmbeddedCatalogue {
    /// Opens the catalogue and counts its documents.
    pub(crate) fn open(db: Arc<Db>) -> Result<EmbeddedCatalogue> {
        let (documents, versions) = (db.keyspace("catalogue")?, db.keyspace("versions")?);
        let telling = Telling::open(&db)?;
        let catalogue = EmbeddedCatalogue { documents, versions, newest: Mutex::default(), telling, db };
        let newest = catalogue.check()?;
        *catalogue.newest.lock() = newest;
        Ok(catalogue)
    }

    /// Holds the documents against what each version brought, and the rows of the audit log against their numbers.
    fn check(&self) -> Result<Newest> {
        let mut found: BTreeMap<u64, Brought> = BTreeMap::new();
        for row in self.documents.iter() {
            let key = row.key().map_err(|e| self.db.error(READING, e))?;
            let place = VersionPlace::decode(&key)?;
            found.entry(place.version).or_default().add(&key);
        }
        let mut newest = Newest::default();
        for row in self.versions.iter() {
            let (key, value) = row.into_inner().map_err(|e| self.db.error(READING, e))?;
            let row = VersionRow::open(&key, &value)?;
            newest.version += 1;
            let brought = found.remove(&newest.version).unwrap_or_default();
            let audited = row.first_sequence().is_none_or(|first| first == newest.audited + 1);
            if *key != u64::to_be_bytes(newest.version) || row.brought != brought || !audited {
                return Err(seal::damaged(Kind::CatalogueVersion, &key, "some of it is missing"));
            }
            newest.audited += row.entries();
        }
        match found.first_key_value() {
            None => Ok(newest),
            Some((version, _)) => Err(seal::damaged(Kind::CatalogueVersion, &version.to_be_bytes(), "it is missing")),
        }
    }

    /// Reads every document that is stored, of every version.
    pub(crate) fn check_bodies(&self) -> Result<()> {
        let snapshot = self.db.snapshot();
        for row in snapshot.iter(&self.documents) {
            let key = row.key().map_err(|e| self.db.error(READING, e))?;
            self.read(&snapshot, &VersionPlace::decode(&key)?, &key)?;
        }
        Ok(())
    }

    fn read(&self, snapshot: &Snapshot, place: &VersionPlace, key: &[u8]) -> Result<Option<Document>> {
        let value = snapshot.get(&self.documents, key).map_err(|e| self.db.error(READING, e))?;
        let value = value.ok_or_else(|| seal::damaged(Kind::Document, key, "it is missing"))?;
        decode_document(place, key, &value)
    }
}

impl CatalogueStore for EmbeddedCatalogue {
    fn version(&self) -> Result<u64> {
        Ok(self.newest.lock().version)
    }

    fn put_audited(&self, expected: u64, documents: &[Document], audit: Option<&Audit>) -> Result<bool> {
        let mut newest = self.newest.lock();
        if newest.version != expected {
            return Ok(false);
        }
        let next = expected + 1;
        let mut rows = BTreeMap::new();
        for document in documents {
            if document.catalogue_version != next || document.id.len() > ID_BYTES {
                let detail =
                    format!("{:?} {:.60} has version {}", document.kind, document.id, document.catalogue_version);
                let detail = format!("{detail}; it must be {next}, and the id at most {ID_BYTES} bytes");
                return Err(StoreError::Refused { action: WRITING, detail });
            }
            let key = VersionPlace { kind: document.kind, id: document.id.clone(), version: next }.encode();
            let value = encode_document(&key, document);
            if rows.insert(key, value).is_some() {
                let detail = format!("{:?} {:.60} is given twice", document.kind, document.id);
                return Err(StoreError::Refused { action: WRITING, detail });
            }
        }
        let mut brought = Brought::default();
        rows.keys().for_each(|key| brought.add(key));
        let row = VersionRow::new(brought, newest.audited, audit);
        self.db.commit(WRITING, |batch| {
            for (key, value) in rows {
                batch.insert(&self.documents, key, value);
            }
            let key = next.to_be_bytes();
            batch.insert(&self.versions, key, row.seal(&key));
        })?;
        *newest = Newest { version: next, audited: newest.audited + row.entries() };
        Ok(true)
    }

    fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>> {
        let mut found = Vec::new();
        for row in self.db.snapshot().iter(&self.versions).rev() {
            if found.len() >= filter.limit {
                break;
            }
            let (key, value) = row.into_inner().map_err(|e| self.db.error(READING, e))?;
            let row = VersionRow::open(&key, &value)?;
            found.extend(row.records(&key).into_iter().rev().filter(|record| filter.takes(record)));
        }
        found.truncate(filter.limit);
        Ok(found)
    }

    /// One process has the directory, so that nobody else is to be kept from them.
    fn take_unannounced(&self, limit: usize, _: Duration) -> Result<Vec<AuditRecord>> {
        if self.telling.is_at(self.newest.lock().audited) {
            return Ok(Vec::new());
        }
        self.telling.rows(&self.db, &self.versions, limit)
    }

    fn mark_announced(&self, sequence: u64) -> Result<()> {
        self.telling.mark_announced(&self.db, sequence)
    }

    fn at(&self, version: u64) -> Result<Vec<Document>> {
        let snapshot = self.db.snapshot();
        let mut out = Vec::new();
        let mut newest: Option<(VersionPlace, fjall::Slice)> = None;
        let mut give = |newest: Option<(VersionPlace, fjall::Slice)>| -> Result<()> {
            let Some((place, key)) = newest else { return Ok(()) };
            let document = self.read(&snapshot, &place, &key)?;
            out.extend(document.filter(|document| document.body.is_some()));
            Ok(())
        };
        for row in snapshot.iter(&self.documents) {
            let key = row.key().map_err(|e| self.db.error(READING, e))?;
            let place = VersionPlace::decode(&key)?;
            if place.version > version {
                continue;
            }
            let before = newest.replace((place, key));
            let same = before.as_ref().zip(newest.as_ref()).is_some_and(|(a, b)| a.0.is_same_document(&b.0));
            if !same {
                give(before)?;
            }
        }
        give(newest)?;
        Ok(out)
    }

    fn changed_after(&self, version: u64) -> Result<Vec<Document>> {
        let snapshot = self.db.snapshot();
        let mut changed = Vec::new();
        for row in snapshot.iter(&self.documents) {
            let key = row.key().map_err(|e| self.db.error(READING, e))?;
            let place = VersionPlace::decode(&key)?;
            if place.version > version {
                changed.extend(self.read(&snapshot, &place, &key)?);
            }
        }
        Ok(changed)
    }

    fn history(&self, kind: DocumentKind, id: &str) -> Result<Vec<Document>> {
        let prefix = VersionPlace { kind, id: id.to_owned(), version: 0 }.prefix();
        let rows = self.db.snapshot().prefix(&self.documents, prefix);
        let documents = rows.map(|row| {
            let (key, value) = row.into_inner().map_err(|e| self.db.error(READING, e))?;
            decode_document(&VersionPlace::decode(&key)?, &key, &value)
        });
        let documents = documents.collect::<Result<Vec<Option<Document>>>>()?;
        Ok(documents.into_iter().flatten().collect())
    }

    fn forget_replaced_members(&self, version: u64) -> Result<()> {
        // Versions come with the catalogue's, and one at a time reads and writes them here.
        let _newest = self.newest.lock();
        let mut replaced = Vec::new();
        let mut before: Option<(VersionPlace, fjall::Slice)> = None;
        for row in self.db.snapshot().prefix(&self.documents, [kind_byte(DocumentKind::Members)]) {
            let key = row.key().map_err(|e| self.db.error(READING, e))?;
            let place = VersionPlace::decode(&key)?;
            if place.version > version {
                continue;
            }
            if let Some((older, key)) = before.replace((place, key))
                && before.as_ref().is_some_and(|(newer, _)| newer.is_same_document(&older))
            {
                replaced.push(key);
            }
        }
        let mut forgotten = Vec::new();
        for key in replaced {
            let size = self.documents.size_of(&key).map_err(|e| self.db.error(READING, e))?;
            if size.is_some_and(|size| seal::payload_size(size.into()) > 1) {
                let value = seal::seal(Kind::Document, &key, &[FORGOTTEN]);
                forgotten.push((key, value));
            }
        }
        if forgotten.is_empty() {
            return Ok(());
        }
        self.db.commit("forgetting lists that were replaced", |batch| {
            for (key, value) in forgotten {
                batch.insert(&self.documents, key, value);
            }
            self.db.note_stale(batch);
        })
    }

    fn purge(&self) -> Result<bool> {
        self.db.purge("purging lists that were replaced")
    }
}

/// The place of a version of a document.
struct VersionPlace {
    kind: DocumentKind,
    id: String,
    version: u64,
}

impl VersionPlace {
    fn prefix(&self) -> Vec<u8> {
        let mut key = vec![kind_byte(self.kind)];
        key.extend_from_slice(&(self.id.len() as u32).to_be_bytes());
        key.extend_from_slice(self.id.as_bytes());
        key
    }

    fn encode(&self) -> Vec<u8> {
        let mut key = self.prefix();
        key.extend_from_slice(&self.version.to_be_bytes());
        key
    }

    fn decode(key: &[u8]) -> Result<VersionPlace> {
        let read = || {
            let (kind, rest) = key.split_first()?;
            let kind = match kind {
                1 => DocumentKind::Segment,
                2 => DocumentKind::Trait,
                3 => DocumentKind::Members,
                4 => DocumentKind::Setting,
                _ => return None,
            };
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let (id, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            let id = std::str::from_utf8(id).ok()?.to_owned();
            let (version, rest) = seal::read_u64(rest)?;
            rest.is_empty().then_some(VersionPlace { kind, id, version })
        };
        read().ok_or_else(|| seal::damaged(Kind::Document, key, "its key cannot be read"))
    }

    fn is_same_document(&self, other: &VersionPlace) -> bool {
        self.kind == other.kind && self.id == other.id
    }
}

fn kind_byte(kind: DocumentKind) -> u8 {
    match kind {
        DocumentKind::Segment => 1,
        DocumentKind::Trait => 2,
        DocumentKind::Members => 3,
        DocumentKind::Setting => 4,
    }
}

/// `1` and the body, or `0` for a deletion; [`FORGOTTEN`] where the body was forgotten since.
fn encode_document(key: &[u8], document: &Document) -> Vec<u8> {
    let body = document.body.as_deref();
    let mut value = seal::begin(1 + body.map_or(0, str::len));
    value.push(body.is_some().into());
    value.extend_from_slice(body.unwrap_or_default().as_bytes());
    seal::finish(Kind::Document, key, &mut value);
    value
}

fn decode_document(place: &VersionPlace, key: &[u8], value: &[u8]) -> Result<Option<Document>> {
    let body = match &*seal::open(Kind::Document, key, value)? {
        [FORGOTTEN] => return Ok(None),
        [0] => None,
        [1, body @ ..] => Some(
            std::str::from_utf8(body)
                .map_err(|_| seal::damaged(Kind::Document, key, "its body is no text"))?
                .to_owned(),
        ),
        _ => return Err(seal::damaged(Kind::Document, key, "it has no body")),
    };
    Ok(Some(Document { kind: place.kind, id: place.id.clone(), catalogue_version: place.version, body }))
}

/// Bodies, of which static members are large, are not touched when keys are walked. No file keeps any of one that was
/// forgotten.
pub(crate) fn document_options() -> KeyspaceCreateOptions {
    let separation = KvSeparationOptions::default().separation_threshold(4 << 10);
    let separation = separation.staleness_threshold(f32::MIN_POSITIVE).age_cutoff(1.0);
    KeyspaceCreateOptions::default().with_kv_separation(Some(separation))
}

/// Rows of versions are small.
pub(crate) fn version_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
}

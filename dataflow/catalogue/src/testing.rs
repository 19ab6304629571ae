//! Stores and requests for the tests of this crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use audience_contract::{Audit, AuditFilter, AuditRecord, CatalogueStore, Document, DocumentKind, Result, StoreError};
use audience_embedded::{Options, Stores};
use audience_protocol::{PreviewInput, SegmentInput};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A catalogue in a directory of its own, which fails while it is told to.
pub(crate) struct TestStore {
    inner: Arc<dyn CatalogueStore>,
    is_away: AtomicBool,
    _stores: Stores,
    _directory: TempDir,
}

impl TestStore {
    pub(crate) fn open() -> Arc<TestStore> {
        let directory = tempfile::tempdir().unwrap();
        let stores = Stores::open(directory.path(), &Options { cache_bytes: 1 << 20, ..Options::default() }).unwrap();
        let inner = stores.catalogue();
        Arc::new(TestStore { inner, is_away: AtomicBool::new(false), _stores: stores, _directory: directory })
    }

    pub(crate) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Release);
    }

    /// Puts a version of a segment as another process does.
    pub(crate) fn put_elsewhere(&self, id: &str, version: u64, rules: &Value) {
        let document = json!({"id": id, "name": id, "type": "DYNAMIC", "status": "ACTIVE", "rules": rules,
            "version": version, "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z"});
        let body = Some(json!({"document": document, "author": "somebody"}).to_string());
        let expected = self.inner.version().unwrap();
        let (kind, catalogue_version) = (DocumentKind::Segment, expected + 1);
        assert!(self.inner.put(expected, &[Document { kind, id: id.to_owned(), catalogue_version, body }]).unwrap());
    }

    fn answer<T>(&self, ask: impl FnOnce(&dyn CatalogueStore) -> Result<T>) -> Result<T> {
        if self.is_away.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable { action: "asking", detail: "the store is away".to_owned() });
        }
        ask(&*self.inner)
    }
}

impl CatalogueStore for TestStore {
    fn version(&self) -> Result<u64> {
        self.answer(|store| store.version())
    }

    fn put_audited(&self, expected: u64, documents: &[Document], audit: Option<&Audit>) -> Result<bool> {
        self.answer(|store| store.put_audited(expected, documents, audit))
    }

    fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>> {
        self.answer(|store| store.audit(filter))
    }

    fn take_unannounced(&self, limit: usize, lease: Duration) -> Result<Vec<AuditRecord>> {
        self.answer(|store| store.take_unannounced(limit, lease))
    }

    fn mark_announced(&self, sequence: u64) -> Result<()> {
        self.answer(|store| store.mark_announced(sequence))
    }

    fn at(&self, version: u64) -> Result<Vec<Document>> {
        self.answer(|store| store.at(version))
    }

    fn history(&self, kind: DocumentKind, id: &str) -> Result<Vec<Document>> {
        self.answer(|store| store.history(kind, id))
    }

    fn forget_replaced_members(&self, version: u64) -> Result<()> {
        self.answer(|store| store.forget_replaced_members(version))
    }

    fn purge(&self) -> Result<bool> {
        self.answer(|store| store.purge())
    }

    fn wait_for_change(&self, known: u64, patience: Duration) -> Result<u64> {
        self.answer(|store| store.wait_for_change(known, patience))
    }
}

/// A rule for users with an event of that type.
pub(crate) fn rule(event: &str) -> Value {
    json!({"event": event})
}

/// A request for an active segment.
pub(crate) fn segment(id: &str, rules: &Value) -> SegmentInput {
    serde_json::from_value(json!({"id": id, "name": id, "rules": rules})).unwrap()
}

/// A request for a list.
pub(crate) fn list(id: &str, members: &[&str]) -> SegmentInput {
    serde_json::from_value(json!({"id": id, "name": id, "members": members})).unwrap()
}

/// A request for the effect of a rule.
pub(crate) fn preview(rules: &Value) -> PreviewInput {
    serde_json::from_value(json!({"rules": rules})).unwrap()
}

//! A catalogue whose server may go away while the process starts: the start then waits for it, at whatever step it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use audience_api::Door;
use audience_contract::{
    AccessChange, AccessDocument, AccessStore, Audit, AuditFilter, AuditRecord, CatalogueStore, Document, DocumentKind,
    Result, StoreError, WebhookStore,
};

/// The time between attempts.
const RETRY: Duration = Duration::from_millis(500);

/// A store in PostgreSQL, asked again and again until the start is over; from then on its faults are those of its callers.
pub(crate) struct PatientCatalogue<Store> {
    store: Arc<Store>,
    door: Door,
    is_started: AtomicBool,
}

impl<Store> PatientCatalogue<Store> {
    /// A store that is waited for; the door says so.
    pub(crate) fn new(store: Arc<Store>, door: &Door) -> PatientCatalogue<Store> {
        PatientCatalogue { store, door: door.clone(), is_started: AtomicBool::new(false) }
    }

    /// Notes that the start is over.
    pub(crate) fn started(&self) {
        self.is_started.store(true, Ordering::Release);
    }

    /// Asks until there is an answer. What was put and not answered is put again, and then refused, as its version is taken.
    pub(crate) fn ask<T>(&self, ask: impl Fn(&Store) -> Result<T>) -> Result<T> {
        let mut is_away = false;
        loop {
            match ask(&self.store) {
                Err(error @ (StoreError::Unavailable { .. } | StoreError::Unknown { .. }))
                    if !self.is_started.load(Ordering::Acquire) =>
                {
                    tracing::error!(%error, "PostgreSQL does not answer, and the start retries");
                    self.door.wait_for(format!("PostgreSQL does not answer: {error}"));
                    is_away = true;
                    std::thread::park_timeout(RETRY);
                }
                answer => {
                    if is_away {
                        self.door.wait_for("what was accepted before is brought back");
                    }
                    return answer;
                }
            }
        }
    }
}

impl<Store: AccessStore> AccessStore for PatientCatalogue<Store> {
    fn revision(&self) -> Result<u64> {
        self.ask(AccessStore::revision)
    }

    fn all(&self) -> Result<(u64, Vec<AccessDocument>)> {
        self.ask(AccessStore::all)
    }

    fn put(&self, expected: u64, changes: &[AccessChange]) -> Result<bool> {
        self.ask(|store| store.put(expected, changes))
    }
}

impl<Store: CatalogueStore> CatalogueStore for PatientCatalogue<Store> {
    fn version(&self) -> Result<u64> {
        self.ask(CatalogueStore::version)
    }

    fn mark(&self, version: u64) -> Result<Option<u128>> {
        self.ask(|store| store.mark(version))
    }

    fn raise(&self, least: u64) -> Result<u64> {
        self.ask(|store| store.raise(least))
    }

    fn put_audited(&self, expected: u64, documents: &[Document], audit: Option<&Audit>) -> Result<bool> {
        self.ask(|store| store.put_audited(expected, documents, audit))
    }

    fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>> {
        self.ask(|store| store.audit(filter))
    }

    fn take_unannounced(&self, limit: usize, lease: Duration) -> Result<Vec<AuditRecord>> {
        self.store.take_unannounced(limit, lease)
    }

    fn mark_announced(&self, sequence: u64) -> Result<()> {
        self.store.mark_announced(sequence)
    }

    fn at(&self, version: u64) -> Result<Vec<Document>> {
        self.ask(|store| store.at(version))
    }

    fn history(&self, kind: DocumentKind, id: &str) -> Result<Vec<Document>> {
        self.ask(|store| store.history(kind, id))
    }

    fn forget_replaced_members(&self, version: u64) -> Result<()> {
        self.store.forget_replaced_members(version)
    }

    fn purge(&self) -> Result<bool> {
        self.store.purge()
    }

    fn wait_for_change(&self, known: u64, patience: Duration) -> Result<u64> {
        self.store.wait_for_change(known, patience)
    }

    fn look(&self) -> Result<()> {
        self.store.look()
    }

    fn fault(&self) -> Option<String> {
        self.store.fault()
    }
}

impl<Store: WebhookStore> WebhookStore for PatientCatalogue<Store> {
    fn all(&self) -> Result<Vec<(String, String)>> {
        self.ask(WebhookStore::all)
    }

    fn put(&self, id: &str, webhook: &str, attempt: Option<&str>) -> Result<()> {
        self.store.put(id, webhook, attempt)
    }

    fn attempts(&self, id: &str) -> Result<Vec<String>> {
        self.ask(|store| store.attempts(id))
    }

    fn delete(&self, id: &str) -> Result<()> {
        self.store.delete(id)
    }
}

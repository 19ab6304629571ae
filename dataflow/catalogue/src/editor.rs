//! The editor: edits are checked, stored and waited for, and what other processes change is followed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use audience_background::{Backoff, clock};
use audience_contract::{Audit, AuditEntry, AuditFilter, AuditRecord, CatalogueStore, Document, DocumentKind};
use audience_protocol::{PlatformError, Result, SPANS};
use audience_rules::catalogue::SegmentStatus;
use parking_lot::{Mutex, RwLock};

use crate::changeset::{Changeset, Stamp};
use crate::checks::unavailable;
use crate::documents::Documents;
use crate::in_force::InForce;
use crate::preview::PreviewQueue;
use crate::went_back::WentBack;

/// How long an edit's answer waits for the edit to be in force.
const EDIT_PATIENCE: Duration = Duration::from_secs(2);
/// The longest wait for a change by others. A stop takes as long.
const FOLLOW_PATIENCE: Duration = Duration::from_millis(250);

/// The catalogue of a process: its documents, the edits of them, and the version in force.
pub struct Editor {
    pub(crate) store: Arc<dyn CatalogueStore>,
    /// The newest documents. A reader takes the pointer and waits for nobody.
    documents: RwLock<Arc<Documents>>,
    /// How often, and how last, the store came back older than these.
    pub(crate) went_back: WentBack,
    /// Held while the documents change, also while the store is waited for.
    changing: Mutex<()>,
    pub(crate) in_force: InForce,
    /// The number of times that changes of the catalogue could not be read.
    store_errors: AtomicU64,
    /// The previews that wait for [`reconcile`](Self::reconcile).
    pub(crate) previews: PreviewQueue,
}

impl Editor {
    /// Opens the newest documents of a store. The engine runs version `in_force`.
    pub fn open(store: Arc<dyn CatalogueStore>, in_force: u64) -> audience_contract::Result<Self> {
        let documents = Documents::newest(&*store)?;
        Ok(Editor::new(store, documents, in_force))
    }

    /// Opens the newest documents of a store in a process without an engine: an edit is done once it is stored.
    pub fn open_without_engine(store: Arc<dyn CatalogueStore>) -> audience_contract::Result<Self> {
        Editor::open(store, u64::MAX)
    }

    fn new(store: Arc<dyn CatalogueStore>, documents: Documents, in_force: u64) -> Self {
        Editor {
            store,
            documents: RwLock::new(Arc::new(documents)),
            went_back: WentBack::default(),
            changing: Mutex::default(),
            in_force: InForce::new(in_force),
            store_errors: AtomicU64::new(0),
            previews: PreviewQueue::default(),
        }
    }

    /// The newest documents.
    pub fn documents(&self) -> Arc<Documents> {
        self.documents.read().clone()
    }

    /// Looks at the newest documents.
    pub fn read<T>(&self, look: impl FnOnce(&Documents) -> T) -> T {
        look(&self.documents())
    }

    fn show(&self, documents: Documents) {
        *self.documents.write() = Arc::new(documents);
    }

    /// Changes the documents: `change` edits a copy of them and returns what to store, or refuses. If the engine runs
    /// one of the changed documents, this waits up to two seconds for the edit to be in force.
    pub(crate) fn edit<T>(
        &self,
        author: &str,
        change: impl FnOnce(&mut Documents, Stamp<'_>) -> Result<Changeset<T>>,
    ) -> Result<T> {
        let begun = Instant::now();
        let span = tracing::info_span!(target: SPANS, "edit", version = tracing::field::Empty);
        let _span = span.enter();
        let (version, is_run, answer) = {
            let _changing = self.changing.lock();
            let documents = self.documents();
            let version = documents.version + 1;
            // The store may fail, and what is not stored must not be seen: so the change is made on a copy, which shares
            // rules, lists and segments.
            let mut next = Documents::clone(&documents);
            let changeset = change(&mut next, Stamp { author, catalogue_version: version })?;
            if changeset.is_empty() {
                return Ok(changeset.answer);
            }
            let Changeset { documents: stored, entries, answer } = changeset;
            next.version = version;
            self.put(&documents, &stored, author, entries)?;
            next.mark = self.store.mark(version).unwrap_or_default();
            let is_run = stored.iter().any(|stored| documents.runs(stored) || next.runs(stored));
            self.show(next);
            // A document that was faulty may fit now, and one that was replaced is faulty no more.
            if !documents.faulty.is_empty() {
                self.reload().map_err(unavailable)?;
            }
            (version, is_run, answer)
        };
        self.in_force.wake();
        span.record("version", version);
        let stored = begun.elapsed();
        if is_run {
            self.wait_until_in_force(version, EDIT_PATIENCE);
        }
        tracing::debug!(version, ?stored, in_force = ?begun.elapsed(), "The edit is done");
        Ok(answer)
    }

    /// Stores an edit of the documents that are known. If another process was faster, or the store went back, it reads the
    /// documents again and refuses.
    fn put(&self, known: &Documents, documents: &[Document], author: &str, entries: Vec<AuditEntry>) -> Result<()> {
        let audit = Audit { author: author.to_owned(), at: clock::now(), entries };
        let is_known = self.store.mark(known.version).map_err(unavailable)? == known.mark;
        if is_known && self.store.put_audited(known.version, documents, Some(&audit)).map_err(unavailable)? {
            return Ok(());
        }
        self.reload().map_err(unavailable)?;
        let message = "the catalogue was changed by another process just now; repeat the request";
        Err(PlatformError::Unavailable(message.to_owned()))
    }

    /// Reads the newest documents from the store. The caller holds `changing`.
    fn reload(&self) -> audience_contract::Result<()> {
        let documents = self.newest_after(&self.documents())?;
        for faulty in &documents.faulty {
            let running = faulty.running_version;
            tracing::warn!(
                kind = faulty.kind,
                id = faulty.id,
                ?running,
                faults = ?faulty.faults,
                "A stored document is faulty and does not run"
            );
        }
        self.show(documents);
        Ok(())
    }

    /// Follows the changes of other processes until [`close`](Self::close). While the store is away, the documents that
    /// are known stay.
    pub fn follow(&self) {
        let mut backoff = Backoff::default();
        while !self.is_closed() {
            let known = self.newest();
            let waited = self.store.wait_for_change(known, FOLLOW_PATIENCE);
            let followed = waited.and_then(|version| self.reload_other_than(version));
            match followed {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    let next_attempt = backoff.next();
                    self.store_errors.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%error, ?next_attempt, "The catalogue cannot be read; the documents read before stay");
                    self.in_force.pause(next_attempt);
                }
            }
        }
    }

    /// Reads the documents again where the store seems to be at another version than they are, or at another content.
    fn reload_other_than(&self, version: u64) -> audience_contract::Result<()> {
        let is_known = |version| -> audience_contract::Result<bool> {
            let documents = self.documents();
            Ok(version == documents.version && self.store.mark(version)? == documents.mark)
        };
        if is_known(version)? {
            return Ok(());
        }
        let _changing = self.changing.lock();
        // An edit of this process may have been faster, and what was seen may be older than that.
        if !is_known(self.store.version()?)? {
            self.reload()?;
            self.in_force.wake();
        }
        Ok(())
    }

    /// The number of times that changes of the catalogue could not be read.
    pub fn store_errors(&self) -> u64 {
        self.store_errors.load(Ordering::Relaxed)
    }

    /// The fault of the store, if it has one.
    pub fn store_fault(&self) -> Option<String> {
        self.store.fault()
    }

    /// How often the store came back older than what was known of it, or with other content, and the last time in words.
    pub fn went_back(&self) -> (u64, Option<String>) {
        self.went_back.told()
    }

    /// Notes that the store came back older before the start.
    pub fn note_went_back(&self, how: String) {
        self.went_back.note(how);
    }

    /// The newest version of the catalogue.
    pub(crate) fn newest(&self) -> u64 {
        self.documents.read().version
    }

    /// Rows of the audit log that are not yet sent on, as [`CatalogueStore::take_unannounced`] gives them.
    pub(crate) fn take_unannounced(
        &self,
        limit: usize,
        lease: Duration,
    ) -> audience_contract::Result<Vec<AuditRecord>> {
        self.store.take_unannounced(limit, lease)
    }

    /// Notes that the rows up to a sequence are sent on.
    pub(crate) fn mark_announced(&self, sequence: u64) -> audience_contract::Result<()> {
        self.store.mark_announced(sequence)
    }

    /// Looks for changes now: another process says that there is one.
    pub fn look(&self) {
        if let Err(error) = self.store.look() {
            tracing::warn!(%error, "The catalogue has changed and cannot be read; it is read later");
        }
    }

    /// Waits a moment for a change of the documents or of the version in force.
    pub(crate) fn wait_for_change(&self) {
        self.in_force.wait_unless(FOLLOW_PATIENCE, |_| false);
    }

    /// Waits until a version of the catalogue is in force, at most `patience`.
    pub fn wait_until_in_force(&self, version: u64, patience: Duration) {
        self.in_force.wait_for(version, patience);
    }

    /// Every stored version of a document, oldest first.
    pub(crate) fn history(&self, kind: DocumentKind, id: &str) -> audience_contract::Result<Vec<Document>> {
        self.store.history(kind, id)
    }

    /// Rows of the audit log.
    pub(crate) fn audit_records(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>> {
        self.store.audit(filter).map_err(unavailable)
    }

    /// The version of the catalogue that is in force.
    pub fn in_force(&self) -> u64 {
        self.in_force.version()
    }

    /// Returns whether the newest version of a segment is in force. A segment that is not active has nothing to wait for.
    pub fn is_effective(&self, catalogue_version: u64, status: SegmentStatus) -> bool {
        status != SegmentStatus::Active || self.in_force() >= catalogue_version
    }

    /// Returns whether an edit waits to be brought into force.
    pub(crate) fn has_waiting(&self) -> bool {
        self.in_force() < self.newest()
    }

    /// Returns whether it was [`close`](Self::close)d.
    pub(crate) fn is_closed(&self) -> bool {
        self.in_force.is_closed()
    }

    /// Ends [`follow`](Self::follow), and [`reconcile`](Self::reconcile) once no edit waits.
    pub fn close(&self) {
        self.in_force.close();
        self.previews.clear();
    }
}

#[cfg(test)]
mod tests;

//! Edits: checked, committed, and then brought into force by a thread that compares what is with what should be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use audience_background::Backoff;
use audience_contract::{
    Audit, AuditEntry, AuditFilter, AuditRecord, CatalogueStore, Document, DocumentKind, EventLog, StoreError,
};
use audience_protocol::{PlatformError, Result, SPANS};
use audience_rules::catalogue::SegmentStatus;
use audience_rules::fault::{Fault, code};
use audience_rules::time::format_time;
use parking_lot::{Condvar, Mutex, RwLock};

use super::clock;
use super::documents::Documents;
use super::metrics::Metrics;
use super::preview::Waiting;
use super::standing::Standing;
use crate::edit;
use crate::engine::{Engine, EngineError};
use crate::preview::Previews;
use crate::rule_set::RuleSet;

/// How long an edit's answer waits for it to be in force.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait for others' changes at a time; as long may a stop take.
const FOLLOW: Duration = Duration::from_millis(250);

#[derive(Debug, Default)]
struct Force {
    /// The version of the catalogue that is in force.
    version: u64,
    is_closed: bool,
}

/// What an edit comes to. One without documents and entries changes nothing.
pub struct Edit<T> {
    /// What is stored.
    pub documents: Vec<Document>,
    /// What the audit log says of it.
    pub entries: Vec<AuditEntry>,
    /// What is told.
    pub result: T,
}

/// Edits of the catalogue.
pub struct Editor {
    store: Arc<dyn CatalogueStore>,
    /// Everything as it is now. Who reads takes it and looks, and waits for nobody.
    documents: RwLock<Arc<Documents>>,
    /// Held by who changes that, also while the store is waited for.
    changing: Mutex<()>,
    force: Mutex<Force>,
    changed: Condvar,
    /// How often changes of the catalogue could not be read.
    store_errors: AtomicU64,
    /// Previews that wait for [`run`](Self::run).
    pub(super) previews: Waiting,
}

impl Editor {
    /// Over what is stored; `in_force` is the version that the engine runs.
    pub fn new(store: Arc<dyn CatalogueStore>, documents: Documents, in_force: u64) -> Self {
        let force = Force { version: in_force, is_closed: false };
        let documents = RwLock::new(Arc::new(documents));
        let (force, changed, previews) = (Mutex::new(force), Condvar::new(), Waiting::default());
        let (changing, store_errors) = (Mutex::default(), AtomicU64::new(0));
        Editor { store, documents, changing, force, changed, store_errors, previews }
    }

    /// Of a process in which no engine runs: what is stored is all that there is to wait for.
    pub fn without_engine(store: Arc<dyn CatalogueStore>, documents: Documents) -> Self {
        Editor::new(store, documents, u64::MAX)
    }

    /// The documents.
    pub fn documents(&self) -> Arc<Documents> {
        self.documents.read().clone()
    }

    /// Looks at the documents.
    pub fn read<T>(&self, look: impl FnOnce(&Documents) -> T) -> T {
        look(&self.documents())
    }

    fn show(&self, documents: Documents) {
        *self.documents.write() = Arc::new(documents);
    }

    /// Changes the documents: `change` makes the new ones and says what is to be stored, or refuses; then waits for the
    /// change to be in force, for a while, where it is one for the engine.
    pub fn edit<T>(&self, author: &str, change: impl FnOnce(&mut Documents, u64) -> Result<Edit<T>>) -> Result<T> {
        let begun = Instant::now();
        let span = tracing::info_span!(target: SPANS, "edit", version = tracing::field::Empty);
        let _span = span.enter();
        let (version, is_run, result) = {
            let _changing = self.changing.lock();
            let documents = self.documents();
            let version = documents.version + 1;
            // A copy, for the store may be away, and what was not put must not be seen. Rules, lists and segments are shared
            // with it.
            let mut next = Documents::clone(&documents);
            let Edit { documents: stored, entries, result } = change(&mut next, version)?;
            if stored.is_empty() && entries.is_empty() {
                return Ok(result);
            }
            next.version = version;
            let audit = Audit { author: author.to_owned(), at: clock::now(), entries };
            if !self.store.put_audited(documents.version, &stored, Some(&audit)).map_err(unavailable)? {
                self.reload().map_err(unavailable)?;
                return Err(changed_elsewhere());
            }
            let is_run = stored.iter().any(|stored| documents.runs(stored) || next.runs(stored));
            self.show(next);
            // What was faulty may fit now, and that which was changed no more counts as faulty.
            if !documents.faulty.is_empty() {
                self.reload().map_err(unavailable)?;
            }
            (version, is_run, result)
        };
        self.wake();
        span.record("version", version);
        let stored = begun.elapsed();
        if is_run {
            self.wait_until_in_force(version, PATIENCE);
        }
        tracing::debug!(version, ?stored, in_force = ?begun.elapsed(), "edited");
        Ok(result)
    }

    /// Reads the newest documents from the store. Only who is [`changing`](Self::changing) them calls this.
    fn reload(&self) -> audience_contract::Result<()> {
        let version = self.store.version()?;
        let stored = self.store.at(version)?;
        let documents = Documents::load(version, stored, &|kind, id| self.store.history(kind, id))?;
        for faulty in &documents.faulty {
            let running = faulty.running_version;
            tracing::warn!(kind = faulty.kind, id = faulty.id, ?running, faults = ?faulty.faults, "does not run");
        }
        self.show(documents);
        Ok(())
    }

    /// Follows what others change, until [`close`](Self::close). While the store is away what is known stays.
    pub fn follow(&self) {
        let mut backoff = Backoff::default();
        while !self.force.lock().is_closed {
            let known = self.newest();
            match self.store.wait_for_change(known, FOLLOW) {
                Ok(version) if version > known => match self.reload_if_behind(version) {
                    Ok(()) => {
                        backoff.reset();
                        self.wake();
                    }
                    Err(error) => self.cannot_follow(&error, backoff.next()),
                },
                Ok(_) => backoff.reset(),
                Err(error) => self.cannot_follow(&error, backoff.next()),
            }
        }
    }

    /// Unless an edit of this process was faster.
    fn reload_if_behind(&self, version: u64) -> audience_contract::Result<()> {
        let _changing = self.changing.lock();
        if self.newest() < version { self.reload() } else { Ok(()) }
    }

    fn cannot_follow(&self, error: &StoreError, wait: Duration) {
        self.store_errors.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%error, next_attempt = ?wait, "changes of the catalogue cannot be read; what is known stays");
        let deadline = Instant::now() + wait;
        let mut force = self.force.lock();
        // What others wake for is no reason to try again sooner.
        while !force.is_closed && !self.changed.wait_until(&mut force, deadline).timed_out() {}
    }

    /// How often changes of the catalogue could not be read.
    pub fn store_errors(&self) -> u64 {
        self.store_errors.load(Ordering::Relaxed)
    }

    /// Wakes who waits for a new version. Who looks for one and then waits does both under this lock, and so misses none.
    pub(super) fn wake(&self) {
        drop(self.force.lock());
        self.changed.notify_all();
    }

    /// What is the matter with the store.
    pub fn store_fault(&self) -> Option<String> {
        self.store.fault()
    }

    /// The newest version of the catalogue.
    fn newest(&self) -> u64 {
        self.documents.read().version
    }

    /// Rows of the audit log that are to be told, as [`CatalogueStore::take_untold`] gives them.
    pub fn take_untold(&self, limit: usize, lease: Duration) -> audience_contract::Result<Vec<AuditRecord>> {
        self.store.take_untold(limit, lease)
    }

    /// Rows up to that one are told.
    pub fn told(&self, sequence: u64) -> audience_contract::Result<()> {
        self.store.told(sequence)
    }

    /// Another process says that there is a change.
    pub fn look(&self) -> audience_contract::Result<()> {
        self.store.look()
    }

    /// Waits for a change of the catalogue, or of what is in force, for a moment.
    pub fn wait_for_change(&self) {
        let mut force = self.force.lock();
        if !force.is_closed {
            self.changed.wait_for(&mut force, FOLLOW);
        }
    }

    /// Waits for a version of the catalogue to be in force, for a while.
    pub fn wait_until_in_force(&self, version: u64, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut force = self.force.lock();
        while force.version < version && !force.is_closed {
            if self.changed.wait_until(&mut force, deadline).timed_out() {
                return;
            }
        }
    }

    /// Every version of a document, as stored.
    pub fn history(&self, kind: DocumentKind, id: &str) -> Result<Vec<Document>> {
        self.stored_history(kind, id).map_err(unavailable)
    }

    /// The same, with the store's own fault.
    pub fn stored_history(&self, kind: DocumentKind, id: &str) -> audience_contract::Result<Vec<Document>> {
        self.store.history(kind, id)
    }

    /// Rows of the audit log.
    pub fn audit_records(&self, filter: &AuditFilter) -> Result<Vec<AuditRecord>> {
        self.store.audit(filter).map_err(unavailable)
    }

    /// The version of the catalogue that is in force.
    pub fn in_force(&self) -> u64 {
        self.force.lock().version
    }

    /// Whether the newest version of an active segment is in force.
    pub fn is_effective(&self, catalogue_version: u64, status: SegmentStatus) -> bool {
        status != SegmentStatus::Active || self.in_force() >= catalogue_version
    }

    /// Whether an edit waits to be brought into force.
    pub fn has_waiting(&self) -> bool {
        self.in_force() < self.newest()
    }

    /// Whether it was [`close`](Self::close)d.
    pub fn is_closed(&self) -> bool {
        self.force.lock().is_closed
    }

    /// Ends [`run`](Self::run).
    pub fn close(&self) {
        self.force.lock().is_closed = true;
        self.previews.clear();
        self.changed.notify_all();
    }

    /// Brings the newest catalogue into force whenever it is not, and does the previews that wait meanwhile. `turn` is held
    /// while new measures get their history, so that no checkpoint holds a part of it.
    pub fn run(&self, target: &Target<'_>, mut in_force: RuleSet) -> Result<(), EngineError> {
        let mut previews = Previews::default();
        loop {
            let begun = Instant::now();
            if self.has_waiting() {
                let documents = self.documents();
                let version = documents.version;
                let next = in_force.followed_by(&documents.catalogue);
                let mut difference = in_force.difference(&next, &documents.catalogue);
                difference.new_measures.retain(|measure| !previews.kept_measures().contains(measure));
                let compared = begun.elapsed();
                let _turn = (!difference.new_measures.is_empty()).then(|| target.turn.lock());
                target.standing.editing(version);
                if difference.is_empty() {
                    edit::Position::publishing(target.standing);
                } else {
                    let span = tracing::info_span!(target: SPANS, "edit.apply", version);
                    let _span = span.enter();
                    edit::apply(target.engine, target.log, target.standing, difference)?;
                    target.metrics.edit_done(begun.elapsed());
                    tracing::debug!(version, ?compared, in_force = ?begun.elapsed(), "edit applied");
                }
                in_force = next;
                self.force.lock().version = version;
                self.changed.notify_all();
                continue;
            }
            if self.is_closed() {
                self.previews.clear();
                return Ok(());
            }
            if self.do_preview(target, &in_force, &mut previews)? {
                continue;
            }
            let mut force = self.force.lock();
            if force.is_closed || force.version < self.newest() || !self.previews.is_empty() {
                continue;
            }
            // Woken by every edit; the bound only makes a lost wake-up harmless.
            self.changed.wait_for(&mut force, Duration::from_millis(100));
        }
    }
}

/// What edits are brought into force on.
pub struct Target<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// History.
    pub log: &'a dyn EventLog,
    /// Where the engine stands.
    pub standing: &'a Standing,
    /// One thing at a time: the history of new measures or a checkpoint.
    pub turn: &'a Mutex<()>,
    /// Figures.
    pub metrics: &'a Metrics,
}

/// A store's fault as the APIs are told it.
pub fn unavailable(error: StoreError) -> PlatformError {
    match error {
        StoreError::Refused { detail, .. } => {
            PlatformError::Invalid(vec![Fault::whole(code::DOES_NOT_FIT, format!("it cannot be stored: {detail}"))])
        }
        error => PlatformError::Unavailable(error.to_string()),
    }
}

fn changed_elsewhere() -> PlatformError {
    PlatformError::Unavailable("the catalogue was changed by another process just now; repeat the request".to_owned())
}

/// Now, for documents.
pub fn timestamp() -> String {
    format_time(clock::now())
}

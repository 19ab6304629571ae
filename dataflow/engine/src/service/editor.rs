//! Edits: checked, committed, and then brought into force by a thread that compares what is with what should be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_contract::{CatalogueStore, Document, DocumentKind, EventLog};
use audience_protocol::{PlatformError, Result};
use audience_rules::catalogue::Status;
use audience_rules::time::format_time;
use parking_lot::{Condvar, Mutex};

use super::clock;
use super::documents::Documents;
use super::metrics::Metrics;
use super::standing::Standing;
use crate::edit;
use crate::engine::{Engine, EngineError};
use crate::rule_set::RuleSet;

/// How long an edit's answer waits for it to be in force.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
struct Force {
    /// The version of the catalogue that is in force.
    version: u64,
    is_closed: bool,
}

/// Edits of the catalogue.
pub struct Editor {
    store: Arc<dyn CatalogueStore>,
    documents: Mutex<Documents>,
    force: Mutex<Force>,
    changed: Condvar,
}

impl Editor {
    /// Over what is stored; `in_force` is the version that the engine runs.
    pub fn new(store: Arc<dyn CatalogueStore>, documents: Documents, in_force: u64) -> Self {
        let force = Force { version: in_force, is_closed: false };
        Editor { store, documents: Mutex::new(documents), force: Mutex::new(force), changed: Condvar::new() }
    }

    /// Looks at the documents.
    pub fn read<T>(&self, look: impl FnOnce(&Documents) -> T) -> T {
        look(&self.documents.lock())
    }

    /// Changes the documents: `change` makes the new ones and says what is to be stored, or refuses; then waits for the
    /// change to be in force, for a while.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Documents, u64) -> Result<(Vec<Document>, T)>) -> Result<T> {
        let (version, result) = {
            let mut documents = self.documents.lock();
            let version = documents.version + 1;
            let mut next = documents.clone();
            let (stored, result) = change(&mut next, version)?;
            let is_put = self.store.put(documents.version, &stored).map_err(unavailable)?;
            if !is_put {
                return Err(PlatformError::Unavailable("the catalogue was changed by another process".to_owned()));
            }
            next.version = version;
            *documents = next;
            (version, result)
        };
        self.changed.notify_all();
        self.wait_until_in_force(version, PATIENCE);
        Ok(result)
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

    /// Every version of a segment, as stored.
    pub fn history(&self, id: &str) -> Result<Vec<Document>> {
        self.store.history(DocumentKind::Segment, id).map_err(unavailable)
    }

    /// The version of the catalogue that is in force.
    pub fn in_force(&self) -> u64 {
        self.force.lock().version
    }

    /// Whether the newest version of an active segment is in force.
    pub fn is_effective(&self, catalogue_version: u64, status: Status) -> bool {
        status != Status::Active || self.in_force() >= catalogue_version
    }

    /// Ends [`run`](Self::run).
    pub fn close(&self) {
        self.force.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Brings the newest catalogue into force whenever it is not. `turn` is held meanwhile, so that no checkpoint is
    /// taken in the middle of an edit.
    pub fn run(&self, target: &Target<'_>, mut in_force: RuleSet) -> Result<(), EngineError> {
        loop {
            let begun = Instant::now();
            let (version, catalogue) = self.read(|documents| (documents.version, documents.catalogue.clone()));
            if self.in_force() < version {
                let _turn = target.turn.lock();
                let next = RuleSet::of(&catalogue);
                let difference = in_force.difference(&next, &catalogue);
                target.standing.editing(version);
                if difference.is_empty() {
                    edit::Position::publishing(target.standing);
                } else {
                    edit::apply(target.engine, target.log, target.standing, difference)?;
                    target.metrics.edit_done(begun.elapsed());
                }
                in_force = next;
                self.force.lock().version = version;
                self.changed.notify_all();
                continue;
            }
            let mut force = self.force.lock();
            if force.is_closed {
                return Ok(());
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
    /// One thing at a time: an edit or a checkpoint.
    pub turn: &'a Mutex<()>,
    /// Figures.
    pub metrics: &'a Metrics,
}

/// A store's fault as the APIs are told it.
pub fn unavailable(error: audience_contract::StoreError) -> PlatformError {
    PlatformError::Unavailable(error.to_string())
}

/// Now, for documents.
pub fn timestamp() -> String {
    format_time(clock::now())
}

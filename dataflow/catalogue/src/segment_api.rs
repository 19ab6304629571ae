//! The platform of a process without an engine: edits go to the catalogue that engines follow, and users' segments are
//! read from the store that an engine writes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use audience_background::Runner;
use audience_contract::{AccessStore, CatalogueStore, ServingStore, StoreError};
use audience_protocol::{
    ComponentHealth, Health, OperationsResource, Platform, PlatformError, Result, UserResource, UserSegment,
};
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::editor::Editor;
use crate::guarded_store::GuardedStore;
use crate::segment_requests::SegmentRequests;
use crate::shipping::ship_traits;
use crate::updates::{SegmentUpdates, UpdateSender};
use crate::vocabulary::StoredVocabulary;

/// The text of the metric `catalogue_errors`.
pub const CATALOGUE_ERRORS: &str = "Attempts to read changes of the catalogue that failed";
/// The text of the metric `catalogue_went_back`.
pub const CATALOGUE_WENT_BACK: &str = "Times that the catalogue came back older than it was, or as another one";

/// The metrics of a process without an engine.
struct SegmentApiMetrics {
    registry: Registry,
    faulty_documents: Gauge,
    catalogue_errors: Counter,
    catalogue_went_back: Counter,
}

/// Why the platform of a process without an engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SegmentApiError {
    /// The catalogue cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread cannot be started.
    #[error("a thread cannot be started: {0}")]
    Thread(io::Error),
}

impl From<io::Error> for SegmentApiError {
    fn from(error: io::Error) -> Self {
        SegmentApiError::Thread(error)
    }
}

/// The platform of a process without an engine.
pub struct SegmentApi {
    editor: Arc<Editor>,
    memberships: Option<Arc<GuardedStore>>,
    words: Arc<dyn AccessStore>,
    updates: UpdateSender,
    metrics: SegmentApiMetrics,
    runner: Runner,
}

impl SegmentApi {
    /// Starts on a catalogue, and on the store of the platform's own documents. Reads users' segments from `memberships`, and sends changes of segments to `updates`, where
    /// they are given.
    pub fn start(
        (catalogue, words): (Arc<dyn CatalogueStore>, Arc<dyn AccessStore>),
        memberships: Option<Arc<dyn ServingStore>>,
        updates: Option<Arc<dyn SegmentUpdates>>,
    ) -> Result<Arc<SegmentApi>, SegmentApiError> {
        ship_traits(&*catalogue)?;
        let mut metrics = SegmentApiMetrics::new();
        let api = Arc::new(SegmentApi {
            editor: Arc::new(Editor::open_without_engine(catalogue)?),
            memberships: memberships.map(|store| Arc::new(GuardedStore::new(store, &mut metrics.registry))),
            words,
            updates: UpdateSender::default(),
            metrics,
            runner: Runner::default(),
        });
        let editor = api.editor.clone();
        api.runner.start_task("catalogue", move |_| {
            editor.follow();
            Ok::<(), Infallible>(())
        })?;
        if let Some(memberships) = api.memberships.clone() {
            api.runner.start_task("memberships", move |stop| {
                memberships.watch(stop);
                Ok::<(), Infallible>(())
            })?;
        }
        if let Some(updates) = updates {
            api.updates.start(updates, api.editor.clone())?;
        }
        Ok(api)
    }

    /// This process as the APIs see it.
    pub fn platform(self: &Arc<Self>) -> Platform {
        Platform {
            segments: Arc::new(SegmentRequests::without_engine(self.editor.clone())),
            traits: self.editor.clone(),
            vocabulary: Arc::new(StoredVocabulary::new(self.words.clone(), self.editor.clone(), self.editor.clone())),
            users: self.clone(),
            catalogue: self.editor.clone(),
            ..Platform::without_engine(self.clone())
        }
    }

    /// Ends its threads, and waits for that.
    pub fn stop(&self) {
        let begun = Instant::now();
        self.runner.stop().request();
        self.editor.close();
        self.runner.wait_ended(None);
        self.updates.finish(begun);
    }

    /// Looks for changes of the catalogue now: another process says that there is one.
    pub fn look_at_catalogue(&self) {
        self.editor.look();
    }
}

impl UserResource for SegmentApi {
    fn user_segments(&self, id: &str) -> Result<Vec<UserSegment>> {
        let Some(memberships) = &self.memberships else {
            return Err(PlatformError::NeedsEngine("which segments a user is in"));
        };
        let held = memberships.segments_of(id);
        let held = held.map_err(|fault| PlatformError::Unavailable(format!("{}: {fault}", memberships.name())))?;
        let documents = self.editor.documents();
        let named = held.into_iter().map(|held| UserSegment {
            name: documents.name_of(&held.segment_id).to_owned(),
            segment_id: held.segment_id,
        });
        Ok(named.collect())
    }

    fn reads_block(&self) -> bool {
        true
    }
}

impl OperationsResource for SegmentApi {
    fn health(&self) -> Health {
        let catalogue = match self.editor.store_fault() {
            None => ComponentHealth::up(self.editor.went_back().1),
            fault => ComponentHealth::of_fault(fault),
        };
        let mut components = BTreeMap::from([("catalogue".to_owned(), catalogue)]);
        if let Some(memberships) = &self.memberships {
            components
                .insert(format!("memberships:{}", memberships.name()), ComponentHealth::of_fault(memberships.fault()));
        }
        if let Some(detail) = self.updates.fault() {
            components.insert("segment-updates".to_owned(), ComponentHealth::up(detail));
        }
        Health { ready: true, components }
    }

    fn metrics(&self) -> String {
        let faulty = self.editor.read(|documents| documents.faulty.len());
        self.metrics.faulty_documents.set(i64::try_from(faulty).unwrap_or(i64::MAX));
        self.metrics.catalogue_errors.inner().store(self.editor.store_errors(), Ordering::Relaxed);
        self.metrics.catalogue_went_back.inner().store(self.editor.went_back().0, Ordering::Relaxed);
        let mut text = String::new();
        encode_registry(&mut text, &self.metrics.registry).map(|()| text).unwrap_or_default()
    }
}

impl SegmentApiMetrics {
    fn new() -> Self {
        let mut registry = Registry::with_prefix("audience");
        let faulty_documents = Gauge::default();
        let faulty = "Documents of the catalogue that do not run";
        registry.register("catalogue_faulty_documents", faulty, faulty_documents.clone());
        let catalogue_errors = Counter::default();
        registry.register("catalogue_errors", CATALOGUE_ERRORS, catalogue_errors.clone());
        let catalogue_went_back = Counter::default();
        registry.register("catalogue_went_back", CATALOGUE_WENT_BACK, catalogue_went_back.clone());
        SegmentApiMetrics { registry, faulty_documents, catalogue_errors, catalogue_went_back }
    }
}

//! Segments and traits in a process without an engine: edits go to the catalogue that engines follow, and users' segments
//! are read from the store that an engine writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use audience_contract::{CatalogueStore, ServingStore};
use audience_protocol::{
    AuditItem, AuditQuery, CatalogueResource, ComponentHealth, FaultyDocument, Health, MembersChange, MembersOutcome,
    OperationsResource, Page, Platform, PlatformError, Result, SegmentDocument, SegmentInput, SegmentQuery,
    SegmentResource, SegmentView, TraitDocument, TraitResource, Transition, UserResource, UserSegment,
};
use parking_lot::Mutex;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde_json::value::RawValue;

use super::editor::Editor;
use super::lists::Counts;
use super::metrics::CATALOGUE_ERRORS;
use super::updates::{Announcing, SegmentUpdates};
use super::{load, named, pause, ship_traits};
use crate::engine::EngineError;

/// Between looks at whether the store of memberships answers.
const LOOK: Duration = Duration::from_secs(2);
/// The user who is asked for then; as good as any.
const NOBODY: &str = "audience-health";

/// Figures of a process without an engine.
struct Figures {
    registry: Registry,
    faulty_documents: Gauge,
    catalogue_errors: Counter,
    reads: Counter,
    read_errors: Counter,
}

/// The platform of a process without an engine.
pub struct SegmentApi {
    editor: Arc<Editor>,
    memberships: Option<Arc<dyn ServingStore>>,
    announcing: Announcing,
    /// What keeps memberships from being read, if anything does.
    read_fault: Mutex<Option<String>>,
    figures: Figures,
    is_stopping: AtomicBool,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl SegmentApi {
    /// Over a catalogue; reads users' segments and tells of changes where there is something for that.
    pub fn start(
        catalogue: Arc<dyn CatalogueStore>,
        memberships: Option<Arc<dyn ServingStore>>,
        updates: Option<Arc<dyn SegmentUpdates>>,
    ) -> Result<Arc<SegmentApi>, EngineError> {
        ship_traits(&*catalogue)?;
        let documents = load(&*catalogue, catalogue.version()?)?;
        let api = Arc::new(SegmentApi {
            editor: Arc::new(Editor::without_engine(catalogue, documents)),
            memberships,
            announcing: Announcing::default(),
            read_fault: Mutex::new(None),
            figures: Figures::new(),
            is_stopping: AtomicBool::new(false),
            threads: Mutex::new(Vec::new()),
        });
        let follower = api.clone();
        let mut threads = vec![named("catalogue", move || {
            follower.editor.follow();
            Ok(())
        })?];
        if let Some(memberships) = api.memberships.clone() {
            let watcher = api.clone();
            threads.push(named("memberships", move || {
                watcher.watch(&*memberships);
                Ok(())
            })?);
        }
        if let Some(updates) = updates {
            api.announcing.begin(updates, api.editor.clone())?;
        }
        *api.threads.lock() = threads;
        Ok(api)
    }

    /// This process as the APIs see it.
    pub fn platform(self: &Arc<Self>) -> Platform {
        Platform {
            segments: self.clone(),
            traits: self.clone(),
            users: self.clone(),
            catalogue: self.clone(),
            ..Platform::without_engine(self.clone())
        }
    }

    /// Ends its threads, and waits for that.
    pub fn stop(&self) {
        let begun = Instant::now();
        self.is_stopping.store(true, Ordering::Release);
        self.editor.close();
        let threads = std::mem::take(&mut *self.threads.lock());
        threads.into_iter().for_each(|thread| drop(thread.join()));
        self.announcing.finish(begun);
    }

    /// Another process says that the catalogue has changed: it is looked at now.
    pub fn look_at_catalogue(&self) {
        if let Err(error) = self.editor.look() {
            tracing::warn!(%error, "the catalogue has changed and cannot be read; it is later");
        }
    }

    fn watch(&self, memberships: &dyn ServingStore) {
        while !self.is_stopping.load(Ordering::Acquire) {
            let fault = memberships.segments_of(NOBODY).err().map(|error| error.to_string());
            *self.read_fault.lock() = fault;
            for _ in 0..20 {
                if self.is_stopping.load(Ordering::Acquire) {
                    return;
                }
                pause(LOOK / 20);
            }
        }
    }

    fn view(&self, document: SegmentDocument) -> SegmentView {
        let faults = self.editor.read(|documents| documents.faults_of_segment(&document.id));
        SegmentView { document, size: None, effective: None, faults }
    }
}

impl SegmentResource for SegmentApi {
    fn create_segment(&self, input: SegmentInput, author: &str) -> Result<SegmentView> {
        Ok(self.view(self.editor.create_segment(input, author)?))
    }

    fn replace_segment(
        &self,
        id: &str,
        input: SegmentInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        Ok(self.view(self.editor.replace_segment(id, input, expected, author)?))
    }

    fn transition_segment(
        &self,
        id: &str,
        to: Transition,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        Ok(self.view(self.editor.transition_segment(id, to, note, expected, author)?))
    }

    fn rollback_segment(
        &self,
        id: &str,
        version: u64,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        Ok(self.view(self.editor.rollback_segment(id, version, note, expected, author)?))
    }

    fn delete_segment(&self, id: &str, expected: Option<u64>, author: &str) -> Result<()> {
        self.editor.delete_segment(id, expected, author)
    }

    fn segment(&self, id: &str) -> Result<SegmentView> {
        Ok(self.view(self.editor.segment(id)?))
    }

    fn segments(&self, query: &SegmentQuery) -> Result<Page<SegmentView>> {
        let Page { items, next_cursor } = self.editor.segments(query);
        Ok(Page { items: items.into_iter().map(|document| self.view(document)).collect(), next_cursor })
    }

    fn segment_versions(&self, id: &str) -> Result<Vec<SegmentDocument>> {
        self.editor.segment_versions(id)
    }

    fn change_members(
        &self,
        id: &str,
        change: MembersChange,
        expected: Option<u64>,
        author: &str,
    ) -> Result<MembersOutcome> {
        let (segment, counts) = self.editor.change_members(id, change, expected, author)?;
        let Counts { added, removed, unchanged } = counts;
        Ok(MembersOutcome { segment: self.view(segment), added, removed, unchanged })
    }
}

impl TraitResource for SegmentApi {
    fn put_trait(&self, definition: &RawValue, expected: Option<u64>, author: &str) -> Result<TraitDocument> {
        self.editor.put_trait(definition, expected, author)
    }

    fn delete_trait(&self, name: &str, expected: Option<u64>, author: &str) -> Result<()> {
        self.editor.delete_trait(name, expected, author)
    }

    fn computed_trait(&self, name: &str) -> Result<TraitDocument> {
        self.editor.computed_trait(name)
    }

    fn computed_traits(&self) -> Result<Vec<TraitDocument>> {
        Ok(self.editor.computed_traits())
    }
}

impl UserResource for SegmentApi {
    fn user_segments(&self, id: &str) -> Result<Vec<UserSegment>> {
        let Some(memberships) = &self.memberships else {
            return Err(PlatformError::NeedsEngine("which segments a user is in"));
        };
        self.figures.reads.inc();
        let held = memberships.segments_of(id).map_err(|error| {
            self.figures.read_errors.inc();
            tracing::warn!(%error, "users' segments cannot be read");
            PlatformError::Unavailable(format!("{} does not answer", memberships.name()))
        })?;
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

impl CatalogueResource for SegmentApi {
    fn audit(&self, query: &AuditQuery) -> Result<Page<AuditItem>> {
        self.editor.audit(query)
    }

    fn faulty_documents(&self) -> Result<Vec<FaultyDocument>> {
        Ok(self.editor.read(|documents| documents.faulty.clone()))
    }
}

impl OperationsResource for SegmentApi {
    fn health(&self) -> Health {
        let component = |fault: Option<String>| {
            let status = if fault.is_none() { "UP" } else { "DOWN" };
            ComponentHealth { status, detail: fault }
        };
        let mut components = BTreeMap::from([("catalogue".to_owned(), component(self.editor.store_fault()))]);
        if let Some(memberships) = &self.memberships {
            components.insert(format!("memberships:{}", memberships.name()), component(self.read_fault.lock().clone()));
        }
        if let Some(detail) = self.announcing.fault() {
            components.insert("segment-updates".to_owned(), ComponentHealth { status: "UP", detail });
        }
        Health { ready: true, components }
    }

    fn metrics(&self) -> String {
        let faulty = self.editor.read(|documents| documents.faulty.len());
        self.figures.faulty_documents.set(i64::try_from(faulty).unwrap_or(i64::MAX));
        self.figures.catalogue_errors.inner().store(self.editor.store_errors(), Ordering::Relaxed);
        let mut text = String::new();
        encode_registry(&mut text, &self.figures.registry).map(|()| text).unwrap_or_default()
    }
}

impl Figures {
    fn new() -> Self {
        let mut registry = Registry::with_prefix("audience");
        let (faulty_documents, reads, read_errors) = (Gauge::default(), Counter::default(), Counter::default());
        let faulty = "Documents of the catalogue that do not run";
        registry.register("catalogue_faulty_documents", faulty, faulty_documents.clone());
        let catalogue_errors = Counter::default();
        registry.register("catalogue_errors", CATALOGUE_ERRORS, catalogue_errors.clone());
        registry.register("serving_store_reads", "Users' segments asked of the store of memberships", reads.clone());
        let failed = "Users' segments that the store of memberships could not give";
        registry.register("serving_store_read_errors", failed, read_errors.clone());
        Figures { registry, faulty_documents, catalogue_errors, reads, read_errors }
    }
}

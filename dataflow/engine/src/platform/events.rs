//! Events, taken into the event log.

use std::sync::Arc;

use audience_catalogue::Editor;
use audience_protocol::{EventResource, NamedSegment, RecentEvents, RefusedEvent, Result, Schema};
use audience_rules::zone::ZoneId;

use crate::intake::acceptance::Intake;
use crate::intake::shapes::EventShapes;
use crate::lookup::Lookup;

/// Answers the resource of events.
pub(super) struct EventRequests {
    pub(super) intake: Arc<Intake>,
    pub(super) shapes: Arc<EventShapes>,
    pub(super) editor: Arc<Editor>,
    pub(super) lookup: Arc<Lookup>,
}

impl EventResource for EventRequests {
    fn ingest(&self, records: Vec<u8>, _count: usize) -> Result<()> {
        self.intake.accept(records).map(drop)
    }

    fn zone(&self) -> ZoneId {
        self.editor.read(|documents| documents.catalogue.timezone)
    }

    fn schema(&self) -> Result<Schema> {
        let (events, traits) = self.shapes.told();
        let documents = self.editor.documents();
        let segments = documents.segments.values().map(|known| &known.stored.document);
        Ok(Schema {
            events,
            traits,
            computed_traits: documents.traits.values().map(|stored| stored.document.definition.clone()).collect(),
            segments: segments
                .map(|document| NamedSegment { id: document.id.clone(), name: document.name.clone() })
                .collect(),
        })
    }

    fn note_refused(&self, newest: Vec<RefusedEvent>, count: usize) {
        self.lookup.refusals.note(newest, count);
    }

    fn recent_events(&self) -> Result<RecentEvents> {
        self.lookup.recent_events()
    }
}

//! Events, taken into the event log.

use std::sync::Arc;

use audience_catalogue::{Editor, unavailable};
use audience_protocol::{
    EventResource, NamedSegment, Page, PageLimit, RecentEvents, RefusedEvent, RefusedMessage, RefusedMessageView,
    Result, Schema,
};
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
        let (events, traits) = self.shapes.told().map_err(unavailable)?;
        let documents = self.editor.documents();
        let segments = documents.segments.values().map(|known| &known.stored.document);
        Ok(Schema {
            events,
            traits,
            hidden_traits: self.shapes.hidden_traits(&documents),
            computed_traits: documents.traits.values().map(|stored| stored.document.definition.clone()).collect(),
            segments: segments
                .map(|document| NamedSegment { id: document.id.clone(), name: document.name.clone() })
                .collect(),
        })
    }

    fn note_refused(&self, newest: Vec<RefusedEvent>, count: usize) {
        self.lookup.refusals.note(newest, count);
    }

    fn keep_refused(&self, messages: &[RefusedMessage]) -> Result<()> {
        self.lookup.refused.keep(messages).map_err(unavailable)
    }

    fn refused_messages(&self, before: Option<u64>, limit: PageLimit) -> Result<Page<RefusedMessageView>> {
        self.lookup.refused.page(before, limit).map_err(unavailable)
    }

    fn recent_events(&self) -> Result<RecentEvents> {
        self.lookup.recent_events()
    }
}

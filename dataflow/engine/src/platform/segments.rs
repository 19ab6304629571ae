//! The engine's part of the resource of segments: sizes, members and warnings.

use std::sync::Arc;

use audience_catalogue::{Editor, ListChange, SegmentEngine};
use audience_emit::Sizes;
use audience_protocol::{MembersEffect, Page, PageLimit, PipelineSource, Result, SegmentPipeline};
use audience_rules::fault::Fault;
use serde_json::value::RawValue;

use crate::engine::Engine;
use crate::intake::shapes::EventShapes;
use crate::intake::sources::Sources;
use crate::lookup::Lookup;

/// The engine, as the resource of segments asks it.
pub(super) struct EngineSegments {
    pub(super) engine: Arc<Engine>,
    pub(super) editor: Arc<Editor>,
    pub(super) lookup: Arc<Lookup>,
    pub(super) sizes: Arc<Sizes>,
    pub(super) shapes: Arc<EventShapes>,
    pub(super) sources: Arc<Sources>,
}

impl SegmentEngine for EngineSegments {
    fn size(&self, id: &str) -> u64 {
        self.engine.size(id)
    }

    fn members(&self, id: &str, after: Option<&str>, limit: PageLimit) -> Page<String> {
        Page::of_first(self.lookup.members_after(id, after, limit.and_one()), limit, String::clone)
    }

    fn visit_members(&self, id: &str, take: &mut dyn FnMut(Vec<String>) -> bool) -> Result<()> {
        self.lookup.each_member(id, take)
    }

    fn list_effect(&self, change: &ListChange) -> Result<MembersEffect> {
        self.lookup.list_effect(change)
    }

    fn warnings(&self, pointer: &str, rules: &RawValue) -> Vec<Fault> {
        self.shapes.warnings(pointer, rules, &self.editor.documents())
    }

    fn pipeline(&self, id: &str, version: Option<u64>) -> Result<SegmentPipeline> {
        let http = PipelineSource { name: "http".to_owned(), topic: None };
        // Sources are topics, and bear their names.
        let topic = |name: String| PipelineSource { topic: Some(name.clone()), name };
        let others = self.sources.names().into_iter().map(topic);
        let sources = std::iter::once(http).chain(others).collect();
        Ok(SegmentPipeline { sources, ..self.lookup.pipeline(id, version)? })
    }

    fn forget(&self, id: &str) {
        self.sizes.forget(id);
    }
}

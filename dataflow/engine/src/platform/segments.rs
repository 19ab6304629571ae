//! The engine's part of the resource of segments: sizes, members and warnings.

use std::sync::Arc;

use audience_catalogue::{Editor, ListChange, SegmentEngine};
use audience_emit::Sizes;
use audience_protocol::{MembersEffect, Page, PageLimit, Result};
use audience_rules::fault::Fault;
use serde_json::value::RawValue;

use crate::engine::Engine;
use crate::intake::shapes::EventShapes;
use crate::lookup::Lookup;

/// The engine, as the resource of segments asks it.
pub(super) struct EngineSegments {
    pub(super) engine: Arc<Engine>,
    pub(super) editor: Arc<Editor>,
    pub(super) lookup: Arc<Lookup>,
    pub(super) sizes: Arc<Sizes>,
    pub(super) shapes: Arc<EventShapes>,
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

    fn forget(&self, id: &str) {
        self.sizes.forget(id);
    }
}

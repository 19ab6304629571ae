//! The resource of segments, with or without an engine in the process.

use std::sync::Arc;

use audience_protocol::{
    MembersChange, MembersEffect, MembersOutcome, Page, PageLimit, PlatformError, Preview, PreviewInput,
    PreviewProgress, Result, SegmentDocument, SegmentInput, SegmentPipeline, SegmentQuery, SegmentResource,
    SegmentView, Transition,
};
use audience_rules::fault::Fault;
use serde_json::value::RawValue;

use crate::editor::Editor;
use crate::lists::{ListChange, MemberCounts};

/// The name of the part that only an engine answers.
const MEMBERS: &str = "who the members of a segment are";

/// An engine, as the resource of segments asks it.
pub trait SegmentEngine: Send + Sync + 'static {
    /// The size of a segment; 0 for one that does not run.
    fn size(&self, id: &str) -> u64;

    /// A page of a segment's members after `after`, in order of their ids.
    fn members(&self, id: &str, after: Option<&str>, limit: PageLimit) -> Page<String>;

    /// Gives every member to `take`, piece by piece, until it returns false.
    fn visit_members(&self, id: &str, take: &mut dyn FnMut(Vec<String>) -> bool) -> Result<()>;

    /// Counts who would enter and leave a list, by the users that are known.
    fn list_effect(&self, change: &ListChange) -> Result<MembersEffect>;

    /// Warns of names in rules that no event had; `pointer` says where the rules stand in the request.
    fn warnings(&self, pointer: &str, rules: &RawValue) -> Vec<Fault>;

    /// The pipeline of a version of a segment, or of its newest.
    fn pipeline(&self, id: &str, version: Option<u64>) -> Result<SegmentPipeline>;

    /// Forgets a segment that was deleted.
    fn forget(&self, id: &str);
}

/// Answers the resource of segments from the catalogue, and from the engine if the process has one.
pub struct SegmentRequests {
    editor: Arc<Editor>,
    engine: Option<Arc<dyn SegmentEngine>>,
}

impl SegmentRequests {
    /// The resource in a process with an engine.
    pub fn with_engine(editor: Arc<Editor>, engine: Arc<dyn SegmentEngine>) -> SegmentRequests {
        SegmentRequests { editor, engine: Some(engine) }
    }

    /// The resource in a process without an engine: sizes are unknown, and members are refused.
    pub fn without_engine(editor: Arc<Editor>) -> SegmentRequests {
        SegmentRequests { editor, engine: None }
    }

    fn engine(&self, wanted: &'static str) -> Result<&dyn SegmentEngine> {
        self.engine.as_deref().ok_or(PlatformError::NeedsEngine(wanted))
    }

    fn view(&self, document: SegmentDocument) -> SegmentView {
        let (version, faults) = self.editor.read(|documents| {
            let version = documents.segments.get(&document.id).map_or(0, |known| known.catalogue_version);
            (version, documents.faults_of_segment(&document.id))
        });
        let size = self.engine.as_ref().map(|engine| engine.size(&document.id));
        let effective = size.map(|_| self.editor.is_effective(version, document.status));
        SegmentView { document, size, effective, faults, used_by: None, warnings: Vec::new() }
    }

    /// A segment by itself, with its uses.
    fn single_view(&self, document: SegmentDocument) -> SegmentView {
        let used_by = self.editor.read(|documents| documents.users_of_segment(&document.id));
        SegmentView { used_by: Some(used_by), ..self.view(document) }
    }

    /// An edited segment, with warnings of the rules that were sent.
    fn edited_view(&self, document: SegmentDocument, rules: Option<&RawValue>) -> SegmentView {
        let warnings = self.engine.as_ref().zip(rules).map(|(engine, rules)| engine.warnings("/rules", rules));
        SegmentView { warnings: warnings.unwrap_or_default(), ..self.single_view(document) }
    }
}

impl SegmentResource for SegmentRequests {
    fn create_segment(&self, input: SegmentInput, author: &str) -> Result<SegmentView> {
        let rules = input.rules.clone();
        Ok(self.edited_view(self.editor.create_segment(input, author)?, rules.as_deref()))
    }

    fn replace_segment(
        &self,
        id: &str,
        input: SegmentInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        let rules = input.rules.clone();
        Ok(self.edited_view(self.editor.replace_segment(id, input, expected, author)?, rules.as_deref()))
    }

    fn transition_segment(
        &self,
        id: &str,
        to: Transition,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        Ok(self.single_view(self.editor.transition_segment(id, to, note, expected, author)?))
    }

    fn rollback_segment(
        &self,
        id: &str,
        version: u64,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        Ok(self.single_view(self.editor.rollback_segment(id, version, note, expected, author)?))
    }

    fn delete_segment(&self, id: &str, expected: Option<u64>, author: &str) -> Result<()> {
        self.editor.delete_segment(id, expected, author)?;
        self.engine.iter().for_each(|engine| engine.forget(id));
        Ok(())
    }

    fn segment(&self, id: &str) -> Result<SegmentView> {
        Ok(self.single_view(self.editor.segment(id)?))
    }

    fn segments(&self, query: &SegmentQuery) -> Result<Page<SegmentView>> {
        let Page { items, next_cursor } = self.editor.segments(query);
        Ok(Page { items: items.into_iter().map(|document| self.view(document)).collect(), next_cursor })
    }

    fn segment_versions(&self, id: &str) -> Result<Vec<SegmentDocument>> {
        self.editor.segment_versions(id)
    }

    fn segment_pipeline(&self, id: &str, version: Option<u64>) -> Result<SegmentPipeline> {
        self.engine("what a rule becomes")?.pipeline(id, version)
    }

    fn preview(&self, input: PreviewInput, watch: &mut dyn FnMut(PreviewProgress) -> bool) -> Result<Preview> {
        let warnings = self.engine("what a rule would change")?.warnings("/rules", &input.rules);
        Ok(Preview { warnings, ..self.editor.preview(input, watch)? })
    }

    fn members(&self, id: &str, after: Option<&str>, limit: PageLimit) -> Result<Page<String>> {
        let engine = self.engine(MEMBERS)?;
        self.editor.segment(id)?;
        Ok(engine.members(id, after, limit))
    }

    fn visit_members(&self, id: &str, take: &mut dyn FnMut(Vec<String>) -> bool) -> Result<()> {
        self.engine(MEMBERS)?.visit_members(id, take)
    }

    fn change_members(
        &self,
        id: &str,
        change: MembersChange,
        expected: Option<u64>,
        author: &str,
    ) -> Result<MembersOutcome> {
        let is_dry_run = change.is_dry_run;
        let changed = self.editor.change_members(id, change, expected, author)?;
        let engine = self.engine.as_ref().filter(|_| is_dry_run);
        let effect = engine.map(|engine| engine.list_effect(&changed)).transpose()?;
        let MemberCounts { added, removed, unchanged } = changed.counts;
        Ok(MembersOutcome { segment: self.view(changed.document), added, removed, unchanged, effect })
    }
}

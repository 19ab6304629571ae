//! Segments, answered by the running engine and its catalogue.

use audience_catalogue::MemberCounts;
use audience_protocol::{
    MembersChange, MembersOutcome, Page, PageLimit, Preview, PreviewInput, PreviewProgress, Result, SegmentDocument,
    SegmentInput, SegmentQuery, SegmentResource, SegmentView, Transition,
};

use serde_json::value::RawValue;

use crate::service::Service;

impl Service {
    fn view(&self, document: SegmentDocument) -> SegmentView {
        let size = self.engine.size(&document.id);
        let (version, faults) = self.editor.read(|documents| {
            let version = documents.segments.get(&document.id).map_or(0, |known| known.catalogue_version);
            (version, documents.faults_of_segment(&document.id))
        });
        let effective = self.editor.is_effective(version, document.status);
        let (used_by, warnings) = (None, Vec::new());
        SegmentView { document, size: Some(size), effective: Some(effective), faults, used_by, warnings }
    }

    /// A segment by itself, with its uses.
    fn single_view(&self, document: SegmentDocument) -> SegmentView {
        let used_by = self.editor.read(|documents| documents.users_of_segment(&document.id));
        SegmentView { used_by: Some(used_by), ..self.view(document) }
    }

    /// An edited segment, with warnings of the rules that were sent.
    fn edited_view(&self, document: SegmentDocument, rules: Option<&RawValue>) -> SegmentView {
        let warnings = rules.map(|rules| self.warnings("/rules", rules)).unwrap_or_default();
        SegmentView { warnings, ..self.single_view(document) }
    }
}

impl SegmentResource for Service {
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
        self.followers.sizes.forget(id);
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

    fn preview(&self, input: PreviewInput, watch: &mut dyn FnMut(PreviewProgress) -> bool) -> Result<Preview> {
        let warnings = self.warnings("/rules", &input.rules);
        Ok(Preview { warnings, ..self.editor.preview(input, watch)? })
    }

    fn members(&self, id: &str, after: Option<&str>, limit: PageLimit) -> Result<Page<String>> {
        self.segment(id)?;
        let items = self.lookup.members_after(id, after, limit.and_one());
        Ok(Page::of_first(items, limit, String::clone))
    }

    fn visit_members(&self, id: &str, take: &mut dyn FnMut(Vec<String>) -> bool) -> Result<()> {
        self.lookup.each_member(id, take)
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
        let effect = is_dry_run.then(|| self.lookup.list_effect(&changed)).transpose()?;
        let MemberCounts { added, removed, unchanged } = changed.counts;
        Ok(MembersOutcome { segment: self.view(changed.document), added, removed, unchanged, effect })
    }
}

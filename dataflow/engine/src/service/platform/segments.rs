//! Segments, answered by the running engine and its catalogue.

use audience_catalogue::MemberCounts;
use audience_protocol::{
    MembersChange, MembersOutcome, Page, Preview, PreviewInput, PreviewProgress, Result, SegmentDocument, SegmentInput,
    SegmentQuery, SegmentResource, SegmentView, Transition,
};

use crate::service::Service;

impl Service {
    fn view(&self, document: SegmentDocument) -> SegmentView {
        let size = self.engine.size(&document.id);
        let (version, faults) = self.editor.read(|documents| {
            let version = documents.segments.get(&document.id).map_or(0, |known| known.catalogue_version);
            (version, documents.faults_of_segment(&document.id))
        });
        let effective = self.editor.is_effective(version, document.status);
        SegmentView { document, size: Some(size), effective: Some(effective), faults }
    }
}

impl SegmentResource for Service {
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
        self.editor.delete_segment(id, expected, author)?;
        self.followers.sizes.forget(id);
        Ok(())
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

    fn preview(&self, input: PreviewInput, watch: &mut dyn FnMut(PreviewProgress) -> bool) -> Result<Preview> {
        self.editor.preview(input, watch)
    }

    fn members(&self, id: &str, after: Option<&str>, limit: usize) -> Result<Page<String>> {
        self.segment(id)?;
        let mut items = self.lookup.members_after(id, after, limit + 1);
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| has_more).cloned();
        Ok(Page { items, next_cursor })
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
        let (segment, counts) = self.editor.change_members(id, change, expected, author)?;
        let MemberCounts { added, removed, unchanged } = counts;
        Ok(MembersOutcome { segment: self.view(segment), added, removed, unchanged })
    }
}

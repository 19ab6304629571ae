//! The requests of the APIs for segments, lists, traits and the audit log, with or without an engine in the process.

use audience_contract::DocumentKind;
use audience_protocol::{
    AuditItem, AuditNote, AuditQuery, CatalogueResource, FaultyDocument, MembersChange, Page, PlatformError, Result,
    SegmentDocument, SegmentInput, SegmentQuery, TimezoneDocument, TimezoneInput, TraitDocument, TraitInput,
    TraitResource, TraitView, Transition, Webhook,
};

use crate::changeset::Changeset;
use crate::checks::{segment_not_found, unavailable};
use crate::editor::Editor;
use crate::{audit, lists, rollback, segments, timezone, traits};

/// How often a record is tried again that another process was faster than.
const RECORD_ATTEMPTS: usize = 3;

impl Editor {
    /// Creates a segment.
    pub fn create_segment(&self, input: SegmentInput, author: &str) -> Result<SegmentDocument> {
        self.edit(author, |documents, stamp| segments::create(documents, input, stamp))
    }

    /// Replaces a segment.
    pub fn replace_segment(
        &self,
        id: &str,
        input: SegmentInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentDocument> {
        self.edit(author, |documents, stamp| segments::replace(documents, id, input, expected, stamp))
    }

    /// Takes a step of a segment's lifecycle.
    pub fn transition_segment(
        &self,
        id: &str,
        to: Transition,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentDocument> {
        self.edit(author, |documents, stamp| segments::transition(documents, id, to, note, expected, stamp))
    }

    /// Deletes a segment.
    pub fn delete_segment(&self, id: &str, expected: Option<u64>, author: &str) -> Result<()> {
        self.edit(author, |documents, stamp| segments::delete(documents, id, expected, stamp))
    }

    /// Makes a new version with the content of an earlier one.
    pub fn rollback_segment(
        &self,
        id: &str,
        wanted: u64,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentDocument> {
        let versions = self.versions_since_creation(id)?;
        let lists = self.history(DocumentKind::Members, id).map_err(unavailable)?;
        let earlier = rollback::EarlierVersion::find(id, wanted, versions, lists)?;
        self.edit(author, |documents, stamp| rollback::rollback(documents, earlier, note, expected, stamp))
    }

    /// Changes the members of a static segment.
    pub fn change_members(
        &self,
        id: &str,
        change: MembersChange,
        expected: Option<u64>,
        author: &str,
    ) -> Result<lists::ListChange> {
        self.edit(author, |documents, stamp| lists::change(documents, id, change, expected, stamp))
    }

    /// Takes the ids of a user who is to be erased out of every list, and records the erasure in the audit log. Does
    /// nothing if no list names one of them and `has_history` is false.
    pub fn erase_user(&self, ids: &[String], has_history: bool, author: &str) -> Result<()> {
        if !has_history && !self.read(|documents| lists::names_any(documents, ids)) {
            return Ok(());
        }
        self.edit(author, |documents, stamp| {
            let mut changeset = lists::remove_everywhere(documents, ids, stamp)?;
            changeset.entries.extend(audit::erasure_entries(ids));
            Ok(changeset)
        })
    }

    /// Records a change of a webhook in the audit log, in a catalogue version without documents.
    pub fn audit_webhook(
        &self,
        author: &str,
        action: &str,
        before: Option<&Webhook>,
        after: Option<&Webhook>,
    ) -> Result<()> {
        let entries = vec![audit::webhook_entry(action, before, after)];
        self.edit(author, |_, _| Ok(Changeset { documents: Vec::new(), entries, answer: () }))
    }

    /// A segment.
    pub fn segment(&self, id: &str) -> Result<SegmentDocument> {
        let document = self.read(|documents| documents.segments.get(id).map(|one| one.stored.document.clone()));
        document.ok_or_else(|| segment_not_found(id))
    }

    /// A page of segments in order of their ids.
    pub fn segments(&self, query: &SegmentQuery) -> Page<SegmentDocument> {
        let text = query.text.as_ref().map(|text| text.to_lowercase());
        let items = self.read(|documents| {
            let matching = documents.segments.values().map(|segment| &segment.stored.document).filter(|document| {
                query.status.is_none_or(|status| status == document.status)
                    && query.kind.is_none_or(|kind| kind == document.kind)
                    && query.after.as_ref().is_none_or(|after| document.id > *after)
                    && query.tag.as_ref().is_none_or(|tag| document.tags.contains(tag))
                    && query.owner.as_ref().is_none_or(|owner| document.owner.as_ref() == Some(owner))
                    && text.as_ref().is_none_or(|text| contains_text(document, text))
            });
            matching.take(query.limit.and_one()).cloned().collect()
        });
        Page::of_first(items, query.limit, |document: &SegmentDocument| document.id.clone())
    }

    /// Every version of a segment since it was last created, oldest first. A deleted segment has its versions too.
    pub fn segment_versions(&self, id: &str) -> Result<Vec<SegmentDocument>> {
        let versions = self.versions_since_creation(id)?;
        if versions.is_empty() {
            return Err(segment_not_found(id));
        }
        Ok(versions.into_iter().map(|(document, _)| document).collect())
    }

    /// The version of the catalogue that brought a version of a segment, since the segment was last created; nothing if there is no
    /// such version.
    pub fn segment_version_at(&self, id: &str, version: u64) -> Result<Option<u64>> {
        let versions = self.versions_since_creation(id)?;
        Ok(versions.into_iter().find(|(document, _)| document.version == version).map(|(_, brought)| brought))
    }

    fn versions_since_creation(&self, id: &str) -> Result<Vec<(SegmentDocument, u64)>> {
        let history = self.history(DocumentKind::Segment, id).map_err(unavailable)?;
        Ok(rollback::versions_since_creation(&history))
    }
}

impl Editor {
    fn trait_view(&self, document: TraitDocument) -> TraitView {
        let used_by = self.read(|documents| documents.users_of_trait(&document.name));
        TraitView { document, used_by, warnings: Vec::new() }
    }

    fn trait_versions_since_creation(&self, name: &str) -> Result<Vec<TraitDocument>> {
        let history = self.history(DocumentKind::Trait, name).map_err(unavailable)?;
        Ok(traits::versions_since_creation(&history))
    }
}

impl TraitResource for Editor {
    fn put_trait(&self, input: TraitInput, expected: Option<u64>, author: &str) -> Result<TraitView> {
        let document = self.edit(author, |documents, stamp| traits::put(documents, &input, expected, stamp))?;
        Ok(self.trait_view(document))
    }

    fn rollback_trait(
        &self,
        name: &str,
        version: u64,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<TraitView> {
        let versions = self.trait_versions_since_creation(name)?;
        let earlier = traits::EarlierTrait::find(name, version, versions)?;
        let document =
            self.edit(author, |documents, stamp| traits::rollback(documents, earlier, note, expected, stamp))?;
        Ok(self.trait_view(document))
    }

    fn delete_trait(&self, name: &str, expected: Option<u64>, author: &str) -> Result<()> {
        self.edit(author, |documents, stamp| traits::delete(documents, name, expected, stamp))
    }

    fn computed_trait(&self, name: &str) -> Result<TraitView> {
        let found = self.read(|documents| documents.traits.get(name).map(|stored| stored.document.clone()));
        Ok(self.trait_view(found.ok_or_else(|| traits::trait_not_found(name))?))
    }

    fn trait_versions(&self, name: &str) -> Result<Vec<TraitDocument>> {
        let versions = self.trait_versions_since_creation(name)?;
        if versions.is_empty() { Err(traits::trait_not_found(name)) } else { Ok(versions) }
    }

    fn computed_traits(&self) -> Result<Vec<TraitDocument>> {
        Ok(self.read(|documents| documents.traits.values().map(|stored| stored.document.clone()).collect()))
    }
}

impl CatalogueResource for Editor {
    fn audit(&self, query: &AuditQuery) -> Result<Page<AuditItem>> {
        let rows = self.audit_records(&audit::filter(query))?;
        Ok(audit::page(rows, query.limit))
    }

    fn record(&self, author: &str, note: AuditNote) -> Result<()> {
        let mut attempts = 0;
        loop {
            let entries = vec![audit::noted_entry(&note)];
            match self.edit(author, |_, _| Ok(Changeset { documents: Vec::new(), entries, answer: () })) {
                // Another process changed the catalogue meanwhile.
                Err(PlatformError::Unavailable(_)) if attempts < RECORD_ATTEMPTS => attempts += 1,
                done => return done,
            }
        }
    }

    fn faulty_documents(&self) -> Result<Vec<FaultyDocument>> {
        Ok(self.read(|documents| documents.faulty.clone()))
    }

    fn timezone(&self) -> Result<TimezoneDocument> {
        Ok(self.read(|documents| timezone::shown(documents.timezone.as_ref())))
    }

    fn timezone_versions(&self) -> Result<Vec<TimezoneDocument>> {
        let history = self.history(DocumentKind::Setting, timezone::TIMEZONE).map_err(unavailable)?;
        Ok(timezone::versions(&history))
    }

    fn set_timezone(&self, input: TimezoneInput, expected: Option<u64>, author: &str) -> Result<TimezoneDocument> {
        self.edit(author, |documents, stamp| timezone::set(documents, input, expected, stamp))
    }
}

fn contains_text(document: &SegmentDocument, text: &str) -> bool {
    [&document.id, &document.name, &document.description]
        .into_iter()
        .chain(&document.tags)
        .chain(&document.owner)
        .any(|field| field.to_lowercase().contains(text))
}

//! What the APIs ask of segments and traits, whether an engine runs in this process or not.

use audience_contract::{Document, DocumentKind};
use audience_protocol::{
    AuditItem, AuditQuery, MembersChange, Page, PlatformError, Result, SegmentDocument, SegmentInput, SegmentQuery,
    TraitDocument, Transition,
};
use audience_rules::fault::Fault;
use audience_rules::json::parse_json;
use audience_rules::unparse::behaviour_to_json;
use serde_json::value::RawValue;

use super::documents::{Documents, StoredTrait};
use super::editor::{Edit, Editor, timestamp};
use super::{audit, lists, rollback, segments};

impl Editor {
    /// Creates a segment.
    pub fn create_segment(&self, input: SegmentInput, author: &str) -> Result<SegmentDocument> {
        self.edit(author, |documents, version| segments::create(documents, input, author, version))
    }

    /// Replaces a segment.
    pub fn replace_segment(
        &self,
        id: &str,
        input: SegmentInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentDocument> {
        self.edit(author, |documents, version| segments::replace(documents, id, input, expected, author, version))
    }

    /// A lifecycle step.
    pub fn transition_segment(
        &self,
        id: &str,
        to: Transition,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentDocument> {
        self.edit(author, |documents, version| segments::transition(documents, id, to, note, expected, author, version))
    }

    /// Deletes a segment.
    pub fn delete_segment(&self, id: &str, expected: Option<u64>, author: &str) -> Result<()> {
        self.edit(author, |documents, version| segments::delete(documents, id, expected, version))
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
        let versions = rollback::life(&self.history(DocumentKind::Segment, id)?);
        let lists = self.history(DocumentKind::Members, id)?;
        let past = rollback::Past::new(id, wanted, versions, lists)?;
        self.edit(author, |documents, version| rollback::rollback(documents, past, note, expected, author, version))
    }

    /// Changes the members of a static segment; gives how many joined, left, and made no difference.
    pub fn change_members(
        &self,
        id: &str,
        change: MembersChange,
        expected: Option<u64>,
        author: &str,
    ) -> Result<(SegmentDocument, lists::Counts)> {
        self.edit(author, |documents, version| lists::change(documents, id, change, expected, author, version))
    }

    /// Who changed what, newest first.
    pub fn audit(&self, query: &AuditQuery) -> Result<Page<AuditItem>> {
        let rows = self.audit_records(&audit::filter(query))?;
        Ok(audit::page(rows, query.limit))
    }

    /// A segment.
    pub fn segment(&self, id: &str) -> Result<SegmentDocument> {
        let document = self.read(|documents| documents.segments.get(id).map(|known| known.stored.document.clone()));
        document.ok_or_else(|| segments::not_found(id))
    }

    /// Segments in order of their ids.
    pub fn segments(&self, query: &SegmentQuery) -> Page<SegmentDocument> {
        let text = query.text.as_ref().map(|text| text.to_lowercase());
        let mut items: Vec<SegmentDocument> = self.read(|documents| {
            let matching = documents.segments.values().map(|known| &known.stored.document).filter(|document| {
                query.status.is_none_or(|status| status == document.status)
                    && query.kind.is_none_or(|kind| kind == document.kind)
                    && query.after.as_ref().is_none_or(|after| document.id > *after)
                    && query.tag.as_ref().is_none_or(|tag| document.tags.contains(tag))
                    && query.owner.as_ref().is_none_or(|owner| document.owner.as_ref() == Some(owner))
                    && text.as_ref().is_none_or(|text| contains_text(document, text))
            });
            matching.take(query.limit + 1).cloned().collect()
        });
        let has_more = items.len() > query.limit;
        items.truncate(query.limit);
        let next_cursor = items.last().filter(|_| has_more).map(|document| document.id.clone());
        Page { items, next_cursor }
    }

    /// Every version of a segment since it was created last, oldest first; also of one that is deleted.
    pub fn segment_versions(&self, id: &str) -> Result<Vec<SegmentDocument>> {
        let versions = rollback::life(&self.history(DocumentKind::Segment, id)?);
        if versions.is_empty() {
            return Err(segments::not_found(id));
        }
        Ok(versions.into_iter().map(|(document, _)| document).collect())
    }

    /// Creates or replaces a computed trait.
    pub fn put_trait(&self, definition: &RawValue, expected: Option<u64>, author: &str) -> Result<TraitDocument> {
        self.edit(author, |documents, version| put_trait(documents, definition, expected, author, version))
    }

    /// Deletes a computed trait.
    pub fn delete_trait(&self, name: &str, expected: Option<u64>, author: &str) -> Result<()> {
        self.edit(author, |documents, version| {
            let current = check_version(documents, name, expected)?;
            let conflict = |fault: Fault| PlatformError::Conflict { code: fault.code, message: fault.message };
            documents.catalogue.check_delete_trait(name).map_err(conflict)?;
            documents.catalogue.delete_trait(name);
            documents.traits.remove(name);
            let (kind, id) = (DocumentKind::Trait, name.to_owned());
            let documents = vec![Document { kind, id, catalogue_version: version, body: None }];
            let entries = vec![audit::entry("deleted", "trait", name, Some(current), None)];
            Ok(Edit { documents, entries, result: () })
        })
    }

    /// A computed trait.
    pub fn computed_trait(&self, name: &str) -> Result<TraitDocument> {
        let found = self.read(|documents| documents.traits.get(name).map(|stored| stored.document.clone()));
        found.ok_or_else(|| trait_not_found(name))
    }

    /// All computed traits in order of their names.
    pub fn computed_traits(&self) -> Vec<TraitDocument> {
        self.read(|documents| documents.traits.values().map(|stored| stored.document.clone()).collect())
    }
}

fn contains_text(document: &SegmentDocument, text: &str) -> bool {
    [&document.id, &document.name, &document.description]
        .into_iter()
        .chain(&document.tags)
        .chain(&document.owner)
        .any(|field| field.to_lowercase().contains(text))
}

fn trait_not_found(name: &str) -> PlatformError {
    PlatformError::NotFound { kind: "trait", id: name.to_owned() }
}

fn check_version(documents: &Documents, name: &str, expected: Option<u64>) -> Result<u64> {
    let current = documents.traits.get(name).map_or(0, |stored| stored.document.version);
    match expected {
        Some(expected) if expected != current => Err(PlatformError::VersionMismatch { expected, current }),
        None if current == 0 => Err(trait_not_found(name)),
        _ => Ok(current),
    }
}

fn put_trait(
    documents: &mut Documents,
    definition: &RawValue,
    expected: Option<u64>,
    author: &str,
    version: u64,
) -> Result<Edit<TraitDocument>> {
    let malformed = |message: String| {
        PlatformError::Invalid(vec![Fault { pointer: String::new(), code: "malformed_json", message }])
    };
    let json = parse_json(definition.get().as_bytes()).map_err(|fault| malformed(fault.to_string()))?;
    let computed = documents.catalogue.check_trait(&json).map_err(PlatformError::Invalid)?;
    let name = computed.name.to_string();
    let current = match expected {
        None => documents.traits.get(&name).map_or(0, |stored| stored.document.version),
        Some(_) => check_version(documents, &name, expected)?,
    };
    let text = behaviour_to_json(&name, &computed.behaviour);
    let definition = RawValue::from_string(text).map_err(|error| malformed(error.to_string()))?;
    let document = TraitDocument { name: name.clone(), definition, version: current + 1, updated_at: timestamp() };
    let stored = StoredTrait { document: document.clone(), author: author.to_owned() };
    let body = serde_json::to_string(&stored).map_err(|error| malformed(error.to_string()))?;
    documents.catalogue.put_trait(computed);
    documents.traits.insert(name.clone(), stored);
    let action = if current == 0 { "created" } else { "updated" };
    let entries = vec![audit::entry(action, "trait", &name, Some(document.version), None)];
    let stored = Document { kind: DocumentKind::Trait, id: name, catalogue_version: version, body: Some(body) };
    Ok(Edit { documents: vec![stored], entries, result: document })
}

//! Edits of segments: each is checked against the documents and changes a copy of them.

use audience_contract::{AuditEntry, Document, DocumentKind};
use audience_protocol::{
    ConflictKind, PlatformError, ResourceKind, Result, SegmentDocument, SegmentInput, SegmentKind, Transition,
};
use audience_rules::catalogue::{Catalogue, Definition, SegmentStatus};
use audience_rules::fault::code;
use audience_rules::json::parse_json;
use audience_rules::unparse::node_to_json_with;
use serde_json::value::RawValue;

use crate::audit::entry;
use crate::changeset::{Changeset, Stamp};
use crate::checks::{
    below_rules, check_members, check_name, conflict, id_fault, invalid, malformed_rules, segment_not_found, unwritable,
};
use crate::documents::{Documents, StoredSegment, VersionedSegment, list, timestamp};

/// A changeset that leads to a segment.
pub(crate) type SegmentChange = Result<Changeset<SegmentDocument>>;

/// Creates a segment.
pub(crate) fn create(documents: &mut Documents, input: SegmentInput, stamp: Stamp<'_>) -> SegmentChange {
    let id = match &input.id {
        Some(id) => id.clone(),
        None => slug(&input.name),
    };
    if let Some(fault) = id_fault(&id) {
        return Err(PlatformError::Invalid(vec![fault]));
    }
    if documents.segments.contains_key(&id) {
        return Err(PlatformError::Exists { kind: ResourceKind::Segment, id });
    }
    check_name(&input.name)?;
    let kind = match input.kind {
        Some(kind) => kind,
        None if input.members.is_some() => SegmentKind::Static,
        None => SegmentKind::Dynamic,
    };
    let status = match input.status {
        None => SegmentStatus::Active,
        Some(SegmentStatus::Archived) => {
            let message = "a segment is created as DRAFT, ACTIVE or INACTIVE";
            return Err(invalid("/status", code::UNKNOWN_WORD, message));
        }
        Some(status) => status,
    };
    let now = timestamp();
    let document = SegmentDocument {
        id,
        name: input.name.clone(),
        description: input.description.clone(),
        kind,
        status,
        rules: None,
        tags: input.tags.clone(),
        owner: input.owner.clone(),
        version: 1,
        created_at: now.clone(),
        updated_at: now,
        updated_by: String::new(),
        note: input.note.clone(),
    };
    let definition = definition(&documents.catalogue, &document, &input)?.ok_or_else(|| match kind {
        SegmentKind::Dynamic => invalid("", code::MISSING_MEMBER, "a dynamic segment needs `rules`"),
        SegmentKind::Static => invalid("", code::MISSING_MEMBER, "a static segment needs `members`"),
    })?;
    let members = input.members.filter(|_| kind == SegmentKind::Static);
    let entries = vec![entry("created", "segment", &document.id, Some(1), document.note.as_deref())];
    let (documents, answer) = put(documents, document, definition, members, stamp)?;
    Ok(Changeset { documents, entries, answer })
}

/// Replaces a segment. Rules, members and status stay where the input leaves them out.
pub(crate) fn replace(
    documents: &mut Documents,
    id: &str,
    input: SegmentInput,
    expected: Option<u64>,
    stamp: Stamp<'_>,
) -> SegmentChange {
    let old = current(documents, id, expected)?;
    check_not_archived(&old)?;
    check_name(&input.name)?;
    if input.kind.is_some_and(|kind| kind != old.kind) {
        return Err(invalid("/type", code::DOES_NOT_FIT, "a segment keeps its type; create another one"));
    }
    let status = match input.status {
        None => old.status,
        Some(status) => next_status(&old, status)?,
    };
    let document = SegmentDocument {
        name: input.name.clone(),
        description: input.description.clone(),
        status,
        tags: input.tags.clone(),
        owner: input.owner.clone(),
        ..next_version(old.clone(), input.note.clone())
    };
    let definition = match definition(&documents.catalogue, &document, &input)? {
        Some(definition) => definition,
        None => running_definition(documents, id)?,
    };
    let members = input.members.filter(|_| document.kind == SegmentKind::Static);
    let has_list = members.is_some();
    let (documents, answer) = put(documents, document, definition, members, stamp)?;
    Ok(Changeset { documents, entries: replacement_entries(&old, &answer, has_list), answer })
}

/// The audit entries for a replaced segment: a step of its lifecycle, new content, a new list, or several of them.
fn replacement_entries(old: &SegmentDocument, new: &SegmentDocument, has_list: bool) -> Vec<AuditEntry> {
    let done = |action, kind| entry(action, kind, &new.id, Some(new.version), new.note.as_deref());
    let mut entries = Vec::new();
    if old.status != new.status {
        entries.push(done(step(new.status), "segment"));
    }
    let rules = |document: &SegmentDocument| document.rules.as_ref().map(|rules| rules.get().to_owned());
    let content =
        |one: &SegmentDocument| (one.name.clone(), one.description.clone(), one.tags.clone(), one.owner.clone());
    if content(old) != content(new) || rules(old) != rules(new) || (entries.is_empty() && !has_list) {
        entries.push(done("updated", "segment"));
    }
    if has_list {
        entries.push(done("membersReplaced", "members"));
    }
    entries
}

/// The audit log's action for the step to a status.
fn step(to: SegmentStatus) -> &'static str {
    match to {
        SegmentStatus::Draft => "updated",
        SegmentStatus::Active => "activated",
        SegmentStatus::Inactive => "deactivated",
        SegmentStatus::Archived => "archived",
    }
}

/// The next version of a segment, with the same content.
pub(crate) fn next_version(old: SegmentDocument, note: Option<String>) -> SegmentDocument {
    SegmentDocument { version: old.version + 1, updated_at: timestamp(), note, ..old }
}

/// Takes a step of a segment's lifecycle.
pub(crate) fn transition(
    documents: &mut Documents,
    id: &str,
    to: Transition,
    note: Option<String>,
    expected: Option<u64>,
    stamp: Stamp<'_>,
) -> SegmentChange {
    let old = current(documents, id, expected)?;
    let wanted = match to {
        Transition::Activate => SegmentStatus::Active,
        Transition::Deactivate => SegmentStatus::Inactive,
        Transition::Archive => SegmentStatus::Archived,
    };
    let status = next_status(&old, wanted)?;
    let document = SegmentDocument { status, ..next_version(old, note) };
    let definition = running_definition(documents, id)?;
    let entries = vec![entry(step(status), "segment", id, Some(document.version), document.note.as_deref())];
    let (documents, answer) = put(documents, document, definition, None, stamp)?;
    Ok(Changeset { documents, entries, answer })
}

/// Deletes a segment that no other refers to.
pub(crate) fn delete(
    documents: &mut Documents,
    id: &str,
    expected: Option<u64>,
    stamp: Stamp<'_>,
) -> Result<Changeset<()>> {
    let old = current(documents, id, expected)?;
    documents.catalogue.check_delete_segment(id).map_err(conflict)?;
    documents.catalogue.delete_segment(id);
    documents.segments.remove(id);
    let deletion = |kind| Document { kind, id: id.to_owned(), catalogue_version: stamp.catalogue_version, body: None };
    let mut stored = vec![deletion(DocumentKind::Segment)];
    if old.kind == SegmentKind::Static {
        stored.push(deletion(DocumentKind::Members));
    }
    let entries = vec![entry("deleted", "segment", id, Some(old.version), None)];
    Ok(Changeset { documents: stored, entries, answer: () })
}

/// Puts a segment among the documents. Returns the documents to store, and the segment as the API shows it.
pub(crate) fn put(
    documents: &mut Documents,
    mut document: SegmentDocument,
    definition: Definition,
    members: Option<Vec<String>>,
    stamp: Stamp<'_>,
) -> Result<(Vec<Document>, SegmentDocument)> {
    let Stamp { author, catalogue_version } = stamp;
    author.clone_into(&mut document.updated_by);
    if let Definition::Dynamic(node) = &definition {
        let text = node_to_json_with(node, &documents.catalogue);
        document.rules = Some(RawValue::from_string(text).map_err(unwritable)?);
    }
    let stored = StoredSegment { document: document.clone(), author: author.to_owned() };
    let id = document.id.clone();
    let body = Some(stored.body().map_err(unwritable)?);
    let mut to_store = vec![Document { kind: DocumentKind::Segment, id: id.clone(), catalogue_version, body }];
    if let Some(members) = members {
        let body = Some(serde_json::to_string(&members).map_err(unwritable)?);
        to_store.push(Document { kind: DocumentKind::Members, id, catalogue_version, body });
    }
    documents.put_segment(VersionedSegment { stored, catalogue_version }, definition);
    Ok((to_store, document))
}

/// The definition that the input gives; `None` where it has neither rules nor members.
fn definition(catalogue: &Catalogue, document: &SegmentDocument, input: &SegmentInput) -> Result<Option<Definition>> {
    match (document.kind, &input.rules, &input.members) {
        (SegmentKind::Dynamic, Some(rules), None) => {
            let json = parse_json(rules.get().as_bytes()).map_err(|fault| malformed_rules(&fault))?;
            let rules = catalogue.check_rules(&document.id, &json).map_err(below_rules)?;
            Ok(Some(Definition::Dynamic(rules.into())))
        }
        (SegmentKind::Static, None, Some(members)) => {
            check_members(members)?;
            Ok(Some(list(members.clone())))
        }
        (SegmentKind::Dynamic, _, Some(_)) => {
            Err(invalid("/members", code::UNEXPECTED_MEMBER, "a dynamic segment has `rules`, no `members`"))
        }
        (SegmentKind::Static, Some(_), _) => {
            Err(invalid("/rules", code::UNEXPECTED_MEMBER, "a static segment has `members`, no `rules`"))
        }
        (_, None, None) => Ok(None),
    }
}

/// The definition that runs under an id.
pub(crate) fn running_definition(documents: &Documents, id: &str) -> Result<Definition> {
    let running = documents.catalogue.segments.get(id);
    running.map(|segment| segment.definition.clone()).ok_or_else(|| segment_not_found(id))
}

/// The current document. Refuses where the caller expects another version.
pub(crate) fn current(documents: &Documents, id: &str, expected: Option<u64>) -> Result<SegmentDocument> {
    let segment = documents.segments.get(id).ok_or_else(|| segment_not_found(id))?;
    let document = segment.stored.document.clone();
    match expected {
        Some(expected) if expected != document.version => {
            Err(PlatformError::VersionMismatch { expected, current: document.version })
        }
        _ => Ok(document),
    }
}

/// Refuses to change an archived segment.
pub(crate) fn check_not_archived(document: &SegmentDocument) -> Result<()> {
    if document.status != SegmentStatus::Archived {
        return Ok(());
    }
    let message = format!(
        "segment {:?} is archived and does not change; roll it back to a version to take it up again",
        document.id
    );
    Err(PlatformError::Conflict { kind: ConflictKind::Archived, message })
}

/// DRAFT → ACTIVE ⇄ INACTIVE, all of them → ARCHIVED. A step to the current status changes nothing but the version.
fn next_status(document: &SegmentDocument, wanted: SegmentStatus) -> Result<SegmentStatus> {
    check_not_archived(document)?;
    let is_step = match wanted {
        SegmentStatus::Active | SegmentStatus::Archived => true,
        SegmentStatus::Inactive => document.status != SegmentStatus::Draft,
        SegmentStatus::Draft => document.status == SegmentStatus::Draft,
    };
    if is_step {
        return Ok(wanted);
    }
    let message = format!("segment {:?} cannot go from {:?} to {wanted:?}", document.id, document.status);
    Err(PlatformError::Conflict { kind: ConflictKind::WrongStatus, message })
}

/// "High value, Q3" → "high-value-q3".
fn slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("-")
}

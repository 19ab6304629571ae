//! The segments of the API on the catalogue.

use audience_contract::{AuditEntry, Document, DocumentKind};
use audience_protocol::{PlatformError, Result, SegmentDocument, SegmentInput, SegmentKind, Transition};
use audience_rules::catalogue::{Catalogue, Definition, SegmentStatus};
use audience_rules::fault::{Fault, code};
use audience_rules::json::parse_json;
use audience_rules::unparse::node_to_json_with;
use serde_json::value::RawValue;

use super::audit::entry;
use super::documents::{Documents, KnownSegment, StoredSegment, list};
use super::editor::{Edit, timestamp};

/// The longest id of a segment, in bytes.
const MAX_ID_BYTES: usize = 256;
/// Words that stand in the place of an id in the paths of the API.
const RESERVED_IDS: [&str; 1] = ["preview"];

/// What an edit of a segment stores, and the segment it leads to.
pub type Edited = Result<Edit<SegmentDocument>>;

fn fault(pointer: &str, code: &'static str, message: impl Into<String>) -> PlatformError {
    PlatformError::Invalid(vec![Fault { pointer: pointer.to_owned(), code, message: message.into() }])
}

/// Creates a segment.
pub fn create(documents: &mut Documents, input: SegmentInput, author: &str, version: u64) -> Edited {
    let id = match &input.id {
        Some(id) => id.clone(),
        None => slug(&input.name),
    };
    if let Some(fault) = id_fault(&id) {
        return Err(PlatformError::Invalid(vec![fault]));
    }
    if documents.segments.contains_key(&id) {
        return Err(PlatformError::Exists { kind: "segment", id });
    }
    check_name(&input.name)?;
    let kind = match kind_of(&input)? {
        Some(kind) => kind,
        None if input.members.is_some() => SegmentKind::Static,
        None => SegmentKind::Dynamic,
    };
    let status = match status_of(input.status.as_deref())? {
        None | Some(SegmentStatus::Active) => SegmentStatus::Active,
        Some(SegmentStatus::Draft) => SegmentStatus::Draft,
        Some(_) => return Err(fault("/status", code::UNKNOWN_WORD, "a segment is created as DRAFT or ACTIVE")),
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
        SegmentKind::Dynamic => fault("", code::MISSING_MEMBER, "a dynamic segment needs `rules`"),
        SegmentKind::Static => fault("", code::MISSING_MEMBER, "a static segment needs `members`"),
    })?;
    let members = input.members.filter(|_| kind == SegmentKind::Static);
    let entries = vec![entry("created", "segment", &document.id, Some(1), document.note.as_deref())];
    let (documents, result) = put(documents, document, definition, members, author, version)?;
    Ok(Edit { documents, entries, result })
}

/// Replaces a segment; what the input leaves out of rules, members and status stays.
pub fn replace(
    documents: &mut Documents,
    id: &str,
    input: SegmentInput,
    expected: Option<u64>,
    author: &str,
    version: u64,
) -> Edited {
    let old = current(documents, id, expected)?;
    check_not_archived(&old)?;
    check_name(&input.name)?;
    if kind_of(&input)?.is_some_and(|kind| kind != old.kind) {
        return Err(fault("/type", code::DOES_NOT_FIT, "a segment keeps its type; create another one"));
    }
    let status = match status_of(input.status.as_deref())? {
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
    let (documents, result) = put(documents, document, definition, members, author, version)?;
    Ok(Edit { documents, entries: entries_of(&old, &result, has_list), result })
}

/// What the audit log says of a segment that was replaced: that it took a step of its life, that its content is another, or
/// both.
fn entries_of(old: &SegmentDocument, new: &SegmentDocument, has_list: bool) -> Vec<AuditEntry> {
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

/// What the audit log calls the way to a status.
fn step(to: SegmentStatus) -> &'static str {
    match to {
        SegmentStatus::Draft => "updated",
        SegmentStatus::Active => "activated",
        SegmentStatus::Inactive => "deactivated",
        SegmentStatus::Archived => "archived",
    }
}

/// The same segment, one version on.
pub fn next_version(old: SegmentDocument, note: Option<String>) -> SegmentDocument {
    SegmentDocument { version: old.version + 1, updated_at: timestamp(), note, ..old }
}

/// A lifecycle step.
pub fn transition(
    documents: &mut Documents,
    id: &str,
    to: Transition,
    note: Option<String>,
    expected: Option<u64>,
    author: &str,
    version: u64,
) -> Edited {
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
    let (documents, result) = put(documents, document, definition, None, author, version)?;
    Ok(Edit { documents, entries, result })
}

/// Deletes a segment.
pub fn delete(documents: &mut Documents, id: &str, expected: Option<u64>, version: u64) -> Result<Edit<()>> {
    let old = current(documents, id, expected)?;
    let conflict = |fault: Fault| PlatformError::Conflict { code: fault.code, message: fault.message };
    documents.catalogue.check_delete_segment(id).map_err(conflict)?;
    documents.catalogue.delete_segment(id);
    documents.segments.remove(id);
    let gone = |kind| Document { kind, id: id.to_owned(), catalogue_version: version, body: None };
    let mut stored = vec![gone(DocumentKind::Segment)];
    if old.kind == SegmentKind::Static {
        stored.push(gone(DocumentKind::Members));
    }
    let entries = vec![entry("deleted", "segment", id, Some(old.version), None)];
    Ok(Edit { documents: stored, entries, result: () })
}

/// Puts a segment; gives what is to be stored of it, and it.
pub fn put(
    documents: &mut Documents,
    mut document: SegmentDocument,
    definition: Definition,
    members: Option<Vec<String>>,
    author: &str,
    version: u64,
) -> Result<(Vec<Document>, SegmentDocument)> {
    author.clone_into(&mut document.updated_by);
    if let Definition::Dynamic(node) = &definition {
        let text = node_to_json_with(node, &documents.catalogue);
        document.rules = Some(RawValue::from_string(text).map_err(internal)?);
    }
    let stored = StoredSegment { document: document.clone(), author: author.to_owned() };
    let id = document.id.clone();
    let mut stored_documents = vec![Document {
        kind: DocumentKind::Segment,
        id: id.clone(),
        catalogue_version: version,
        body: Some(stored.body().map_err(internal)?),
    }];
    if let Some(members) = members {
        stored_documents.push(Document {
            kind: DocumentKind::Members,
            id,
            catalogue_version: version,
            body: Some(serde_json::to_string(&members).map_err(internal)?),
        });
    }
    documents.put_segment(KnownSegment { stored, catalogue_version: version }, definition);
    Ok((stored_documents, document))
}

fn internal(error: serde_json::Error) -> PlatformError {
    PlatformError::Unavailable(format!("the document could not be written: {error}"))
}

/// What the input says of rules or members; `None` where it says nothing.
fn definition(catalogue: &Catalogue, document: &SegmentDocument, input: &SegmentInput) -> Result<Option<Definition>> {
    match (document.kind, &input.rules, &input.members) {
        (SegmentKind::Dynamic, Some(rules), None) => {
            let malformed = |json_fault: audience_rules::json::JsonFault| malformed_rules(json_fault.to_string());
            let json = parse_json(rules.get().as_bytes()).map_err(malformed)?;
            let rules = catalogue.check_rules(&document.id, &json).map_err(below_rules)?;
            Ok(Some(Definition::Dynamic(rules.into())))
        }
        (SegmentKind::Static, None, Some(members)) => Ok(Some(list(checked_members(members)?))),
        (SegmentKind::Dynamic, _, Some(_)) => {
            Err(fault("/members", code::UNEXPECTED_MEMBER, "a dynamic segment has `rules`, no `members`"))
        }
        (SegmentKind::Static, Some(_), _) => {
            Err(fault("/rules", code::UNEXPECTED_MEMBER, "a static segment has `members`, no `rules`"))
        }
        (_, None, None) => Ok(None),
    }
}

/// Rules that cannot be read.
pub fn malformed_rules(message: String) -> PlatformError {
    fault("/rules", "malformed_json", message)
}

/// The faults of rules as those of a segment.
pub fn below_rules(faults: Vec<Fault>) -> PlatformError {
    let moved = faults.into_iter().map(|f| Fault { pointer: format!("/rules{}", f.pointer), ..f });
    PlatformError::Invalid(moved.collect())
}

/// The ids, if none of them is at fault.
pub fn checked_members(members: &[String]) -> Result<Vec<String>> {
    let faults = member_faults(members);
    if faults.is_empty() { Ok(members.to_vec()) } else { Err(PlatformError::Invalid(faults)) }
}

/// What is wrong with the ids of a list.
pub fn member_faults(members: &[String]) -> Vec<Fault> {
    let faulty = members.iter().enumerate().filter(|(_, id)| id.is_empty() || id.len() > MAX_ID_BYTES);
    faulty
        .map(|(index, _)| Fault {
            pointer: format!("/members/{index}"),
            code: code::OUT_OF_RANGE,
            message: format!("a user id has 1 to {MAX_ID_BYTES} bytes"),
        })
        .collect()
}

/// What is wrong with the id of a segment.
pub fn id_fault(id: &str) -> Option<Fault> {
    let is_good = !id.is_empty() && id.len() <= MAX_ID_BYTES && !RESERVED_IDS.contains(&id);
    let message = || format!("an id has 1 to {MAX_ID_BYTES} bytes and is none of {RESERVED_IDS:?}; give one in `id`");
    (!is_good).then(|| Fault { pointer: "/id".to_owned(), code: code::OUT_OF_RANGE, message: message() })
}

fn running_definition(documents: &Documents, id: &str) -> Result<Definition> {
    let running = documents.catalogue.segments.get(id);
    running.map(|segment| segment.definition.clone()).ok_or_else(|| not_found(id))
}

/// The current document, if the caller's version is its.
pub fn current(documents: &Documents, id: &str, expected: Option<u64>) -> Result<SegmentDocument> {
    let known = documents.segments.get(id).ok_or_else(|| not_found(id))?;
    let document = known.stored.document.clone();
    match expected {
        Some(expected) if expected != document.version => {
            Err(PlatformError::VersionMismatch { expected, current: document.version })
        }
        _ => Ok(document),
    }
}

/// There is no such segment.
pub fn not_found(id: &str) -> PlatformError {
    PlatformError::NotFound { kind: "segment", id: id.to_owned() }
}

/// Refuses to change what is archived.
pub fn check_not_archived(document: &SegmentDocument) -> Result<()> {
    if document.status != SegmentStatus::Archived {
        return Ok(());
    }
    let message = format!(
        "segment {:?} is archived and does not change; roll it back to a version to take it up again",
        document.id
    );
    Err(PlatformError::Conflict { code: "archived", message })
}

/// DRAFT → ACTIVE ⇄ INACTIVE, all of them → ARCHIVED. A step to where it is changes nothing but the version.
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
    Err(PlatformError::Conflict { code: "wrong_status", message })
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_ID_BYTES {
        return Err(fault("/name", code::OUT_OF_RANGE, format!("a name has 1 to {MAX_ID_BYTES} bytes")));
    }
    Ok(())
}

fn kind_of(input: &SegmentInput) -> Result<Option<SegmentKind>> {
    match input.kind.as_deref().map(str::to_ascii_uppercase).as_deref() {
        None => Ok(None),
        Some("DYNAMIC") => Ok(Some(SegmentKind::Dynamic)),
        Some("STATIC") => Ok(Some(SegmentKind::Static)),
        Some(_) => Err(fault("/type", code::UNKNOWN_WORD, "a type is DYNAMIC or STATIC")),
    }
}

fn status_of(word: Option<&str>) -> Result<Option<SegmentStatus>> {
    match word.map(str::to_ascii_uppercase).as_deref() {
        None => Ok(None),
        Some("DRAFT") => Ok(Some(SegmentStatus::Draft)),
        Some("ACTIVE") => Ok(Some(SegmentStatus::Active)),
        Some("INACTIVE") => Ok(Some(SegmentStatus::Inactive)),
        Some("ARCHIVED") => Ok(Some(SegmentStatus::Archived)),
        Some(_) => Err(fault("/status", code::UNKNOWN_WORD, "a status is DRAFT, ACTIVE, INACTIVE or ARCHIVED")),
    }
}

/// "High value, Q3" → "high-value-q3".
fn slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("-")
}

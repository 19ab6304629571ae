//! Earlier versions of a segment, and the way back to one.

use audience_contract::Document;
use audience_protocol::{PlatformError, Result, SegmentDocument, SegmentKind};
use audience_rules::catalogue::{Definition, SegmentStatus};
use audience_rules::json::parse_json;

use super::audit::entry;
use super::documents::{Documents, StoredSegment, list};
use super::editor::{Edit, timestamp};
use super::segments::{self, below_rules, put};

/// The versions since a segment was created last, oldest first, each with the version of the catalogue that brought it. A
/// segment that was deleted and rolled back goes on with its numbers, one that is created anew begins with 1.
pub fn life(history: &[Document]) -> Vec<(SegmentDocument, u64)> {
    let versions = history.iter().filter_map(|stored| {
        let document = StoredSegment::read(stored.body.as_deref()?).ok()?.document;
        Some((document, stored.catalogue_version))
    });
    let mut versions: Vec<_> = versions.collect();
    let birth = versions.iter().rposition(|(document, _)| document.version == 1).unwrap_or_default();
    versions.drain(..birth);
    versions
}

/// What there is to go back to.
pub struct Past {
    /// The version that is asked for.
    target: SegmentDocument,
    /// The newest version of all.
    newest: u64,
    /// The list of the version that is asked for, with the version of the catalogue that brought it; none where it is
    /// forgotten.
    list: Option<(u64, Vec<String>)>,
}

impl Past {
    /// Of the versions of a segment and of its lists.
    pub fn new(id: &str, wanted: u64, versions: Vec<(SegmentDocument, u64)>, lists: Vec<Document>) -> Result<Past> {
        let newest = versions.last().map(|(document, _)| document.version).ok_or_else(|| segments::not_found(id))?;
        let found = versions.into_iter().find(|(document, _)| document.version == wanted);
        let missing = || PlatformError::NotFound { kind: "version", id: format!("{id} {wanted}") };
        let (target, catalogue_version) = found.ok_or_else(missing)?;
        let then = lists.into_iter().rev().find(|one| one.catalogue_version <= catalogue_version);
        let list = then.and_then(|one| Some((one.catalogue_version, serde_json::from_str(&one.body?).ok()?)));
        Ok(Past { target, newest, list })
    }
}

/// Makes a new version with the content of an earlier one.
pub fn rollback(
    documents: &mut Documents,
    past: Past,
    note: Option<String>,
    expected: Option<u64>,
    author: &str,
    version: u64,
) -> Result<Edit<SegmentDocument>> {
    let id = past.target.id.clone();
    let running = documents.segments.get(&id).map(|known| known.stored.document.clone());
    let current = running.as_ref().map_or(0, |document| document.version);
    if let Some(expected) = expected.filter(|expected| *expected != current) {
        return Err(PlatformError::VersionMismatch { expected, current });
    }
    if running.as_ref().is_some_and(|running| running.kind != past.target.kind) {
        let message = format!("version {} of segment {id:?} is of another type", past.target.version);
        return Err(PlatformError::Conflict { code: "other_type", message });
    }
    let (definition, members) = content(documents, &past)?;
    let entry_note = format!("version {}", past.target.version);
    let document = SegmentDocument {
        status: match running.as_ref().map(|running| running.status) {
            None | Some(SegmentStatus::Archived) => SegmentStatus::Inactive,
            Some(status) => status,
        },
        version: past.newest.max(current) + 1,
        updated_at: timestamp(),
        note: note.or(Some(format!("back to {entry_note}"))),
        ..past.target
    };
    let entries = vec![entry("rolledBack", "segment", &id, Some(document.version), document.note.as_deref())];
    let (stored, document) = put(documents, document, definition, members, author, version)?;
    Ok(Edit { documents: stored, entries, result: document })
}

/// The definition of the version that is asked for, and its list where that is another than the current one.
fn content(documents: &Documents, past: &Past) -> Result<(Definition, Option<Vec<String>>)> {
    let SegmentDocument { id, version, rules, .. } = &past.target;
    match (past.target.kind, rules) {
        (SegmentKind::Dynamic, Some(rules)) => {
            let malformed = |error: audience_rules::json::JsonFault| segments::malformed_rules(error.to_string());
            let json = parse_json(rules.get().as_bytes()).map_err(malformed)?;
            let node = documents.catalogue.check_rules(id, &json).map_err(below_rules)?;
            Ok((Definition::Dynamic(node.into()), None))
        }
        (SegmentKind::Dynamic, None) => Err(segments::malformed_rules("that version has none".to_owned())),
        (SegmentKind::Static, _) => {
            let Some((_, members)) = &past.list else {
                let message = format!(
                    "the list of version {version} is forgotten: lists name users, so those that were replaced are not \
                     kept; give the members with PUT /api/segments/{{id}}/members"
                );
                return Err(PlatformError::Conflict { code: "list_forgotten", message });
            };
            Ok((list(members.clone()), Some(members.clone())))
        }
    }
}

//! Earlier versions of a segment, and rollbacks to them.

use audience_contract::Document;
use audience_protocol::{ConflictKind, PlatformError, ResourceKind, Result, SegmentDocument, SegmentKind};
use audience_rules::catalogue::{Definition, SegmentStatus};
use audience_rules::json::parse_json;

use crate::audit::entry;
use crate::changeset::{Changeset, Stamp};
use crate::checks::{below_rules, invalid, malformed_rules, segment_not_found};
use crate::documents::{Documents, StoredSegment, list, timestamp};
use crate::segments::{SegmentChange, put};

/// The versions since a segment was last created, oldest first, each with the catalogue version that brought it. A
/// segment that was deleted and rolled back continues its version numbers; one that is created again starts at 1.
pub(crate) fn versions_since_creation(history: &[Document]) -> Vec<(SegmentDocument, u64)> {
    let versions = history.iter().filter_map(|stored| {
        let document = StoredSegment::read(stored.body.as_deref()?).ok()?.document;
        Some((document, stored.catalogue_version))
    });
    let mut versions: Vec<_> = versions.collect();
    let creation = versions.iter().rposition(|(document, _)| document.version == 1).unwrap_or_default();
    versions.drain(..creation);
    versions
}

/// The earlier version that a rollback leads back to.
pub(crate) struct EarlierVersion {
    document: SegmentDocument,
    /// The newest version number that the segment ever had.
    newest: u64,
    /// Its list; `None` where the segment has none, or its list is forgotten.
    members: Option<Vec<String>>,
}

impl EarlierVersion {
    /// Finds a version among those of a segment and of its lists.
    pub(crate) fn find(
        id: &str,
        wanted: u64,
        versions: Vec<(SegmentDocument, u64)>,
        lists: Vec<Document>,
    ) -> Result<EarlierVersion> {
        let newest = versions.last().map(|(document, _)| document.version).ok_or_else(|| segment_not_found(id))?;
        let found = versions.into_iter().find(|(document, _)| document.version == wanted);
        let missing = || PlatformError::NotFound { kind: ResourceKind::Version, id: format!("{id} {wanted}") };
        let (document, catalogue_version) = found.ok_or_else(missing)?;
        let then = lists.into_iter().rev().find(|one| one.catalogue_version <= catalogue_version);
        let members = then.and_then(|list| serde_json::from_str(&list.body?).ok());
        Ok(EarlierVersion { document, newest, members })
    }
}

/// Makes a new version with the content of an earlier one. The status stays; an archived or deleted segment comes back
/// as INACTIVE, so that nobody enters it by accident.
pub(crate) fn rollback(
    documents: &mut Documents,
    earlier: EarlierVersion,
    note: Option<String>,
    expected: Option<u64>,
    stamp: Stamp<'_>,
) -> SegmentChange {
    let id = earlier.document.id.clone();
    let running = documents.segments.get(&id).map(|segment| segment.stored.document.clone());
    let current = running.as_ref().map_or(0, |document| document.version);
    if let Some(expected) = expected.filter(|expected| *expected != current) {
        return Err(PlatformError::VersionMismatch { expected, current });
    }
    if running.as_ref().is_some_and(|running| running.kind != earlier.document.kind) {
        let message = format!("version {} of segment {id:?} is of another type", earlier.document.version);
        return Err(PlatformError::Conflict { kind: ConflictKind::OtherType, message });
    }
    let (definition, members) = content(documents, &earlier)?;
    let document = SegmentDocument {
        status: match running.as_ref().map(|running| running.status) {
            None | Some(SegmentStatus::Archived) => SegmentStatus::Inactive,
            Some(status) => status,
        },
        version: earlier.newest.max(current) + 1,
        updated_at: timestamp(),
        note: note.or(Some(format!("back to version {}", earlier.document.version))),
        ..earlier.document
    };
    let entries = vec![entry("rolledBack", "segment", &id, Some(document.version), document.note.as_deref())];
    let (documents, answer) = put(documents, document, definition, members, stamp)?;
    Ok(Changeset { documents, entries, answer })
}

/// The definition of the earlier version, checked against what there is now, and its list.
fn content(documents: &Documents, earlier: &EarlierVersion) -> Result<(Definition, Option<Vec<String>>)> {
    let SegmentDocument { id, version, rules, .. } = &earlier.document;
    match (earlier.document.kind, rules) {
        (SegmentKind::Dynamic, Some(rules)) => {
            let json = parse_json(rules.get().as_bytes()).map_err(|fault| malformed_rules(&fault))?;
            let node = documents.catalogue.check_rules(id, &json).map_err(below_rules)?;
            Ok((Definition::Dynamic(node.into()), None))
        }
        (SegmentKind::Dynamic, None) => Err(invalid("/rules", "malformed_json", "that version has none")),
        (SegmentKind::Static, _) => {
            let Some(members) = &earlier.members else {
                let message = format!(
                    "the list of version {version} is forgotten: lists name users, so those that were replaced are not \
                     kept; import the members again"
                );
                return Err(PlatformError::Conflict { kind: ConflictKind::ListForgotten, message });
            };
            Ok((list(members.clone()), Some(members.clone())))
        }
    }
}

#[cfg(test)]
mod tests {
    use audience_contract::DocumentKind;
    use serde_json::{Value, json};

    use super::*;

    const STAMP: Stamp<'_> = Stamp { author: "ann", catalogue_version: 9 };

    fn stored(kind: DocumentKind, catalogue_version: u64, body: Option<Value>) -> Document {
        Document { kind, id: "s".to_owned(), catalogue_version, body: body.map(|body| body.to_string()) }
    }

    fn version(version: u64, catalogue_version: u64, kind: &str) -> Document {
        let rules = (kind == "DYNAMIC").then(|| json!({"field": "x", "operator": "exists"}));
        let document = json!({"id": "s", "name": format!("s{version}"), "type": kind, "status": "ARCHIVED",
            "rules": rules, "version": version, "createdAt": "", "updatedAt": ""});
        stored(DocumentKind::Segment, catalogue_version, Some(json!({"document": document, "author": "bob"})))
    }

    fn list_at(catalogue_version: u64, members: &[&str]) -> Document {
        stored(DocumentKind::Members, catalogue_version, Some(json!(members)))
    }

    fn find(wanted: u64, history: &[Document], lists: Vec<Document>) -> Result<EarlierVersion> {
        EarlierVersion::find("s", wanted, versions_since_creation(history), lists)
    }

    #[test]
    fn versions_count_from_the_last_creation() {
        let deletion = stored(DocumentKind::Segment, 3, None);
        let history = [version(1, 1, "DYNAMIC"), version(2, 2, "DYNAMIC"), deletion, version(1, 4, "DYNAMIC")];
        let versions = |history| versions_since_creation(history).into_iter().map(|(_, at)| at).collect::<Vec<_>>();
        assert_eq!(versions(&history), [4]);
        assert_eq!(versions(&history[..3]), [1, 2], "a deleted segment's versions are those before its deletion");
    }

    #[test]
    fn a_deleted_segment_comes_back_inactive_with_a_new_number() {
        let earlier = find(1, &[version(1, 1, "DYNAMIC"), version(2, 2, "DYNAMIC")], Vec::new()).unwrap();
        let mut documents = Documents::default();
        let change = rollback(&mut documents, earlier, None, None, STAMP).unwrap();
        assert_eq!((change.answer.version, change.answer.status), (3, SegmentStatus::Inactive));
        assert_eq!((&*change.answer.name, change.answer.note.as_deref()), ("s1", Some("back to version 1")));
        assert_eq!(documents.segments["s"].catalogue_version, 9);
    }

    #[test]
    fn a_list_comes_back_as_it_was_at_that_version_unless_it_is_forgotten() {
        let history = [version(1, 1, "STATIC"), version(2, 4, "STATIC")];
        let lists = vec![list_at(1, &["a"]), list_at(4, &["b"])];
        let earlier = find(1, &history, lists.clone()).unwrap();
        let change = rollback(&mut Documents::default(), earlier, None, None, STAMP).unwrap();
        assert_eq!(change.documents[1].body.as_deref(), Some(r#"["a"]"#));

        let forgotten = find(1, &history, lists[1..].to_vec()).unwrap();
        let refused = rollback(&mut Documents::default(), forgotten, None, None, STAMP).err();
        assert!(matches!(refused, Some(PlatformError::Conflict { kind: ConflictKind::ListForgotten, .. })));
    }

    #[test]
    fn there_is_no_way_back_to_an_unknown_version_or_segment() {
        let missing = |outcome: Result<EarlierVersion>| match outcome.err() {
            Some(PlatformError::NotFound { kind, id }) => (kind, id),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            missing(find(7, &[version(1, 1, "DYNAMIC")], Vec::new())),
            (ResourceKind::Version, "s 7".to_owned())
        );
        assert_eq!(missing(find(1, &[], Vec::new())), (ResourceKind::Segment, "s".to_owned()));
    }
}

//! Edits of the members of static segments.

use std::collections::BTreeSet;
use std::sync::Arc;

use audience_protocol::{
    ConflictKind, MembersChange, MembersMode, PlatformError, Result, SegmentDocument, SegmentKind,
};
use audience_rules::catalogue::Definition;

use crate::audit::entry;
use crate::changeset::{Changeset, Stamp};
use crate::checks::check_members;
use crate::documents::{Documents, list};
use crate::segments::{check_not_archived, current, next_version, put};

/// The numbers of ids of a change that joined a list, left it, or made no difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberCounts {
    /// Ids that joined.
    pub added: u64,
    /// Ids that left.
    pub removed: u64,
    /// Ids that made no difference.
    pub unchanged: u64,
}

/// A list that was changed, or would be.
#[derive(Clone, Debug)]
pub struct ListChange {
    /// The segment after the change.
    pub document: SegmentDocument,
    /// The counts of the ids that came with the change.
    pub counts: MemberCounts,
    /// Those ids.
    pub given: Vec<String>,
    /// The new list; that of a change that was only tried is not stored.
    pub list: Vec<String>,
}

/// Changes the members of a static segment. A change without an effect makes no version.
pub(crate) fn change(
    documents: &mut Documents,
    id: &str,
    change: MembersChange,
    expected: Option<u64>,
    stamp: Stamp<'_>,
) -> Result<Changeset<ListChange>> {
    let old = current(documents, id, expected)?;
    check_not_archived(&old)?;
    if old.kind != SegmentKind::Static {
        let message = format!("segment {id:?} is dynamic: its rules decide who its members are");
        return Err(PlatformError::Conflict { kind: ConflictKind::NotStatic, message });
    }
    let MembersChange { mode, members, is_dry_run, note } = change;
    check_members(&members)?;
    let (next, counts) = combine(&members_of(documents, id), &members, mode);
    if is_dry_run || (counts.added == 0 && counts.removed == 0) {
        let answer = ListChange { document: old, counts, given: members, list: next };
        return Ok(Changeset { documents: Vec::new(), entries: Vec::new(), answer });
    }
    let action = match mode {
        MembersMode::Replace => "membersReplaced",
        MembersMode::Add => "membersAdded",
        MembersMode::Remove => "membersRemoved",
    };
    let document = next_version(old, note);
    let entries = vec![entry(action, "members", id, Some(document.version), document.note.as_deref())];
    let (to_store, document) = put(documents, document, list(next.clone()), Some(next.clone()), stamp)?;
    let answer = ListChange { document, counts, given: members, list: next };
    Ok(Changeset { documents: to_store, entries, answer })
}

fn members_of(documents: &Documents, id: &str) -> Arc<BTreeSet<Arc<str>>> {
    match documents.catalogue.segments.get(id).map(|segment| &segment.definition) {
        Some(Definition::Static(members)) => members.clone(),
        _ => Arc::default(),
    }
}

/// The new list, and the counts of the ids that are `given`.
fn combine(held: &BTreeSet<Arc<str>>, given: &[String], mode: MembersMode) -> (Vec<String>, MemberCounts) {
    let given: BTreeSet<&String> = given.iter().collect();
    let known = given.iter().filter(|id| held.contains(id.as_str())).count() as u64;
    let (given_count, held_count) = (given.len() as u64, held.len() as u64);
    let held_texts = || held.iter().map(|id| id.to_string());
    match mode {
        MembersMode::Replace => {
            let counts = MemberCounts { added: given_count - known, removed: held_count - known, unchanged: known };
            (given.into_iter().cloned().collect(), counts)
        }
        MembersMode::Add => {
            let counts = MemberCounts { added: given_count - known, removed: 0, unchanged: known };
            (
                held_texts()
                    .chain(given.iter().filter(|id| !held.contains(id.as_str())).map(|id| (*id).clone()))
                    .collect(),
                counts,
            )
        }
        MembersMode::Remove => {
            let counts = MemberCounts { added: 0, removed: known, unchanged: given_count - known };
            (held_texts().filter(|id| !given.contains(id)).collect(), counts)
        }
    }
}

/// Returns whether a list names one of the ids.
pub(crate) fn names_any(documents: &Documents, ids: &[String]) -> bool {
    documents.catalogue.segments.values().any(|segment| match &segment.definition {
        Definition::Static(list) => contains_any(list, ids),
        Definition::Dynamic(_) => false,
    })
}

/// Takes the ids out of every list, archived ones included.
pub(crate) fn remove_everywhere(documents: &mut Documents, ids: &[String], stamp: Stamp<'_>) -> Result<Changeset<()>> {
    let (mut to_store, mut entries) = (Vec::new(), Vec::new());
    for (old, rest) in lists_that_name(documents, ids) {
        let document = next_version(old, None);
        let note = Some("a user was erased");
        entries.push(entry("membersRemoved", "members", &document.id, Some(document.version), note));
        to_store.extend(put(documents, document, list(rest.clone()), Some(rest), stamp)?.0);
    }
    Ok(Changeset { documents: to_store, entries, answer: () })
}

/// The static segments whose lists name one of the ids, each with the rest of its list.
fn lists_that_name(documents: &Documents, ids: &[String]) -> Vec<(SegmentDocument, Vec<String>)> {
    let mut found = Vec::new();
    for (id, segment) in &documents.catalogue.segments {
        let Definition::Static(list) = &segment.definition else { continue };
        if !contains_any(list, ids) {
            continue;
        }
        let Some(known) = documents.segments.get(&**id) else { continue };
        let rest = list.iter().filter(|member| !ids.iter().any(|id| **id == ***member));
        found.push((known.stored.document.clone(), rest.map(|member| member.to_string()).collect()));
    }
    found
}

fn contains_any(list: &BTreeSet<Arc<str>>, ids: &[String]) -> bool {
    ids.iter().any(|id| list.contains(id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combined(held: &[&str], given: &[&str], mode: MembersMode) -> (Vec<String>, [u64; 3]) {
        let held: BTreeSet<Arc<str>> = held.iter().map(|id| Arc::from(*id)).collect();
        let given: Vec<String> = given.iter().map(|id| (*id).to_owned()).collect();
        let (list, MemberCounts { added, removed, unchanged }) = combine(&held, &given, mode);
        (list, [added, removed, unchanged])
    }

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn lists_are_replaced_added_to_and_taken_from() {
        let given = ["b", "c", "c"];
        assert_eq!(combined(&["a", "b"], &given, MembersMode::Replace), (ids(&["b", "c"]), [1, 1, 1]));
        assert_eq!(combined(&["a", "b"], &given, MembersMode::Add), (ids(&["a", "b", "c"]), [1, 0, 1]));
        assert_eq!(combined(&["a", "b"], &given, MembersMode::Remove), (ids(&["a"]), [0, 1, 1]));
    }
}

//! The members of static segments: replaced, added, removed, and taken out where a user is erased.

use std::collections::BTreeSet;
use std::sync::Arc;

use audience_protocol::{MembersChange, MembersMode, PlatformError, Result, SegmentDocument, SegmentKind};
use audience_rules::catalogue::Definition;

use super::audit::entry;
use super::documents::{Documents, list};
use super::editor::Edit;
use super::segments::{self, checked_members, current, next_version, put};

/// What became of the ids of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Joined.
    pub added: u64,
    /// Left.
    pub removed: u64,
    /// Made no difference.
    pub unchanged: u64,
}

/// Changes the members of a static segment. What changes nothing makes no version.
pub fn change(
    documents: &mut Documents,
    id: &str,
    change: MembersChange,
    expected: Option<u64>,
    author: &str,
    version: u64,
) -> Result<Edit<(SegmentDocument, Counts)>> {
    let old = current(documents, id, expected)?;
    segments::check_not_archived(&old)?;
    if old.kind != SegmentKind::Static {
        let message = format!("segment {id:?} is dynamic: its rules decide who its members are");
        return Err(PlatformError::Conflict { code: "not_static", message });
    }
    let MembersChange { mode, members, is_dry_run, note } = change;
    let (next, counts) = combine(members_of(documents, id), checked_members(&members)?, mode);
    if is_dry_run || (counts.added == 0 && counts.removed == 0) {
        return Ok(Edit { documents: Vec::new(), entries: Vec::new(), result: (old, counts) });
    }
    let action = match mode {
        MembersMode::Replace => "membersReplaced",
        MembersMode::Add => "membersAdded",
        MembersMode::Remove => "membersRemoved",
    };
    let document = next_version(old, note);
    let entries = vec![entry(action, "members", id, Some(document.version), document.note.as_deref())];
    let (stored, document) = put(documents, document, list(next.clone()), Some(next), author, version)?;
    Ok(Edit { documents: stored, entries, result: (document, counts) })
}

fn members_of(documents: &Documents, id: &str) -> Arc<BTreeSet<Arc<str>>> {
    match documents.catalogue.segments.get(id).map(|segment| &segment.definition) {
        Some(Definition::Static(members)) => members.clone(),
        _ => Arc::default(),
    }
}

/// The list as it is to be, and what became of the ids.
fn combine(held: Arc<BTreeSet<Arc<str>>>, given: Vec<String>, mode: MembersMode) -> (Vec<String>, Counts) {
    let given: BTreeSet<String> = given.into_iter().collect();
    let known = given.iter().filter(|id| held.contains(id.as_str())).count() as u64;
    let (given_count, held_count) = (given.len() as u64, held.len() as u64);
    let held_texts = || held.iter().map(|id| id.to_string());
    match mode {
        MembersMode::Replace => {
            let counts = Counts { added: given_count - known, removed: held_count - known, unchanged: known };
            (given.into_iter().collect(), counts)
        }
        MembersMode::Add => {
            let counts = Counts { added: given_count - known, removed: 0, unchanged: known };
            (held_texts().chain(given.iter().filter(|id| !held.contains(id.as_str())).cloned()).collect(), counts)
        }
        MembersMode::Remove => {
            let counts = Counts { added: 0, removed: known, unchanged: given_count - known };
            (held_texts().filter(|id| !given.contains(id)).collect(), counts)
        }
    }
}

/// The static segments whose lists name one of the ids, each with the rest of its list.
pub fn that_name(documents: &Documents, ids: &[String]) -> Vec<(SegmentDocument, Vec<String>)> {
    let mut found = Vec::new();
    for (id, segment) in &documents.catalogue.segments {
        let Definition::Static(list) = &segment.definition else { continue };
        if !ids.iter().any(|id| list.contains(id.as_str())) {
            continue;
        }
        let Some(known) = documents.segments.get(&**id) else { continue };
        let rest = list.iter().filter(|member| !ids.iter().any(|id| **id == ***member));
        found.push((known.stored.document.clone(), rest.map(|member| member.to_string()).collect()));
    }
    found
}

/// Takes the ids from every list, also from those that do not change any more.
pub fn leave(documents: &mut Documents, ids: &[String], author: &str, version: u64) -> Result<Edit<()>> {
    let (mut stored, mut entries) = (Vec::new(), Vec::new());
    for (old, rest) in that_name(documents, ids) {
        let document = next_version(old, None);
        let note = Some("a user was erased");
        entries.push(entry("membersRemoved", "members", &document.id, Some(document.version), note));
        stored.extend(put(documents, document, list(rest.clone()), Some(rest), author, version)?.0);
    }
    Ok(Edit { documents: stored, entries, result: () })
}

//! Segments and their members, in maps.

use std::sync::atomic::Ordering;
use std::time::Duration;

use audience_protocol::{
    ConflictKind, MembersChange, MembersEffect, MembersMode, MembersOutcome, MissingOnly, Page, PageLimit,
    PlatformError, Preview, PreviewInput, PreviewPhase, PreviewProgress, ResourceKind, Result, SegmentDocument,
    SegmentInput, SegmentKind, SegmentQuery, SegmentResource, SegmentView, Transition,
};
use audience_rules::catalogue::SegmentStatus;
use audience_rules::fault::{Fault, code};

use super::{FakePlatform, check, missing, special};

fn document(id: String, input: SegmentInput) -> Result<(SegmentDocument, Vec<String>)> {
    let is_static = input.kind == Some(SegmentKind::Static);
    if !is_static && input.rules.as_ref().is_none_or(|rules| rules.get().contains("fault")) {
        let faults = ["/rules/conditions/0/operator", "/rules/logic"];
        let fault = |at: &&str| Fault { pointer: (*at).into(), code: code::UNKNOWN_OPERATOR, message: "no".into() };
        return Err(PlatformError::Invalid(faults.iter().map(fault).collect()));
    }
    let document = SegmentDocument {
        id,
        name: input.name,
        description: input.description,
        kind: if is_static { SegmentKind::Static } else { SegmentKind::Dynamic },
        status: SegmentStatus::Active,
        rules: input.rules,
        tags: input.tags,
        owner: input.owner,
        version: 1,
        created_at: "2024-01-01T00:00:00Z".into(),
        updated_at: "2024-01-01T00:00:00Z".into(),
        updated_by: "nobody".into(),
        note: input.note,
    };
    Ok((document, input.members.unwrap_or_default()))
}

impl SegmentResource for FakePlatform {
    fn create_segment(&self, input: SegmentInput, author: &str) -> Result<SegmentView> {
        let id = input.id.clone().unwrap_or_else(|| input.name.to_lowercase().replace(' ', "-"));
        special(&id)?;
        self.authors.lock().unwrap().push(author.to_owned());
        let mut segments = self.lock();
        if segments.contains_key(&id) {
            return Err(PlatformError::Exists { kind: ResourceKind::Segment, id });
        }
        let (document, members) = document(id.clone(), input)?;
        let view = SegmentView {
            document: document.clone(),
            size: Some(members.len() as u64),
            effective: Some(true),
            faults: Vec::new(),
            used_by: None,
            warnings: Vec::new(),
        };
        segments.insert(id, (view.clone(), members, vec![document]));
        Ok(view)
    }

    fn replace_segment(
        &self,
        id: &str,
        input: SegmentInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        self.change(id, expected, author, |current, _| {
            let (new, _) = document(id.to_owned(), input)?;
            *current = SegmentDocument { version: current.version, ..new };
            Ok(())
        })
    }

    fn transition_segment(
        &self,
        id: &str,
        to: Transition,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        self.change(id, expected, author, |current, _| {
            current.note = note;
            current.status = match (to, current.status) {
                (_, SegmentStatus::Archived) => {
                    let message = "it is archived".into();
                    return Err(PlatformError::Conflict { kind: ConflictKind::WrongStatus, message });
                }
                (Transition::Activate, _) => SegmentStatus::Active,
                (Transition::Deactivate, _) => SegmentStatus::Inactive,
                (Transition::Archive, _) => SegmentStatus::Archived,
            };
            Ok(())
        })
    }

    fn rollback_segment(
        &self,
        id: &str,
        version: u64,
        note: Option<String>,
        expected: Option<u64>,
        author: &str,
    ) -> Result<SegmentView> {
        let versions = self.segment_versions(id)?;
        let missing = || PlatformError::NotFound { kind: ResourceKind::Version, id: id.into() };
        let target = versions.into_iter().find(|one| one.version == version).ok_or_else(missing)?;
        self.change(id, expected, author, |current, _| {
            *current = SegmentDocument { version: current.version, note, ..target };
            Ok(())
        })
    }

    fn delete_segment(&self, id: &str, expected: Option<u64>, _: &str) -> Result<()> {
        special(id)?;
        let mut segments = self.lock();
        let (view, ..) = segments.get(id).ok_or_else(|| missing(id))?;
        check(expected, view.document.version)?;
        segments.remove(id);
        Ok(())
    }

    fn segment(&self, id: &str) -> Result<SegmentView> {
        special(id)?;
        Ok(self.lock().get(id).ok_or_else(|| missing(id))?.0.clone())
    }

    fn segments(&self, query: &SegmentQuery) -> Result<Page<SegmentView>> {
        let segments = self.lock();
        let wanted = segments.values().map(|(view, ..)| view).filter(|view| {
            query.after.as_ref().is_none_or(|after| view.document.id > *after)
                && query.kind.is_none_or(|kind| view.document.kind == kind)
                && query.status.is_none_or(|status| view.document.status == status)
                && query.text.as_ref().is_none_or(|text| view.document.name.contains(text))
        });
        let items = wanted.take(query.limit.and_one()).cloned().collect();
        Ok(Page::of_first(items, query.limit, |view| view.document.id.clone()))
    }

    fn segment_versions(&self, id: &str) -> Result<Vec<SegmentDocument>> {
        Ok(self.lock().get(id).ok_or_else(|| missing(id))?.2.clone())
    }

    /// As many members as the rules have bytes; of those with `forever` nothing comes until nobody wants it.
    fn preview(&self, input: PreviewInput, watch: &mut dyn FnMut(PreviewProgress) -> bool) -> Result<Preview> {
        if self.is_without_engine.load(Ordering::Relaxed) {
            return Err(PlatformError::NeedsEngine("what a rule would change"));
        }
        if input.rules.get().contains("faulty") {
            let (pointer, message) = ("/rules/event".to_owned(), "as asked".to_owned());
            return Err(PlatformError::Invalid(vec![Fault { pointer, code: code::DOES_NOT_FIT, message }]));
        }
        let phase = PreviewPhase::Scanning;
        while watch(PreviewProgress { phase, done: 1, total: 2 }) && input.rules.get().contains("forever") {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        if input.rules.get().contains("forever") {
            self.given_up.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Preview {
            size: input.rules.get().len() as u64,
            entered: 0,
            left: 0,
            sample_entered: Vec::new(),
            sample_left: Vec::new(),
            missing_only: MissingOnly { size: 0, sample: Vec::new() },
            users: 0,
            running_version: None,
            status: None,
            took_milliseconds: 0,
            history_scanned: false,
            warnings: Vec::new(),
            values: None,
        })
    }

    fn members(&self, id: &str, after: Option<&str>, limit: PageLimit) -> Result<Page<String>> {
        let segments = self.lock();
        let (_, members, _) = segments.get(id).ok_or_else(|| missing(id))?;
        let after = |member: &&String| after.is_none_or(|after| member.as_str() > after);
        let items: Vec<_> = members.iter().filter(after).take(limit.items()).cloned().collect();
        let next_cursor = (items.last() != members.last()).then(|| items.last().cloned()).flatten();
        Ok(Page { items, next_cursor })
    }

    fn change_members(
        &self,
        id: &str,
        change: MembersChange,
        expected: Option<u64>,
        author: &str,
    ) -> Result<MembersOutcome> {
        let given = change.members.len() as u64;
        if change.is_dry_run {
            let effect = Some(MembersEffect { known: given, entered: given, ..MembersEffect::default() });
            return Ok(MembersOutcome { segment: self.segment(id)?, added: given, removed: 0, unchanged: 0, effect });
        }
        let segment = self.change(id, expected, author, |current, held| {
            if current.kind == SegmentKind::Dynamic {
                let message = "its members follow from its rules".into();
                return Err(PlatformError::Conflict { kind: ConflictKind::NotStatic, message });
            }
            current.note = change.note;
            match change.mode {
                MembersMode::Replace => *held = change.members,
                MembersMode::Add => held.extend(change.members),
                MembersMode::Remove => held.retain(|id| !change.members.contains(id)),
            }
            held.sort();
            Ok(())
        })?;
        Ok(MembersOutcome { segment, added: given, removed: 0, unchanged: 0, effect: None })
    }
}

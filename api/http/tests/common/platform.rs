//! A platform of plain maps: versions and states as the contract has them, no rules, no members but lists.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use audience_protocol::{
    AuditItem, AuditQuery, ComponentHealth, FaultyDocument, Health, MembersChange, MembersMode, MembersOutcome,
    MissingOnly, Page, Platform, PlatformError, Preview, PreviewInput, PreviewPhase, PreviewProgress, Result,
    SegmentDocument, SegmentInput, SegmentKind, SegmentQuery, SegmentView, TraitDocument, Transition, UserSegment,
    UserView,
};
use audience_rules::catalogue::SegmentStatus;
use audience_rules::fault::{Fault, code};
use audience_rules::record::EventRef;
use serde_json::value::RawValue;

/// By id: the segment, its members and its versions.
type Segments = BTreeMap<String, (SegmentView, Vec<String>, Vec<SegmentDocument>)>;

/// What is kept of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub user: String,
    pub event_type: String,
    pub message: String,
    pub other: String,
    pub timestamp: i64,
}

#[derive(Default)]
pub struct FakePlatform {
    segments: Mutex<Segments>,
    traits: Mutex<BTreeMap<String, TraitDocument>>,
    pub events: Mutex<Vec<Seen>>,
    pub pieces: Mutex<Vec<usize>>,
    pub authors: Mutex<Vec<String>>,
    /// What was asked of the audit log.
    pub asked: Mutex<Vec<AuditQuery>>,
    /// So many calls of ingest answer that the platform is busy.
    pub busy: AtomicUsize,
    /// Ingest waits while this is shut.
    pub shut: Mutex<bool>,
    pub opened: Condvar,
    /// Exports that nobody took to their end.
    pub given_up: AtomicUsize,
    pub down: Mutex<bool>,
    /// It knows nothing of users.
    pub is_without_engine: AtomicBool,
}

fn missing(id: &str) -> PlatformError {
    PlatformError::NotFound { kind: "segment", id: id.into() }
}

fn check(expected: Option<u64>, current: u64) -> Result<()> {
    match expected {
        Some(expected) if expected != current => Err(PlatformError::VersionMismatch { expected, current }),
        _ => Ok(()),
    }
}

fn special(id: &str) -> Result<()> {
    match id {
        "busy" => Err(PlatformError::Busy { retry_after_seconds: 7 }),
        "unavailable" => Err(PlatformError::Unavailable("the store does not answer".into())),
        "referenced" => {
            Err(PlatformError::Conflict { code: code::REFERENCED, message: "segment \"x\" refers to it".into() })
        }
        "panic" => panic!("as asked"),
        _ => Ok(()),
    }
}

impl FakePlatform {
    fn lock(&self) -> MutexGuard<'_, Segments> {
        self.segments.lock().unwrap()
    }

    pub fn open(&self) {
        *self.shut.lock().unwrap() = false;
        self.opened.notify_all();
    }

    fn change(
        &self,
        id: &str,
        expected: Option<u64>,
        author: &str,
        change: impl FnOnce(&mut SegmentDocument, &mut Vec<String>) -> Result<()>,
    ) -> Result<SegmentView> {
        special(id)?;
        self.authors.lock().unwrap().push(author.to_owned());
        let mut segments = self.lock();
        let (view, members, versions) = segments.get_mut(id).ok_or_else(|| missing(id))?;
        check(expected, view.document.version)?;
        view.document.note = None;
        change(&mut view.document, members)?;
        view.document.version += 1;
        view.document.updated_by = author.to_owned();
        view.size = Some(members.len() as u64);
        versions.push(view.document.clone());
        Ok(view.clone())
    }
}

fn document(id: String, input: SegmentInput) -> Result<(SegmentDocument, Vec<String>)> {
    let is_static = input.kind.is_some_and(|kind| kind.eq_ignore_ascii_case("static"));
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

impl Platform for FakePlatform {
    fn ingest(&self, records: Vec<u8>, count: usize) -> Result<()> {
        let mut shut = self.shut.lock().unwrap();
        while *shut {
            shut = self.opened.wait(shut).unwrap();
        }
        drop(shut);
        let busy = self.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if busy.is_ok() {
            return Err(PlatformError::Busy { retry_after_seconds: 3 });
        }
        let mut rest = records.as_slice();
        let mut events = self.events.lock().unwrap();
        let before = events.len();
        while !rest.is_empty() {
            let (event, behind) = EventRef::read(rest).expect("whole records");
            rest = behind;
            events.push(Seen {
                user: event.user().into(),
                event_type: event.event_type().into(),
                message: event.message().unwrap_or_default().into(),
                other: event.other().unwrap_or_default().into(),
                timestamp: event.timestamp(),
            });
        }
        assert_eq!(events.len() - before, count, "the count is that of the records");
        self.pieces.lock().unwrap().push(count);
        Ok(())
    }

    fn create_segment(&self, input: SegmentInput, author: &str) -> Result<SegmentView> {
        let id = input.id.clone().unwrap_or_else(|| input.name.to_lowercase().replace(' ', "-"));
        special(&id)?;
        self.authors.lock().unwrap().push(author.to_owned());
        let mut segments = self.lock();
        if segments.contains_key(&id) {
            return Err(PlatformError::Exists { kind: "segment", id });
        }
        let (document, members) = document(id.clone(), input)?;
        let view = SegmentView {
            document: document.clone(),
            size: Some(members.len() as u64),
            effective: Some(true),
            faults: Vec::new(),
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
                    return Err(PlatformError::Conflict { code: "wrong_state", message });
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
        let missing = || PlatformError::NotFound { kind: "version", id: id.into() };
        let target = versions.into_iter().find(|one| one.version == version).ok_or_else(missing)?;
        self.change(id, expected, author, |current, _| {
            *current = SegmentDocument { version: current.version, note, ..target };
            Ok(())
        })
    }

    fn audit(&self, query: &AuditQuery) -> Result<Page<AuditItem>> {
        self.asked.lock().unwrap().push(query.clone());
        let item = AuditItem {
            sequence: 7,
            at: "2024-01-01T00:00:00Z".into(),
            author: "ann".into(),
            action: "created".into(),
            kind: "segment".into(),
            id: "a".into(),
            version: Some(1),
            catalogue_version: 3,
            note: None,
            before: None,
            after: None,
        };
        Ok(Page { items: vec![item], next_cursor: Some("7".into()) })
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
        let mut items: Vec<_> = wanted.take(query.limit + 1).cloned().collect();
        let more = items.len() > query.limit;
        items.truncate(query.limit);
        let next_cursor = items.last().filter(|_| more).map(|view| view.document.id.clone());
        Ok(Page { items, next_cursor })
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
        })
    }

    fn segment_versions(&self, id: &str) -> Result<Vec<SegmentDocument>> {
        Ok(self.lock().get(id).ok_or_else(|| missing(id))?.2.clone())
    }

    fn members(&self, id: &str, after: Option<&str>, limit: usize) -> Result<Page<String>> {
        let segments = self.lock();
        let (_, members, _) = segments.get(id).ok_or_else(|| missing(id))?;
        let after = |member: &&String| after.is_none_or(|after| member.as_str() > after);
        let items: Vec<_> = members.iter().filter(after).take(limit).cloned().collect();
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
            return Ok(MembersOutcome { segment: self.segment(id)?, added: given, removed: 0, unchanged: 0 });
        }
        let segment = self.change(id, expected, author, |current, held| {
            if current.kind == SegmentKind::Dynamic {
                let message = "its members follow from its rules".into();
                return Err(PlatformError::Conflict { code: "not_static", message });
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
        Ok(MembersOutcome { segment, added: given, removed: 0, unchanged: 0 })
    }

    fn put_trait(&self, definition: &RawValue, expected: Option<u64>, _: &str) -> Result<TraitDocument> {
        let value: serde_json::Value = serde_json::from_str(definition.get()).unwrap();
        let (Some(name), Some(_)) = (value["name"].as_str(), value["event"].as_str()) else {
            return Err(PlatformError::Invalid(vec![Fault::whole(code::MISSING_MEMBER, "name and event")]));
        };
        special(name)?;
        let mut traits = self.traits.lock().unwrap();
        let current = traits.get(name).map_or(0, |document| document.version);
        check(expected, current)?;
        let document = TraitDocument {
            name: name.into(),
            definition: definition.to_owned(),
            version: current + 1,
            updated_at: "2024-01-01T00:00:00Z".into(),
        };
        traits.insert(name.into(), document.clone());
        Ok(document)
    }

    fn delete_trait(&self, name: &str, expected: Option<u64>, _: &str) -> Result<()> {
        special(name)?;
        check(expected, self.computed_trait(name)?.version)?;
        self.traits.lock().unwrap().remove(name);
        Ok(())
    }

    fn computed_trait(&self, name: &str) -> Result<TraitDocument> {
        let missing = || PlatformError::NotFound { kind: "trait", id: name.into() };
        self.traits.lock().unwrap().get(name).cloned().ok_or_else(missing)
    }

    fn computed_traits(&self) -> Result<Vec<TraitDocument>> {
        Ok(self.traits.lock().unwrap().values().cloned().collect())
    }

    fn faulty_documents(&self) -> Result<Vec<FaultyDocument>> {
        let faults = vec![Fault { pointer: "/rules".into(), code: code::UNKNOWN_KEY, message: "no".into() }];
        let (kind, id) = ("segment", "by-hand".to_owned());
        Ok(vec![FaultyDocument { kind, id, catalogue_version: 7, running_version: None, faults }])
    }

    fn user_segments(&self, id: &str) -> Result<Vec<UserSegment>> {
        special(id)?;
        let segments = self.lock();
        let of = segments.values().filter(|(_, members, _)| members.iter().any(|member| member == id));
        let segment = |(view, ..): &(SegmentView, _, _)| UserSegment {
            segment_id: view.document.id.clone(),
            name: view.document.name.clone(),
        };
        Ok(of.map(segment).collect())
    }

    fn user(&self, id: &str) -> Result<UserView> {
        special(id)?;
        if self.is_without_engine.load(Ordering::Relaxed) {
            return Err(PlatformError::NeedsEngine("a user's history"));
        }
        let event_count = self.events.lock().unwrap().iter().filter(|event| event.user == id).count() as u64;
        if event_count == 0 {
            return Err(PlatformError::NotFound { kind: "user", id: id.into() });
        }
        let age = RawValue::from_string("3.50".into()).unwrap();
        Ok(UserView {
            user_id: id.into(),
            aliases: Vec::new(),
            traits: BTreeMap::from([("age".into(), age)]),
            computed_traits: BTreeMap::new(),
            event_count,
            segments: self.user_segments(id)?,
        })
    }

    fn export_user(&self, id: &str, take: &mut dyn FnMut(Vec<u8>) -> bool) -> Result<()> {
        let view = self.user(id)?;
        take(format!("{{\"userId\":{:?},\"events\":[", view.user_id).into_bytes());
        for event in 0..view.event_count {
            if id == "broken" {
                // Once the head has gone out; before, the client would see nothing at all.
                let _ = self.opened.wait_timeout(self.shut.lock().unwrap(), Duration::from_millis(200));
                return Err(PlatformError::Unavailable("the store does not answer".into()));
            }
            let comma = if event > 0 { "," } else { "" };
            let space = " ".repeat(if id == "large" { 1 << 20 } else { 1 });
            if !take(format!("{comma}{space}{{\"eventType\":\"x\",\"n\":{event}}}").into_bytes()) {
                self.given_up.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
        }
        take(b"]}".to_vec());
        Ok(())
    }

    fn erase_user(&self, id: &str, author: &str) -> Result<()> {
        special(id)?;
        self.authors.lock().unwrap().push(author.into());
        self.events.lock().unwrap().retain(|event| event.user != id);
        Ok(())
    }

    fn health(&self) -> Health {
        let down = *self.down.lock().unwrap();
        let component = ComponentHealth { status: if down { "DOWN" } else { "UP" }, detail: None };
        Health { ready: !down, components: BTreeMap::from([("engine".to_owned(), component)]) }
    }

    fn metrics(&self) -> String {
        "# TYPE audience_fake gauge\naudience_fake 1\n".into()
    }
}

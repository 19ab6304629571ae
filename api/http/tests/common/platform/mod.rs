//! A platform of plain maps: versions and states as the contract has them, no rules, no members but lists.

mod catalogue;
mod events;
mod operations;
mod segments;
mod traits;
mod users;
mod vocabulary;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use audience_protocol::{
    AuditQuery, ConflictKind, Platform, PlatformError, ResourceKind, Result, SegmentDocument, SegmentView,
    TimezoneDocument, TraitDocument, Vocabulary,
};

/// By id: the segment, its members and its versions.
type FakeSegments = BTreeMap<String, (SegmentView, Vec<String>, Vec<SegmentDocument>)>;

/// The part of an event that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenEvent {
    pub user: String,
    pub event_type: String,
    pub message: String,
    pub other: String,
    pub timestamp: i64,
}

#[derive(Default)]
pub(crate) struct FakePlatform {
    segments: Mutex<FakeSegments>,
    traits: Mutex<BTreeMap<String, Vec<TraitDocument>>>,
    pub events: Mutex<Vec<SeenEvent>>,
    pub pieces: Mutex<Vec<usize>>,
    pub authors: Mutex<Vec<String>>,
    /// The queries of the audit log.
    pub asked: Mutex<Vec<AuditQuery>>,
    /// So many calls of ingest answer that the platform is busy.
    pub busy: AtomicUsize,
    /// Ingest waits while this is shut.
    pub shut: Mutex<bool>,
    pub opened: Condvar,
    /// Exports that nobody took to their end.
    pub given_up: AtomicUsize,
    pub down: Mutex<bool>,
    /// Why it takes nothing any more.
    pub failure: Mutex<Option<String>>,
    pub words: Mutex<Vocabulary>,
    pub zones: Mutex<Vec<TimezoneDocument>>,
    /// It knows nothing of users.
    pub is_without_engine: AtomicBool,
}

fn missing(id: &str) -> PlatformError {
    PlatformError::NotFound { kind: ResourceKind::Segment, id: id.into() }
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
            let message = "segment \"x\" refers to it".into();
            Err(PlatformError::Conflict { kind: ConflictKind::Referenced, message })
        }
        "panic" => panic!("as asked"),
        _ => Ok(()),
    }
}

impl FakePlatform {
    fn lock(&self) -> MutexGuard<'_, FakeSegments> {
        self.segments.lock().unwrap()
    }

    /// It, as the APIs see it; changes, sizes and webhooks it does not have.
    pub(crate) fn platform(self: &Arc<Self>) -> Platform {
        Platform {
            segments: self.clone(),
            traits: self.clone(),
            vocabulary: self.clone(),
            users: self.clone(),
            events: self.clone(),
            catalogue: self.clone(),
            ..Platform::without_engine(self.clone())
        }
    }

    pub(crate) fn open(&self) {
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

//! Time is taken back, where it followed the machine's clock into a jump and stands still since.
//!
//! **Law.** Memberships become those of an instant before. An event that was accepted after it counts as accepted at it, and so
//! does its own time, unless that lies after the acceptance too. The changes between the memberships given out and the new ones
//! are one tick: every follower hears exactly them.
//!
//! 1. The note of what is about to come.
//! 2. The changes and the progress at that instant, in one commit: from here on it has come to pass.
//! 3. The next start deletes checkpoints of later instants, writes the events anew, and then deletes the note.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use audience_background::Stop;
use audience_catalogue::Documents;
use audience_contract::changes::{self, ChangeNames, NumberedChange};
use audience_contract::{
    Audit, AuditEntry, Cause, ChangeKind, EventLog, Notes, Progress, Result, SourcePosition, StoreError,
};
use audience_rules::ast::{Millis, SegmentId};
use audience_rules::record::{self, records};
use audience_rules::time::format_time;

use super::manifest::Manifest;
use super::{recovery, seed};
use crate::emission::encode::encode;
use crate::engine::{Beginning, Engine, EngineError, EngineOptions, Head, told_time};
use crate::metrics::Metrics;
use crate::start::StartProgress;
use crate::stores::PlatformStores;

/// The key of the note.
const TIME_BACK: &[u8] = b"time is taken back";
/// Milliseconds by which time is ahead of a clock that is merely set right.
const AHEAD: Millis = 2_000;
/// Edits of others that the row of the audit log may meet.
const ATTEMPTS: usize = 8;

/// The effect of taking time back, before it is done.
pub struct TimeBack {
    /// The instant to which memberships are given out.
    pub from: Millis,
    /// The instant to which time is taken back.
    pub to: Millis,
    /// Events that were accepted after that instant.
    pub events: u64,
    /// The segments whose members change, by id.
    pub segments: Vec<TimeBackEffect>,
    progress: Progress,
}

/// The effect of taking time back on a segment.
pub struct TimeBackEffect {
    /// Its id.
    pub id: Arc<str>,
    /// Its version in force.
    pub version: u64,
    /// The ids of those who enter.
    pub entering: Vec<String>,
    /// The ids of those who leave.
    pub leaving: Vec<String>,
}

/// Computes what taking time back to an instant does; `None` where time is not ahead of it. Nothing is changed. Costs the memory
/// of two engines, and a replay from the newest checkpoint before that instant.
pub fn foresee(
    stores: &PlatformStores,
    options: EngineOptions,
    to: Millis,
) -> std::result::Result<Option<TimeBack>, EngineError> {
    let Some(progress) = stores.changes.progress()?.filter(|progress| progress.clock > to + AHEAD) else {
        return Ok(None);
    };
    let floor = stores.events.floor();
    if floor > 0 {
        let detail = format!(
            "the {floor} oldest events stand in the history outside alone, which this command does not read; wait until the \
             clock of the machine has caught up"
        );
        return Err(StoreError::Refused { action: "taking time back", detail }.into());
    }
    let documents = Documents::at(&*stores.catalogue, progress.catalogue_version)?;
    let corrected = CorrectedLog { log: stores.events.clone(), to };
    let events = corrected.count()?;
    let then = PlatformStores { events: Arc::new(corrected), ..stores.clone() };
    let given = engine_at(stores, options, progress, &documents)?;
    let taken = engine_at(&then, options, Progress { clock: to, ..progress }, &documents)?;
    let segments = documents.segments.iter().filter_map(|(id, segment)| {
        let (id, version) = (SegmentId::from(id.as_str()), segment.stored.document.version);
        let (entering, leaving) = (only_in(&taken, &given, &id), only_in(&given, &taken, &id));
        let effect = TimeBackEffect { id, version, entering, leaving };
        (!effect.entering.is_empty() || !effect.leaving.is_empty()).then_some(effect)
    });
    let segments = segments.collect();
    [given, taken].iter().for_each(|engine| engine.stop());
    Ok(Some(TimeBack { from: progress.clock, to, events, segments, progress }))
}

impl TimeBack {
    /// Takes time back, in the author's name; the next start [`finish`]es it. Killed on the way, it may not have come to pass.
    pub fn take(&self, stores: &PlatformStores, author: &str) -> Result<()> {
        self.audit(stores, author)?;
        let tick = self.progress.tick + 1;
        let note = [tick.to_be_bytes(), self.to.to_be_bytes()].concat();
        stores.notes.write(&[(TIME_BACK.to_vec(), Some(note))])?;
        let mut encoded = Vec::new();
        self.encode(&mut encoded);
        stores.changes.commit(Progress { tick, clock: self.to, ..self.progress }, &encoded)
    }

    fn audit(&self, stores: &PlatformStores, author: &str) -> Result<()> {
        let time = |at: Millis| Some(format!(r#"{{"time":"{}"}}"#, format_time(at)));
        let entry = AuditEntry {
            action: "takenBack".to_owned(),
            kind: "time".to_owned(),
            id: "time".to_owned(),
            before: time(self.from),
            after: time(self.to),
            ..AuditEntry::default()
        };
        let audit = Audit { author: author.to_owned(), at: self.to, entries: vec![entry] };
        for _ in 0..ATTEMPTS {
            if stores.catalogue.put_audited(stores.catalogue.version()?, &[], Some(&audit))? {
                return Ok(());
            }
        }
        let detail = "the catalogue is being changed by others".to_owned();
        Err(StoreError::Unavailable { action: "writing the audit log", detail })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (mut users, mut numbered): (Vec<&str>, Vec<NumberedChange>) = Default::default();
        for (segment, effect) in self.segments.iter().enumerate() {
            for (ids, change) in [(&effect.entering, ChangeKind::Entered), (&effect.leaving, ChangeKind::Left)] {
                for id in ids {
                    let (user, segment) = (users.len() as u32, segment as u32);
                    users.push(id);
                    numbered.push(NumberedChange { user, segment, change, at: self.to, cause: Cause::Time });
                }
            }
        }
        changes::encode(numbered.into_iter(), &EffectNames { users: &users, segments: &self.segments }, out);
    }
}

/// The names behind the numbers of an effect.
struct EffectNames<'a> {
    users: &'a [&'a str],
    segments: &'a [TimeBackEffect],
}

impl ChangeNames for EffectNames<'_> {
    fn user(&self, number: u32) -> &str {
        self.users[number as usize]
    }

    fn segment(&self, number: u32) -> (Arc<str>, u64) {
        let effect = &self.segments[number as usize];
        (effect.id.clone(), effect.version)
    }
}

/// Ends what was begun by [`TimeBack::take`], if anything was. Killed anywhere, it is repeated.
pub fn finish(stores: &PlatformStores) -> Result<()> {
    let Some((tick, to)) = noted(&*stores.notes)? else { return Ok(()) };
    if stores.changes.progress()?.is_some_and(|progress| progress.tick >= tick) {
        for number in stores.checkpoints.found()? {
            let manifest = stores.checkpoints.manifest(number).map_err(|error| error.to_string());
            let is_before = manifest.and_then(|bytes| Manifest::decode(&bytes));
            if !is_before.is_ok_and(|manifest| manifest.greatest.clock <= to) {
                stores.checkpoints.remove(number)?;
            }
        }
        let events = stores.events.take_back(to)?;
        tracing::warn!(
            to = format_time(to),
            events,
            "Time is taken back, and the events accepted later are written anew"
        );
    }
    stores.notes.write(&[(TIME_BACK.to_vec(), None)])
}

fn noted(notes: &dyn Notes) -> Result<Option<(u64, Millis)>> {
    let Some(note) = notes.get(TIME_BACK)? else { return Ok(None) };
    let read = || {
        let (tick, to) = note.split_first_chunk()?;
        Some((u64::from_be_bytes(*tick), Millis::from_be_bytes(to.try_into().ok()?)))
    };
    let damaged = || StoreError::Corrupt {
        place: "the note of the time that is taken back".to_owned(),
        detail: "it has another length".to_owned(),
    };
    read().map(Some).ok_or_else(damaged)
}

/// An engine that has computed, in silence, the memberships of that progress.
fn engine_at(
    stores: &PlatformStores,
    options: EngineOptions,
    progress: Progress,
    documents: &Documents,
) -> std::result::Result<Arc<Engine>, EngineError> {
    let found = recovery::newest_good(&*stores.checkpoints, Some(progress), &Metrics::default());
    let sequence = found.as_ref().map_or(0, |found| found.manifest.least.sequence);
    let beginning = Beginning {
        head: Head::after(progress, sequence),
        first_number: progress.tick + 1,
        time: told_time(),
        failed: Stop::new(),
    };
    let seed = seed::seed(stores, found.clone(), progress);
    let engine = Arc::new(Engine::start(options, None, seed, encode, Box::new(|_| Ok(())), beginning)?);
    let start = StartProgress::default();
    recovery::catch_up(&engine, &*stores.events, progress, found.as_ref(), &documents.catalogue, &start)?;
    Ok(engine)
}

/// The members of a segment in one engine who are none in the other. Both have as many workers, so that a user has the same one.
fn only_in(one: &Engine, other: &Engine, segment: &SegmentId) -> Vec<String> {
    let mut found = Vec::new();
    for (one, other) in one.memberships().iter().zip(other.memberships()) {
        let (one, other) = (one.read(), other.read());
        let is_member = |user: &str| other.users.find(user).is_some_and(|slot| other.is_member(segment, slot));
        found.extend(one.members(segment).filter(|user| !is_member(user)).map(str::to_owned));
    }
    found.sort_unstable();
    found
}

/// The event log as it is once time is taken back.
struct CorrectedLog {
    log: Arc<dyn EventLog>,
    to: Millis,
}

impl CorrectedLog {
    /// Counts the events that were accepted later.
    fn count(&self) -> Result<u64> {
        let mut count = 0;
        self.log.scan(0..u64::MAX, &mut |run| {
            count += records(run).filter(|event| event.accepted_at() > self.to).count() as u64;
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }

    fn corrected(&self, run: &[u8]) -> Vec<u8> {
        let mut run = run.to_vec();
        record::take_back(&mut run, self.to);
        run
    }
}

impl EventLog for CorrectedLog {
    fn append_from(&self, _: &mut [u8], _: &[SourcePosition]) -> Result<Range<u64>> {
        let detail = "it is only looked at".to_owned();
        Err(StoreError::Refused { action: "appending events", detail })
    }

    fn positions(&self) -> Result<Vec<SourcePosition>> {
        self.log.positions()
    }

    fn end(&self) -> u64 {
        self.log.end()
    }

    fn scan(&self, range: Range<u64>, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        self.log.scan(range, &mut |run| visit(&self.corrected(run)))
    }

    fn split(&self, range: Range<u64>, parts: usize) -> Vec<Range<u64>> {
        self.log.split(range, parts)
    }

    fn visit_users(&self, ids: &[&str], before: u64, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        self.log.visit_users(ids, before, &mut |run| visit(&self.corrected(run)))
    }

    fn erase(&self, _: &[(String, u64)]) -> Result<()> {
        let detail = "it is only looked at".to_owned();
        Err(StoreError::Refused { action: "erasing events", detail })
    }

    fn purge(&self) -> Result<bool> {
        Ok(false)
    }
}

//! A start on an empty data directory: what was kept outside of it goes back in, and the platform goes on from there.
//!
//! 1. The event log, from the history, up to where it is known where the sources were; with those positions.
//! 2. Which message came first ([`messages`]): a checkpoint leaves that to its store.
//! 3. The catalogue, from the newest checkpoint that has a copy of it.
//! 4. Checkpoints and files of the history that go further than the event log now does are deleted: what comes next is
//!    another history.
//! 5. The progress: everything in the event log, now. Its tick is behind all ticks of earlier runs and the change log goes
//!    back no further, so that every sink is begun anew.
//!
//! Killed anywhere, a further start goes on with it: only the last step says that it is done.

mod messages;

pub use self::messages::note as note_messages;

use std::ops::ControlFlow;

use audience_background::{Backoff, Stop, clock};
use audience_contract::{Audit, AuditRecord, Document, EventLog, History, Progress, SourcePosition, StoreError};

use super::archive::Offsite;
use super::catalogue_copy::CatalogueCopy;
use super::manifest::{CATALOGUE_SHARD, Manifest};
use crate::engine::error::{EngineError, StartError};
use crate::start::StartProgress;
use crate::stores::PlatformStores;

/// Bytes of records that are appended at once.
const APPEND_BYTES: usize = 4 << 20;
/// Ticks in a millisecond: more than any run makes, so that a tick made of the clock is behind all before.
const TICKS_A_MILLISECOND: u64 = 256;

/// [`restore`]s, and retries while a store does not answer: what is restored by then stays.
pub fn restore_patiently(
    stores: &PlatformStores,
    offsite: &Offsite,
    start: &StartProgress,
) -> Result<bool, EngineError> {
    let (mut backoff, never) = (Backoff::default(), Stop::new());
    loop {
        match restore(stores, offsite, start) {
            Err(EngineError::Store(error @ StoreError::Unavailable { .. })) => {
                let wait = backoff.next();
                tracing::error!(%error, ?wait, "The data directory cannot be restored just now, and the start retries");
                never.wait(wait);
            }
            done => return done,
        }
    }
}

/// Makes a data directory that has never run from what is kept outside, where there is anything; gives whether there was.
/// Fails where the history goes further than the event log of one that has.
pub fn restore(stores: &PlatformStores, offsite: &Offsite, start: &StartProgress) -> Result<bool, EngineError> {
    let history = &*offsite.history;
    if stores.changes.progress()?.is_some() {
        return check_not_ahead(stores, offsite).map(|()| false);
    }
    let copy = if offsite.keeps_catalogue { newest_copy(stores)? } else { None };
    let (end, positions) = history.positions()?;
    let held = stores.events.end();
    if (end == 0 && copy.is_none()) || held > end {
        return Ok(false);
    }
    tracing::info!(events = end, from = held, "the data directory is empty; it is made from what is kept outside");
    rebuild(stores, Rebuilt { history, end, positions, catalogue: copy }, start)?;
    forget_what_is_ahead(stores, offsite, end)?;
    note_whole(stores, end)?;
    Ok(true)
}

/// The content of a data directory that is made anew.
pub(super) struct Rebuilt<'a> {
    /// The events.
    pub history: &'a dyn History,
    /// The number of events to take.
    pub end: u64,
    /// The positions from which the sources go on.
    pub positions: Vec<SourcePosition>,
    /// The catalogue, where the directory has it.
    pub catalogue: Option<CatalogueCopy>,
}

/// Fills stores that have never run, or whose rebuilding was cut off.
pub(super) fn rebuild(stores: &PlatformStores, from: Rebuilt<'_>, start: &StartProgress) -> Result<(), EngineError> {
    let Rebuilt { history, end, positions, catalogue } = from;
    restore_events(&*stores.events, history, stores.events.end()..end, start)?;
    stores.events.append_from(&mut [], &ahead(&*stores.events, positions)?)?;
    messages::note(&*stores.events, &*stores.messages, end)?;
    catalogue.map_or(Ok(()), |copy| restore_catalogue(stores, copy))
}

/// Says that stores which were filled are whole: a start goes on from everything in them, now.
pub(super) fn note_whole(stores: &PlatformStores, end: u64) -> Result<(), EngineError> {
    let now = clock::now();
    let tick = (now as u64).saturating_mul(TICKS_A_MILLISECOND);
    let catalogue_version = stores.catalogue.version()?;
    stores.changes.forget(tick)?;
    stores.changes.commit(Progress { tick, clock: now, sequence: end, catalogue_version, run: 0 }, &[])?;
    tracing::info!(events = end, catalogue_version, "the data directory is made anew");
    Ok(())
}

/// A start needs the history to be this directory's; one that is away is looked at when it is written.
fn check_not_ahead(stores: &PlatformStores, offsite: &Offsite) -> Result<(), EngineError> {
    let held = stores.events.end();
    match offsite.history.end() {
        Ok(kept) if kept > held => Err(StartError::Restore(format!(
            "the history that is kept outside has {kept} events, and the data directory only {held}: it is an older copy. \
             Start on an empty data directory, which is then made from the history, or choose another place for that"
        ))
        .into()),
        Ok(_) => Ok(()),
        Err(error @ StoreError::Unavailable { .. }) => {
            tracing::error!(%error, "the history cannot be reached");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn restore_events(
    log: &dyn EventLog,
    history: &dyn History,
    range: std::ops::Range<u64>,
    start: &StartProgress,
) -> Result<(), EngineError> {
    start.expect(range.end - range.start);
    let mut batch = Vec::new();
    let mut next = range.start;
    let append = |batch: &mut Vec<u8>, next: &mut u64| {
        let appended = log.append(batch)?;
        batch.clear();
        if appended.start == *next {
            start.advance(appended.end - appended.start);
            *next = appended.end;
            return Ok(());
        }
        let detail = format!("event {next} of the history would become event {}", appended.start);
        Err(StoreError::Refused { action: "making the event log anew", detail })
    };
    let mut result = Ok(());
    history.scan(range.clone(), &mut |run| {
        batch.extend_from_slice(run);
        if batch.len() >= APPEND_BYTES {
            result = append(&mut batch, &mut next);
        }
        if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    result?;
    if !batch.is_empty() {
        append(&mut batch, &mut next)?;
    }
    if next == range.end {
        return Ok(());
    }
    Err(StartError::Restore(format!("event {next} is missing in the history")).into())
}

/// The positions that the log does not have yet.
fn ahead(log: &dyn EventLog, mut positions: Vec<SourcePosition>) -> Result<Vec<SourcePosition>, StoreError> {
    let known = log.positions()?;
    let place = |position: &SourcePosition| (position.source.clone(), position.partition);
    positions.retain(|new| {
        known.iter().find(|known| place(known) == place(new)).is_none_or(|known| known.next_offset < new.next_offset)
    });
    Ok(positions)
}

/// The copy of the catalogue in the newest checkpoint that has one that can be read.
fn newest_copy(stores: &PlatformStores) -> Result<Option<CatalogueCopy>, EngineError> {
    for number in stores.checkpoints.found()? {
        match stores.checkpoints.shard(number, CATALOGUE_SHARD) {
            Ok(Some(bytes)) => match CatalogueCopy::decode(&bytes) {
                Ok(copy) => return Ok(Some(copy)),
                Err(error) => tracing::error!(checkpoint = number, %error, "its copy of the catalogue cannot be read"),
            },
            Ok(None) => {}
            Err(error @ StoreError::Unavailable { .. }) => return Err(error.into()),
            Err(error) => tracing::error!(checkpoint = number, %error, "its copy of the catalogue is damaged"),
        }
    }
    Ok(None)
}

/// Puts the documents back under the versions that they had, those that are missing: whatever refers to a version still does.
pub(crate) fn restore_catalogue(stores: &PlatformStores, mut copy: CatalogueCopy) -> Result<(), EngineError> {
    copy.documents.sort_by_key(|document| document.catalogue_version);
    let (mut rest, mut audit) = (&copy.documents[..], &copy.audit[..]);
    for version in 1..=copy.version {
        let (documents, behind): (&[Document], _) =
            rest.split_at(rest.partition_point(|document| document.catalogue_version <= version));
        let (records, later) = audit.split_at(audit.partition_point(|record| record.catalogue_version <= version));
        (rest, audit) = (behind, later);
        let is_missing = stores.catalogue.version()? < version;
        if is_missing && !stores.catalogue.put_audited(version - 1, documents, said(records).as_ref())? {
            return Err(
                StartError::Restore("the catalogue is changed by somebody while it is made anew".to_owned()).into()
            );
        }
    }
    Ok(())
}

/// The audit of one version of the catalogue, from its rows.
fn said(records: &[AuditRecord]) -> Option<Audit> {
    let AuditRecord { author, at, .. } = records.first()?;
    let entries = records.iter().map(|record| record.entry.clone()).collect();
    Some(Audit { author: author.clone(), at: *at, entries })
}

fn forget_what_is_ahead(stores: &PlatformStores, offsite: &Offsite, end: u64) -> Result<(), EngineError> {
    let now = Progress { sequence: end, clock: clock::now(), ..Progress::default() };
    for number in stores.checkpoints.found()? {
        let manifest = stores.checkpoints.manifest(number).map_err(|error| error.to_string());
        let is_usable =
            manifest.and_then(|bytes| Manifest::decode(&bytes)).is_ok_and(|manifest| manifest.is_within(now));
        if !is_usable {
            tracing::warn!(checkpoint = number, "the checkpoint is ahead of the history, or damaged; deleted");
            stores.checkpoints.remove(number)?;
        }
    }
    Ok(offsite.history.truncate(end)?)
}

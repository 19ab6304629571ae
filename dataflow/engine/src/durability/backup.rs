//! Backups: a copy of everything that the data directory has and no other place does, from which a new one is made.
//!
//! **Law.** A backup has every event that was durable when it began, in the order of acceptance, and possibly some that came
//! later. A directory made from it answers as the one of before would, had it been started anew at that moment.
//!
//! It is made while events stream in. No checkpoint is taken meanwhile, so that nothing is pruned or erased under it: a user
//! whose erasure was finished before is not in it, and one who is erased later is in it until it is deleted.

use std::ops::ControlFlow;
use std::sync::Arc;

use audience_background::Stop;
use audience_contract::{
    AccessChange, AccessDocument, AccessStore, CheckpointStore, History, Note, Notes, StoreError, WebhookStore,
};
use audience_rules::ast::Millis;
use audience_rules::record::{EventRef, records};
use serde::{Deserialize, Serialize};

use super::archive::gather;
use super::catalogue_copy::CatalogueCopy;
use super::manifest::{ALIASES_SHARD, Manifest};
use super::recovery::newest_acceptance;
use super::restore::{self, Rebuilt};
use crate::engine::EngineError;
use crate::engine::error::StartError;
use crate::start::StartProgress;
use crate::stores::PlatformStores;

/// Bytes of notes in a file.
const NOTES_BYTES: usize = 32 << 20;
/// Notes that are written at once.
const NOTES_AT_ONCE: usize = 1_000;
/// The number of the checkpoint in a backup.
const CHECKPOINT: u64 = 1;

/// The place of a backup: events, and a checkpoint that saves a start most of them.
#[derive(Clone)]
pub struct BackupPlace {
    /// The events.
    pub history: Arc<dyn History>,
    /// The checkpoint.
    pub checkpoints: Arc<dyn CheckpointStore>,
}

/// The state that was copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopiedState {
    /// The number of events.
    pub events: u64,
    /// When the last of them was accepted, in milliseconds since 1970.
    pub last_accepted_at: Option<Millis>,
    /// True if there is a checkpoint. Without one a start replays all events.
    pub has_checkpoint: bool,
}

/// Segments, traits, members, keys and webhooks, where the data directory has them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupDocuments {
    catalogue: CatalogueCopy,
    access: Vec<AccessDocument>,
    webhooks: Vec<(String, String)>,
}

/// The stores of the documents.
#[derive(Clone)]
pub struct DocumentStores {
    /// Members, keys, labels.
    pub access: Arc<dyn AccessStore>,
    /// Webhooks.
    pub webhooks: Arc<dyn WebhookStore>,
}

/// Copies events and the newest checkpoint to an empty place. The caller sees to it that no checkpoint is deleted meanwhile.
/// Ends with an error once `stop` is requested.
pub fn copy(stores: &PlatformStores, to: &BackupPlace, stop: &Stop) -> Result<CopiedState, EngineError> {
    // Events beyond it are behind what it has: they are copied after it was chosen.
    let checkpoint = newest_whole(&*stores.checkpoints)?;
    let (end, positions) = stores.events.reach()?;
    let mut next = 0;
    while next < end {
        if stop.is_requested() {
            return Err(
                StoreError::Unavailable { action: "making a backup", detail: "the process ends".to_owned() }.into()
            );
        }
        let gathered = gather(&*stores.events, next, end)?;
        next += gathered.count;
        to.history.append(&gathered.bytes, (next == end).then_some(&positions[..]))?;
    }
    let checkpoint = checkpoint.filter(|(_, manifest)| manifest.greatest.sequence <= end);
    if let Some((number, manifest)) = &checkpoint {
        copy_checkpoint(&*stores.checkpoints, *number, manifest, &*to.checkpoints, CHECKPOINT)?;
    }
    let last_accepted_at = newest_acceptance(&*stores.events, end)?;
    Ok(CopiedState { events: end, last_accepted_at, has_checkpoint: checkpoint.is_some() })
}

/// The newest checkpoint whose manifest can be read.
fn newest_whole(store: &dyn CheckpointStore) -> Result<Option<(u64, Manifest)>, StoreError> {
    let manifest = |number: u64| Some((number, Manifest::decode(&store.manifest(number).ok()?).ok()?));
    Ok(store.list()?.into_iter().find_map(manifest))
}

fn copy_checkpoint(
    from: &dyn CheckpointStore,
    number: u64,
    manifest: &Manifest,
    to: &dyn CheckpointStore,
    as_number: u64,
) -> Result<(), EngineError> {
    for shard in manifest.shards.iter().copied().chain([ALIASES_SHARD]) {
        let Some(bytes) = from.shard(number, shard)? else {
            let (place, detail) = (format!("checkpoint {number}"), format!("shard {shard} is missing"));
            return Err(StoreError::Corrupt { place, detail }.into());
        };
        to.put_shard(as_number, shard, &bytes)?;
    }
    Ok(to.finish(as_number, &manifest.encode()?)?)
}

impl BackupDocuments {
    /// Copies the documents as they are now.
    pub fn of(stores: &PlatformStores, documents: &DocumentStores) -> Result<BackupDocuments, StoreError> {
        Ok(BackupDocuments {
            catalogue: CatalogueCopy::of(&*stores.catalogue)?,
            access: documents.access.all()?.1,
            webhooks: documents.webhooks.all()?,
        })
    }

    /// The version of the catalogue.
    pub fn catalogue_version(&self) -> u64 {
        self.catalogue.version
    }
}

/// Notes as they stand in a file: keys and values, in order.
type NoteRows = Vec<(Vec<u8>, Vec<u8>)>;

/// Copies the notes of a range of keys, in files of some MiB that `write` takes one after the other.
pub fn copy_notes(
    notes: &dyn Notes,
    (from, to): (&[u8], &[u8]),
    write: &mut dyn FnMut(Vec<u8>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (mut rows, mut bytes) = (NoteRows::new(), 0);
    let mut written = Ok(());
    notes.visit(from, to, &mut |key, value| {
        rows.push((key.to_owned(), value.to_owned()));
        bytes += key.len() + value.len();
        if bytes >= NOTES_BYTES {
            bytes = 0;
            written = encode_notes(&std::mem::take(&mut rows)).and_then(&mut *write);
        }
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    written?;
    if rows.is_empty() { Ok(()) } else { encode_notes(&rows).and_then(write) }
}

fn encode_notes(rows: &NoteRows) -> Result<Vec<u8>, StoreError> {
    let refused = |error: bincode::Error| StoreError::Refused { action: "copying notes", detail: error.to_string() };
    bincode::serialize(rows).map_err(refused)
}

/// Puts the notes of a file back.
pub fn put_notes(notes: &dyn Notes, file: &[u8]) -> Result<(), StoreError> {
    let rows: NoteRows = bincode::deserialize(file)
        .map_err(|error| StoreError::Corrupt { place: "a file of notes".to_owned(), detail: error.to_string() })?;
    let rows: Vec<Note> = rows.into_iter().map(|(key, value)| (key, Some(value))).collect();
    rows.chunks(NOTES_AT_ONCE).try_for_each(|rows| notes.write(rows))
}

/// The state to which a new directory is made.
#[derive(Clone, Copy, Debug)]
pub struct RestorePoint {
    /// The number of events in the backup.
    pub events: u64,
    /// Events that were accepted later than this are left out, and so is a checkpoint that has any of them. Sources go on after
    /// the backup all the same.
    pub until: Option<Millis>,
}

/// Makes a new data directory from a backup; gives the number of events that it has. Fails on one that has ever been used. A
/// restore that was cut off is begun again with another directory.
pub fn restore(
    stores: &PlatformStores,
    from: &BackupPlace,
    documents: Option<(BackupDocuments, &DocumentStores)>,
    point: RestorePoint,
) -> Result<u64, EngineError> {
    if stores.changes.progress()?.is_some() || stores.events.end() > 0 {
        return Err(StartError::Restore("the data directory has data already; name an empty one".to_owned()).into());
    }
    let end = match point.until {
        None => point.events,
        Some(until) => first_after(&*from.history, point.events, until)?,
    };
    if let Some((documents, to)) = &documents {
        put_documents(documents, to)?;
    }
    let checkpoint = newest_whole(&*from.checkpoints)?.filter(|(_, manifest)| manifest.greatest.sequence <= end);
    if let Some((number, manifest)) = &checkpoint {
        copy_checkpoint(&*from.checkpoints, *number, manifest, &*stores.checkpoints, CHECKPOINT)?;
    }
    let (_, positions) = from.history.positions()?;
    let catalogue = documents.map(|(documents, _)| documents.catalogue);
    let rebuilt = Rebuilt { history: &*from.history, end, positions, catalogue };
    restore::rebuild(stores, rebuilt, &StartProgress::default())?;
    restore::note_whole(stores, end)?;
    Ok(end)
}

/// The number of the first event that was accepted after an instant; `end` where there is none.
fn first_after(history: &dyn History, end: u64, until: Millis) -> Result<u64, StoreError> {
    let mut first = end;
    history.scan(0..end, &mut |run| {
        // Blank ones are of no time.
        let late = records(run)
            .find(|record| record.kind().counts() && record.accepted_at() > until && record.sequence() < end);
        if let Some(late) = late {
            first = late.sequence();
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    Ok(first)
}

fn put_documents(documents: &BackupDocuments, to: &DocumentStores) -> Result<(), StoreError> {
    let change = |document: &AccessDocument| AccessChange {
        kind: document.kind.clone().into(),
        id: document.id.clone(),
        body: Some(document.body.clone()),
    };
    let changes: Vec<AccessChange> = documents.access.iter().map(change).collect();
    if !to.access.put(to.access.revision()?, &changes)? {
        let detail = "somebody else writes members meanwhile".to_owned();
        return Err(StoreError::Unavailable { action: "restoring members and keys", detail });
    }
    documents.webhooks.iter().try_for_each(|(id, webhook)| to.webhooks.put(id, webhook, None))
}

/// Reads everything of a backup; gives every fault. `expected` is the number of events that it says of itself.
pub fn faults(place: &BackupPlace, expected: &CopiedState) -> Vec<String> {
    let mut faults = Vec::new();
    let mut next = 0;
    let scanned = place.history.scan(0..expected.events, &mut |run| {
        let mut rest = run;
        while let Some((record, behind)) = EventRef::read(rest) {
            rest = behind;
            if record.sequence() != next {
                faults.push(format!("event {next} is missing"));
                return ControlFlow::Break(());
            }
            next += 1;
        }
        ControlFlow::Continue(())
    });
    match scanned {
        Err(error) => faults.push(error.to_string()),
        Ok(()) if faults.is_empty() && next < expected.events => {
            faults.push(format!("it has {next} of {} events", expected.events));
        }
        Ok(()) => {}
    }
    if expected.has_checkpoint {
        faults.extend(super::manifest::verify(&*place.checkpoints, CHECKPOINT).1);
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_copy_is_a_backup_too() {
        let state = CopiedState { events: 0, last_accepted_at: None, has_checkpoint: false };
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<CopiedState>(&text).unwrap(), state);
    }
}

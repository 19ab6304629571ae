//! A shipment into the standby's stores, in an order in which nothing given out is ahead of what it follows from.

use std::collections::HashSet;

use audience_contract::{Note, Notes, NotesMark, Progress, SourcePosition, StoreError};
use audience_rules::record::records_of;
use serde::{Deserialize, Serialize};

use super::shipment::{Held, Shipment, ShippedCatalogue, VERSION};
use crate::durability::{CatalogueCopy, restore_catalogue};
use crate::engine::EngineError;
use crate::stores::PlatformStores;

/// Notes that belong to a data directory alone, and are not shipped.
const OWN: &[u8] = b"own/";
/// The note of the name by which a data directory holds a lease.
const HOLDER: &[u8] = b"own/holder";
/// The note of a data directory that is a standby's.
const STANDBY: &[u8] = b"own/standby";

/// The state of a standby's data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StandbyNote {
    /// The epoch of the primary whose log it has.
    epoch: u64,
    /// True if it has all of something that was, so that it can take over.
    is_whole: bool,
}

/// Returns whether a data directory is a standby's.
pub fn is_standby(notes: &dyn Notes) -> Result<bool, StoreError> {
    Ok(notes.get(STANDBY)?.is_some())
}

/// Notes that a data directory is a primary's from here on.
pub fn note_primary(notes: &dyn Notes) -> Result<(), StoreError> {
    notes.write(&[(STANDBY.to_vec(), None)])
}

/// The name of a data directory as the holder of a lease. It is made once, and goes to no other directory.
pub fn holder_name(notes: &dyn Notes) -> Result<String, StoreError> {
    if let Some(name) = notes.get(HOLDER)? {
        return Ok(String::from_utf8_lossy(&name).into_owned());
    }
    let name = format!("{:016x}", fastrand::u64(..));
    notes.write(&[(HOLDER.to_vec(), Some(name.clone().into_bytes()))])?;
    Ok(name)
}

/// Keeps what is shipped.
pub(super) struct Keeper {
    stores: PlatformStores,
    keeps_catalogue: bool,
    note: Option<StandbyNote>,
    notes: Option<NotesMark>,
}

impl Keeper {
    /// A keeper of these stores: empty ones, or those of a standby.
    pub(super) fn new(stores: &PlatformStores, keeps_catalogue: bool) -> Result<Keeper, EngineError> {
        let damaged =
            |_| StoreError::Corrupt { place: "the note of the standby".to_owned(), detail: "its form".to_owned() };
        let note = stores.notes.get(STANDBY)?.map(|noted| bincode::deserialize(&noted).map_err(damaged)).transpose()?;
        Ok(Keeper { stores: stores.clone(), keeps_catalogue, note, notes: None })
    }

    /// True if the stores have all of something that was.
    pub(super) fn is_whole(&self) -> bool {
        self.note.is_some_and(|note| note.is_whole)
    }

    /// The progress of the stores.
    pub(super) fn held(&self) -> Result<Held, EngineError> {
        Ok(Held {
            version: VERSION.to_owned(),
            epoch: self.note.map(|note| note.epoch),
            is_whole: self.is_whole(),
            events: self.stores.events.end(),
            progress: self.stores.changes.progress()?.unwrap_or_default(),
            catalogue: self.keeps_catalogue.then(|| self.stores.catalogue.version()).transpose()?,
            notes: self.notes,
        })
    }

    /// Keeps a shipment, durably. Returns the progress where it is new and everything is there.
    pub(super) fn keep(&mut self, shipment: Shipment) -> Result<Option<Progress>, EngineError> {
        let Shipment { epoch, is_whole, mut records, positions, catalogue, notes, floor, ticks, progress, .. } =
            shipment;
        if !is_whole || self.note.is_none() {
            self.note(StandbyNote { epoch, is_whole: false })?;
        }
        self.append(&mut records, &positions)?;
        if let Some(catalogue) = catalogue {
            self.keep_catalogue(catalogue)?;
        }
        if let Some(changed) = notes {
            self.keep_notes(changed.notes, changed.is_all)?;
            self.notes = Some(changed.mark);
        }
        let known = self.stores.changes.progress()?.unwrap_or_default();
        self.stores.changes.forget(floor)?;
        // Before everything is there, it says nothing but which ticks are.
        let part = || ticks.last().map(|(tick, _)| Progress { tick: *tick, ..known });
        let reached = progress.or_else(part).filter(|reached| *reached != known);
        if let Some(reached) = reached {
            self.stores.changes.commit_ticks(reached, &ticks)?;
        }
        if is_whole {
            self.note(StandbyNote { epoch, is_whole: true })?;
        }
        Ok(reached.filter(|_| is_whole))
    }

    fn note(&mut self, note: StandbyNote) -> Result<(), EngineError> {
        if self.note != Some(note) {
            let text =
                bincode::serialize(&note).map_err(|error| EngineError::write("the note of the standby", error))?;
            self.stores.notes.write(&[(STANDBY.to_vec(), Some(text))])?;
            self.note = Some(note);
        }
        Ok(())
    }

    fn append(&self, shipped: &mut [u8], positions: &[SourcePosition]) -> Result<(), EngineError> {
        let events = &self.stores.events;
        let known = events.positions()?;
        let new: Vec<_> = positions.iter().filter(|position| !known.contains(position)).cloned().collect();
        let (end, first) = (events.end(), records_of(shipped, |_| true).next().map(|record| record.sequence()));
        if let Some(first) = first.filter(|first| *first != end) {
            let detail = format!("event {first} was shipped where event {end} comes next");
            return Err(StoreError::Refused { action: "keeping what was shipped", detail }.into());
        }
        if first.is_some() || !new.is_empty() {
            events.append_from(shipped, &new)?;
        }
        Ok(())
    }

    fn keep_catalogue(&self, shipped: ShippedCatalogue) -> Result<(), EngineError> {
        let ShippedCatalogue { version, documents, audit, announced } = shipped;
        if version > self.stores.catalogue.version()? {
            restore_catalogue(&self.stores, CatalogueCopy { version, documents, audit })?;
        }
        Ok(self.stores.catalogue.mark_announced(announced)?)
    }

    fn keep_notes(&self, mut changed: Vec<Note>, is_all: bool) -> Result<(), EngineError> {
        changed.retain(|(key, _)| !key.starts_with(OWN));
        if is_all {
            let kept: HashSet<&[u8]> = changed.iter().map(|(key, _)| key.as_slice()).collect();
            let known = self.stores.notes.changed_since(None)?.notes;
            let is_gone = |key: &[u8]| !key.starts_with(OWN) && !kept.contains(key);
            let gone: Vec<Note> =
                known.into_iter().filter(|(key, _)| is_gone(key)).map(|(key, _)| (key, None)).collect();
            changed.extend(gone);
        }
        if !changed.is_empty() {
            self.stores.notes.write(&changed)?;
        }
        Ok(())
    }
}

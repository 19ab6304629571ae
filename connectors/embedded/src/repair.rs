//! Repair of a data directory that no process uses.
//!
//! Two indexes follow from the events: which events name a user, and which message came first. A damaged one is made anew. The
//! mark of a database follows from its commits. Everything else is looked at, byte by byte, and damage to it is named. Nothing
//! but what is made anew is changed, and a repair that is killed can be begun again.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use audience_contract::{ChangeLog as _, CheckpointStore, EventLog, MessageIndex, Result, StoreError};
use audience_rules::record::records;
use rustix::fs::{CWD, RenameFlags};

use crate::EmbeddedCatalogue;
use crate::Options;
use crate::change_log::{Changes, open_ledger};
use crate::checkpoints::Checkpoints;
use crate::db::{self, Db, shielded};
use crate::directory::{Directory, sync_directory, unavailable};
use crate::event_log::Events;
use crate::mark::Mark;
use crate::message_index::Messages;
use crate::notes::LedgerNotes;

const ACTION: &str = "repairing a store";
/// The names under which something is made until it is whole.
const MESSAGES_ANEW: &str = "messages.anew";
const EVENTS_ANEW: &str = "events.anew";

/// The state in which a part was found or left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartState {
    /// Every byte of it was read.
    Whole,
    /// It was damaged in this way, and is made anew.
    Rebuilt(String),
    /// It is damaged in this way, and nothing else has it.
    Lost(String),
}

/// A part of the data directory, and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairedPart {
    /// The part, in words.
    pub part: &'static str,
    /// Its state.
    pub state: PartState,
}

/// Notes in an empty index which message of every event came first.
pub type FillMessages<'a> = dyn Fn(&dyn MessageIndex) -> Result<()> + 'a;

/// A data directory that is being repaired, for this process alone.
pub struct DirectoryRepair {
    directory: Directory,
    options: Options,
    parts: Vec<RepairedPart>,
}

impl DirectoryRepair {
    /// Takes the directory. Fails with [`StoreError::InUse`] where a process uses it, and where it is no data directory.
    pub fn open(path: &Path, options: &Options) -> Result<DirectoryRepair> {
        if !path.join("FORMAT").exists() {
            return Err(StoreError::Corrupt {
                place: path.display().to_string(),
                detail: "it has no file FORMAT, so that it is no data directory that ever ran".to_owned(),
            });
        }
        Ok(DirectoryRepair { directory: Directory::open(path)?, options: options.clone(), parts: Vec::new() })
    }

    /// The parts seen to so far, in order.
    pub fn parts(&self) -> &[RepairedPart] {
        &self.parts
    }

    /// Reads the log of events and its index by user, and makes the index anew if that is damaged. Gives the log where all of
    /// it can be read. Costs a look at every event, and another where the index is made anew.
    pub fn events(&mut self) -> Result<Option<Arc<dyn EventLog>>> {
        const LOG: &str = "the log of events";
        self.mark("events", "the mark of the log of events")?;
        let index = match damage(Events::check_index(&self.directory, &self.options))? {
            Ok(()) => PartState::Whole,
            // The index may also be what keeps the database from opening.
            Err(fault) => match damage(self.user_index_anew())? {
                Ok(()) => PartState::Rebuilt(fault),
                Err(fault) => {
                    self.note(LOG, PartState::Lost(fault));
                    return Ok(None);
                }
            },
        };
        let log = match damage(Events::open(&self.directory, &self.options))? {
            Ok(log) => Arc::new(log),
            Err(fault) => {
                self.note(LOG, PartState::Lost(fault));
                return Ok(None);
            }
        };
        let mut next = log.floor();
        let read = shielded("events", || {
            log.scan(log.floor()..u64::MAX, &mut |run| {
                next = records(run).last().map_or(next, |event| event.sequence() + 1);
                ControlFlow::Continue(())
            })
        });
        if let Err(fault) = damage(read)? {
            self.note(LOG, PartState::Lost(format!("from event {next} on not all can be read: {fault}")));
            return Ok(None);
        }
        self.note(LOG, PartState::Whole);
        self.note("the index by user", index);
        Ok(Some(log))
    }

    /// Reads the index of messages, and has it made anew by `fill` if it is damaged. Without `fill`, for want of events, a
    /// damaged one is lost.
    pub fn messages(&mut self, fill: Option<&FillMessages<'_>>) -> Result<()> {
        const PART: &str = "the index of messages";
        let checked = shielded("messages", || Messages::open(&self.directory, &self.options)?.check());
        let state = match (damage(checked)?, fill) {
            (Ok(()), _) => PartState::Whole,
            (Err(fault), None) => PartState::Lost(format!("{fault}; it follows from events, which cannot be read")),
            (Err(fault), Some(fill)) => {
                self.messages_anew(fill)?;
                PartState::Rebuilt(fault)
            }
        };
        self.note(PART, state);
        Ok(())
    }

    /// Reads the changes given out, the catalogue, and the notes of the platform.
    pub fn ledger(&mut self) -> Result<()> {
        self.mark("ledger", "the mark of the ledger")?;
        let db = match damage(open_ledger(&self.directory, &self.options))? {
            Ok(db) => db,
            Err(fault) => {
                self.note("the ledger: changes, catalogue and notes", PartState::Lost(fault));
                return Ok(());
            }
        };
        let changes =
            shielded("ledger", || Changes::open(Arc::clone(&db))?.read(0, &mut |_, _| ControlFlow::Continue(())));
        self.look("the changes given out", changes)?;
        let catalogue = shielded("ledger", || EmbeddedCatalogue::open(Arc::clone(&db))?.check_bodies());
        self.look("the catalogue and its audit log", catalogue)?;
        let notes = shielded("ledger", || LedgerNotes::open(Arc::clone(&db)).check());
        self.look("the notes: members, keys, webhooks, sizes over time", notes)
    }

    /// The checkpoints, to be looked at by whoever knows their shards.
    pub fn checkpoints(&self) -> Result<Arc<dyn CheckpointStore>> {
        Ok(Arc::new(Checkpoints::open(&self.directory)?))
    }

    /// Notes the state of a part that others have looked at.
    pub fn note(&mut self, part: &'static str, state: PartState) {
        self.parts.push(RepairedPart { part, state });
    }

    fn look(&mut self, part: &'static str, read: Result<()>) -> Result<()> {
        let state = damage(read)?.map_or_else(PartState::Lost, |()| PartState::Whole);
        self.note(part, state);
        Ok(())
    }

    /// A damaged mark says nothing; a new one begins at what the database itself counts.
    fn mark(&mut self, name: &str, part: &'static str) -> Result<()> {
        let path = self.directory.path().join(name);
        if !path.is_dir() {
            return Ok(());
        }
        let state = match damage(Mark::open(&path))? {
            Ok(_) => PartState::Whole,
            Err(fault) => {
                Mark::create(&path).map_err(|e| unavailable(ACTION, &path, &e))?;
                PartState::Rebuilt(format!(
                    "{fault}; it begins at the commits that are there, and cannot tell whether the last ones are missing"
                ))
            }
        };
        self.note(part, state);
        Ok(())
    }

    /// Puts an empty index by user in the place of the damaged one, for the next opening to fill. Where the database does not
    /// open with it either, the damaged one is put back.
    fn user_index_anew(&self) -> Result<()> {
        let root = self.directory.path();
        let keyspaces = root.join("events/keyspaces");
        if !keyspaces.is_dir() {
            let place = keyspaces.display().to_string();
            return Err(StoreError::Corrupt { place, detail: "it is missing".to_owned() });
        }
        let empty = self.empty_user_index()?;
        let place = keyspaces.join(empty.file_name().unwrap_or_default());
        let is_there = place.exists();
        let put = |one: &Path, other: &Path| if is_there { exchange(one, other) } else { rename(one, other) };
        put(&empty, &place)?;
        let emptied = Events::forget_index(&self.directory, &self.options, &place);
        if emptied.is_err() {
            put(&place, &empty)?;
        }
        clear(&root.join(EVENTS_ANEW))?;
        emptied
    }

    /// The directory of the index in an empty log of events that is made for it.
    fn empty_user_index(&self) -> Result<PathBuf> {
        clear(&self.directory.path().join(EVENTS_ANEW))?;
        let layout = Events::layout(EVENTS_ANEW, &self.options);
        db::create(self.directory.path(), &layout)?;
        let db = Db::open(&self.directory, &layout, self.options.reserve_bytes)?;
        Ok(db.keyspace("user_index")?.path().to_owned())
    }

    /// Fills another index and puts it in the place of the damaged one.
    fn messages_anew(&self, fill: &FillMessages<'_>) -> Result<()> {
        let root = self.directory.path();
        let (anew, place) = (root.join(MESSAGES_ANEW), root.join("messages"));
        clear(&anew)?;
        db::create(root, &Messages::layout(MESSAGES_ANEW, &self.options))?;
        {
            let messages = Messages::open_as(MESSAGES_ANEW, &self.directory, &self.options)?;
            fill(&messages)?;
            messages.flush()?;
        }
        // Killed from here on, the next repair finds none and makes it again.
        clear(&place)?;
        rename(&anew, &place)?;
        sync_directory(root).map_err(|e| unavailable(ACTION, root, &e))
    }
}

/// Damage in words, apart from what the system refused.
fn damage<T>(result: Result<T>) -> Result<std::result::Result<T, String>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error @ StoreError::Corrupt { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

fn clear(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(unavailable(ACTION, path, &e)),
        _ => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| unavailable(ACTION, from, &e))
}

/// Gives two directories each other's place at once: fjall would silently make one that it does not find.
fn exchange(one: &Path, other: &Path) -> Result<()> {
    rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)
        .map_err(|e| unavailable(ACTION, other, &e.into()))
}

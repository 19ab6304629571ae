//! The membership changes given out.

use std::ops::ControlFlow;
use std::sync::Arc;

use audience_contract::{ChangeLog, Progress, Result, StoreError};
use fjall::{Keyspace, KeyspaceCreateOptions, KvSeparationOptions, Readable};
use parking_lot::Mutex;

use crate::Options;
use crate::catalogue;
use crate::db::{Db, Layout};
use crate::directory::Directory;
use crate::seal::{self, Kind};

const PROGRESS_KEY: &[u8] = b"progress";
const READING: &str = "reading changes";
const COMMITTING: &str = "committing changes";
/// Rows that are removed with one write.
const FORGOTTEN_AT_ONCE: usize = 4096;

/// Opens the database that the changes and the catalogue share.
pub(crate) fn open_ledger(directory: &Directory, options: &Options) -> Result<Arc<Db>> {
    let layout = Layout {
        name: "ledger",
        keyspaces: &[
            ("changes", change_options),
            ("catalogue", catalogue::document_options),
            ("versions", catalogue::version_options),
        ],
        cache_bytes: options.cache_bytes / 4,
        buffer_bytes: options.buffer_bytes,
        workers: 2,
    };
    Ok(Arc::new(Db::open(directory, &layout, options.reserve_bytes)?))
}

/// The changes of each tick that had any, and the progress. A commit costs one fsync.
///
/// Each row says which tick's row is before it, and the progress says which is the last, so that a row that got lost is
/// noticed.
pub struct Changes {
    rows: Keyspace,
    state: Mutex<ChangeLogState>,
    db: Arc<Db>,
}

#[derive(Clone, Copy, Default)]
struct ChangeLogState {
    progress: Option<Progress>,
    /// The last tick that has a row.
    last: Option<u64>,
    /// Ticks below are forgotten.
    floor: u64,
}

impl Changes {
    /// Opens the log.
    pub(crate) fn open(db: Arc<Db>) -> Result<Changes> {
        let stored = db.meta().get(PROGRESS_KEY).map_err(|e| db.error("reading the progress", e))?;
        let state = match stored {
            None => ChangeLogState::default(),
            Some(value) => {
                let payload = seal::open(Kind::Progress, PROGRESS_KEY, &value)?;
                ChangeLogState::decode(&payload)
                    .ok_or_else(|| seal::damaged(Kind::Progress, PROGRESS_KEY, "it has another length"))?
            }
        };
        Ok(Changes { rows: db.keyspace("changes")?, state: Mutex::new(state), db })
    }

    /// Stores a state, and the rows of the ticks that led to it.
    fn store(
        &self,
        action: &'static str,
        state: &ChangeLogState,
        rows: impl IntoIterator<Item = ([u8; 8], Vec<u8>)>,
    ) -> Result<()> {
        self.db.commit(action, |batch| {
            for (key, value) in rows {
                batch.insert(&self.rows, key, value);
            }
            batch.insert(self.db.meta(), PROGRESS_KEY, seal::seal(Kind::Progress, PROGRESS_KEY, &state.encode()));
        })
    }

    /// Removes rows below the floor; gives whether there may be more.
    fn sweep(&self, floor: u64) -> Result<bool> {
        let rows = self.rows.range(..floor.to_be_bytes()).take(FORGOTTEN_AT_ONCE);
        let keys = rows.map(|row| row.key()).collect::<fjall::Result<Vec<_>>>();
        let keys = keys.map_err(|e| self.db.error("forgetting changes", e))?;
        let more = keys.len() == FORGOTTEN_AT_ONCE;
        if !keys.is_empty() {
            self.db.write("forgetting changes", |batch| {
                for key in keys {
                    batch.remove(&self.rows, key);
                }
            })?;
        }
        Ok(more)
    }
}

impl ChangeLog for Changes {
    fn commit(&self, progress: Progress, changes: &[u8]) -> Result<()> {
        let mut state = self.state.lock();
        let mut new = ChangeLogState { progress: Some(progress), ..*state };
        let row = if changes.is_empty() { None } else { Some(new.add(progress.tick, changes)?) };
        self.store(COMMITTING, &new, row)?;
        *state = new;
        Ok(())
    }

    fn commit_ticks(&self, progress: Progress, ticks: &[(u64, Vec<u8>)]) -> Result<()> {
        let mut state = self.state.lock();
        let mut new = ChangeLogState { progress: Some(progress), ..*state };
        let mut rows = Vec::with_capacity(ticks.len());
        for (tick, changes) in ticks.iter().filter(|(_, changes)| !changes.is_empty()) {
            rows.push(new.add(*tick, changes)?);
        }
        self.store(COMMITTING, &new, rows)?;
        *state = new;
        Ok(())
    }

    fn progress(&self) -> Result<Option<Progress>> {
        Ok(self.state.lock().progress)
    }

    fn read(&self, from: u64, visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> Result<()> {
        let (state, snapshot) = {
            let state = self.state.lock();
            (*state, self.db.snapshot())
        };
        let from = from.max(state.floor);
        let mut before = None;
        for row in snapshot.range(&self.rows, from.to_be_bytes()..) {
            let (key, value) = row.into_inner().map_err(|e| self.db.error(READING, e))?;
            let payload = seal::open(Kind::Changes, &key, &value)?;
            let parts = seal::read_u64(&key).zip(decode_tick(&payload));
            let Some(((tick, _), (link, changes))) = parts else {
                return Err(seal::damaged(Kind::Changes, &key, "it is cut short"));
            };
            // The first row's link leads to a row before the range; every other leads to the row just read.
            if link != before && !(before.is_none() && link.is_some_and(|link| link < from)) {
                return Err(seal::damaged(Kind::Changes, &key, "the row before it is missing"));
            }
            before = Some(tick);
            if visit(tick, changes).is_break() {
                return Ok(());
            }
        }
        match state.last {
            Some(last) if last >= from && before != Some(last) => {
                Err(seal::damaged(Kind::Changes, &last.to_be_bytes(), "it is missing"))
            }
            _ => Ok(()),
        }
    }

    fn forget(&self, tick: u64) -> Result<()> {
        {
            let mut state = self.state.lock();
            if tick <= state.floor {
                return Ok(());
            }
            let new = ChangeLogState { floor: tick, ..*state };
            self.store("forgetting changes", &new, [])?;
            *state = new;
        }
        while self.sweep(tick)? {}
        Ok(())
    }

    fn floor(&self) -> Result<u64> {
        Ok(self.state.lock().floor)
    }
}

impl ChangeLogState {
    /// Takes a tick that has changes as the last; gives its row.
    fn add(&mut self, tick: u64, changes: &[u8]) -> Result<([u8; 8], Vec<u8>)> {
        if self.last.is_some_and(|last| last >= tick) || tick < self.floor {
            let detail = format!("tick {tick} has its changes already, or a later one has");
            return Err(StoreError::Unavailable { action: COMMITTING, detail });
        }
        let key = tick.to_be_bytes();
        let mut row = seal::begin(9 + changes.len());
        row.extend_from_slice(&encode_tick(self.last));
        row.extend_from_slice(changes);
        seal::finish(Kind::Changes, &key, &mut row);
        self.last = Some(tick);
        Ok((key, row))
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(&encode_tick(self.last));
        out.extend_from_slice(&self.floor.to_be_bytes());
        if let Some(progress) = self.progress {
            for number in [progress.tick, progress.clock as u64, progress.sequence, progress.catalogue_version] {
                out.extend_from_slice(&number.to_be_bytes());
            }
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<ChangeLogState> {
        let (last, bytes) = decode_tick(bytes)?;
        let (floor, bytes) = seal::read_u64(bytes)?;
        if bytes.is_empty() {
            return Some(ChangeLogState { progress: None, last, floor });
        }
        let (tick, bytes) = seal::read_u64(bytes)?;
        let (clock, bytes) = seal::read_u64(bytes)?;
        let (sequence, bytes) = seal::read_u64(bytes)?;
        let (catalogue_version, bytes) = seal::read_u64(bytes)?;
        let progress = Progress { tick, clock: clock as i64, sequence, catalogue_version, run: 0 };
        bytes.is_empty().then_some(ChangeLogState { progress: Some(progress), last, floor })
    }
}

fn encode_tick(tick: Option<u64>) -> [u8; 9] {
    let mut out = [0; 9];
    if let Some(tick) = tick {
        out[0] = 1;
        out[1..].copy_from_slice(&tick.to_be_bytes());
    }
    out
}

fn decode_tick(bytes: &[u8]) -> Option<(Option<u64>, &[u8])> {
    let (there, bytes) = bytes.split_first()?;
    let (tick, bytes) = seal::read_u64(bytes)?;
    Some(((*there != 0).then_some(tick), bytes))
}

/// Large changes go into files of their own, so that forgetting them frees whole files.
fn change_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .with_kv_separation(Some(KvSeparationOptions::default().separation_threshold(16 << 10)))
}

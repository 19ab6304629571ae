//! The log of events.

use std::collections::HashSet;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use audience_contract::{EventLog, Result, SourcePosition, StoreError};
use audience_rules::record::{EventRef, records};
use fjall::config::{BlockSizePolicy, FilterPolicy};
use fjall::{Keyspace, KeyspaceCreateOptions, KvSeparationOptions, Readable, Snapshot};
use parking_lot::Mutex;

use crate::Options;
use crate::chunk::{self, Chunk, RecordSummary, user_hash};
use crate::db::{Db, Layout, shielded};
use crate::directory::Directory;
use crate::group::{Group, Groups};
use crate::positions::Positions;
use crate::user_index::UserIndex;

const NAME: &str = "events";
const READING: &str = "reading events";
/// The key, beside the data, of the number below which events are forgotten.
pub(crate) const FLOOR_KEY: &[u8] = b"floor of events";

/// The log of accepted events, with its index by user.
///
/// Events are stored in chunks of about 64 KiB that follow each other without a gap. An append costs a share of one
/// fsync, and one from a source also what is left of [`Options::company`]; a scan reads each chunk once; a lookup by user
/// reads a row for each 65,536 events and then the chunks.
pub struct Events {
    pub(crate) chunks: Keyspace,
    pub(crate) index: UserIndex,
    groups: Groups,
    /// Every event below is durable.
    durable: AtomicU64,
    /// Events below are forgotten.
    pub(crate) floor: AtomicU64,
    /// Held while chunks are written anew.
    pub(crate) erasing: Mutex<()>,
    pub(crate) db: Arc<Db>,
}

impl Events {
    /// Opens the log and indexes what is not indexed yet.
    pub(crate) fn open(directory: &Directory, options: &Options) -> Result<Events> {
        let db = Arc::new(Db::open(directory, &Events::layout(NAME, options), options.reserve_bytes)?);
        let chunks = db.keyspace("events")?;
        let end = shielded("events", || match chunks.last_key_value() {
            None => Ok(0),
            Some(last) => {
                let (key, value) = last.into_inner().map_err(|e| db.error(READING, e))?;
                Ok(Chunk::open(&key, value)?.range().end)
            }
        })?;
        let index = UserIndex::open(Arc::clone(&db), db.keyspace("user_index")?)?;
        let groups = Groups::new(end, Positions::read(&db)?, options.company);
        let floor = AtomicU64::new(db.number(FLOOR_KEY)?.unwrap_or(0));
        let (durable, erasing) = (AtomicU64::new(end), Mutex::new(()));
        let log = Events { chunks, index, groups, durable, floor, erasing, db };
        match log.sweep() {
            // It does not keep the log from being read, and what goes later takes this along.
            Err(error @ StoreError::Unavailable { .. }) => {
                tracing::warn!(%error, "Forgotten events could not be removed yet");
            }
            swept => swept?,
        }
        log.fill_index(end)?;
        Ok(log)
    }

    /// The database, under that name.
    pub(crate) fn layout(name: &'static str, options: &Options) -> Layout {
        Layout {
            name,
            keyspaces: &[("events", chunk_options), ("user_index", index_options)],
            cache_bytes: options.cache_bytes / 4,
            buffer_bytes: options.buffer_bytes,
            workers: 2,
        }
    }

    /// Reads every stored row of the index by user.
    pub(crate) fn check_index(directory: &Directory, options: &Options) -> Result<()> {
        shielded(NAME, || {
            let db = Arc::new(Db::open(directory, &Events::layout(NAME, options), options.reserve_bytes)?);
            UserIndex::open(Arc::clone(&db), db.keyspace("user_index")?)?.check()
        })
    }

    /// Notes that no block is indexed, in the database whose index is at that place.
    pub(crate) fn forget_index(directory: &Directory, options: &Options, place: &Path) -> Result<()> {
        shielded(NAME, || {
            let db = Arc::new(Db::open(directory, &Events::layout(NAME, options), options.reserve_bytes)?);
            let rows = db.keyspace("user_index")?;
            if rows.path() != place {
                let detail = format!("its index by user is at {}", rows.path().display());
                return Err(StoreError::Corrupt { place: place.display().to_string(), detail });
            }
            UserIndex::forget(&db)
        })
    }

    fn fill_index(&self, end: u64) -> Result<()> {
        let mut filled = Ok(());
        self.scan(self.index.stored()..end, &mut |run| {
            filled = self.index.extend(records(run).flat_map(|event| users(&event)));
            if filled.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        filled
    }

    fn write(&self, group: Group) -> Result<()> {
        let stored: Vec<_> = group.chunks.into_iter().map(chunk::ChunkWriter::finish).collect();
        self.db.commit("appending events", |batch| {
            for (key, value) in stored {
                batch.insert(&self.chunks, key, value);
            }
            for (key, value) in group.positions.rows() {
                batch.insert(self.db.meta(), key, value);
            }
        })?;
        let users = group.users.iter();
        let users = users.flat_map(|(first, users)| users.iter().map(move |(place, hash)| (first + place, *hash)));
        if let Err(error) = self.index.extend(users) {
            // The events are durable, and their index is in memory: answers stay right.
            tracing::warn!(%error, "The store could not index events by user yet");
        }
        self.durable.store(group.end, Ordering::Release);
        Ok(())
    }

    /// The chunk that has that event.
    pub(crate) fn chunk_of(&self, snapshot: &Snapshot, sequence: u64) -> Result<Chunk> {
        let found = snapshot.range(&self.chunks, ..=chunk::key(sequence)).next_back();
        let Some(found) = found else { return Err(self.absent(sequence)) };
        let (key, value) = found.into_inner().map_err(|e| self.db.error(READING, e))?;
        let chunk = Chunk::open(&key, value)?;
        if chunk.range().contains(&sequence) { Ok(chunk) } else { Err(self.absent(sequence)) }
    }

    fn scan_chunks(&self, range: Range<u64>, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        let snapshot = self.db.snapshot();
        let mut next = range.start;
        let mut see = |chunk: &Chunk| {
            if !chunk.range().contains(&next) || (next > range.start && chunk.range().start != next) {
                return Err(missing(next));
            }
            next = chunk.range().end;
            Ok(visit(chunk.records(&range)?))
        };
        let first = self.chunk_of(&snapshot, range.start)?;
        if see(&first)?.is_break() {
            return Ok(());
        }
        for found in snapshot.range(&self.chunks, chunk::key(first.range().end)..chunk::key(range.end)) {
            let (key, value) = found.into_inner().map_err(|e| self.db.error(READING, e))?;
            if see(&Chunk::open(&key, value)?)?.is_break() {
                return Ok(());
            }
        }
        if next >= range.end { Ok(()) } else { Err(missing(next)) }
    }

    /// Why an event is not there.
    fn absent(&self, sequence: u64) -> StoreError {
        if sequence >= self.floor() {
            return missing(sequence);
        }
        let detail = format!("event {sequence} stands in the history alone, which the URL of the checkpoints leads to");
        StoreError::Refused { action: READING, detail }
    }

    /// Visits those of the events that are wanted, chunk by chunk.
    fn fetch(
        &self,
        sequences: &[u64],
        is_wanted: &dyn Fn(&EventRef<'_>) -> bool,
        visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        let snapshot = self.db.snapshot();
        let mut out = Vec::new();
        let mut rest = sequences;
        while let Some(sequence) = rest.first() {
            let chunk = self.chunk_of(&snapshot, *sequence)?;
            let (mut at, mut offset) = (chunk.range().start, 0);
            let here = rest.partition_point(|sequence| *sequence < chunk.range().end);
            for sequence in &rest[..here] {
                offset = chunk.offset(offset, sequence - at)?;
                at = *sequence;
                let event = chunk.record(offset, at)?;
                if is_wanted(&event) {
                    out.extend_from_slice(event.bytes());
                }
            }
            rest = &rest[here..];
            if !out.is_empty() && visit(&out).is_break() {
                return Ok(());
            }
            out.clear();
        }
        Ok(())
    }
}

impl EventLog for Events {
    fn append_from(&self, records: &mut [u8], positions: &[SourcePosition]) -> Result<Range<u64>> {
        let survey = RecordSummary::of(records)?;
        if survey.count == 0 && positions.is_empty() {
            let end = self.end();
            return Ok(end..end);
        }
        self.groups.append(records, survey, positions, |group| self.write(group))
    }

    fn positions(&self) -> Result<Vec<SourcePosition>> {
        Ok(self.groups.positions())
    }

    fn reach(&self) -> Result<(u64, Vec<SourcePosition>)> {
        Ok(self.groups.reach())
    }

    fn end(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    fn scan(&self, range: Range<u64>, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        let range = range.start..range.end.min(self.end());
        if range.is_empty() { Ok(()) } else { self.scan_chunks(range, visit) }
    }

    fn floor(&self) -> u64 {
        self.floor.load(Ordering::Acquire)
    }

    fn forget(&self, below: u64) -> Result<u64> {
        self.forget_records(below)
    }

    fn bytes(&self) -> Result<u64> {
        self.estimated_bytes()
    }

    fn naming(&self, ids: &[&str], before: u64) -> Result<Vec<u64>> {
        let mut sequences = Vec::new();
        let hashes = hashes_of(ids.iter().copied());
        self.index.find(&hashes, before.min(self.end()), &mut |_, sequence| sequences.push(sequence))?;
        sequences.sort_unstable();
        sequences.dedup();
        Ok(sequences)
    }

    fn visit(&self, sequences: &[u64], visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        self.fetch(sequences, &|_| true, visit)
    }

    fn split(&self, range: Range<u64>, parts: usize) -> Vec<Range<u64>> {
        let range = range.start..range.end.min(self.end());
        if range.is_empty() {
            return Vec::new();
        }
        let length = range.end - range.start;
        let parts = (parts as u64).clamp(1, length);
        let cut = |part: u64| range.start + (u128::from(length) * u128::from(part) / u128::from(parts)) as u64;
        (0..parts).map(|part| cut(part)..cut(part + 1)).collect()
    }

    fn visit_users(&self, ids: &[&str], before: u64, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        let sequences = self.naming(ids, before)?;
        let ids: HashSet<&str> = ids.iter().copied().collect();
        let is_named =
            |event: &EventRef<'_>| ids.contains(event.user()) || event.other().is_some_and(|other| ids.contains(other));
        self.fetch(&sequences, &is_named, visit)
    }

    fn may_name(&self, ids: &[&str]) -> Result<Vec<bool>> {
        let hashes = hashes_of(ids.iter().copied());
        let mut named = HashSet::new();
        self.index.find(&hashes, self.end(), &mut |hash, _| {
            named.insert(hash);
        })?;
        Ok(ids.iter().map(|id| named.contains(&user_hash(id))).collect())
    }

    fn erase(&self, ids: &[(String, u64)]) -> Result<()> {
        self.erase_records(ids)
    }

    fn take_back(&self, to: i64) -> Result<u64> {
        self.take_back_records(to)
    }

    fn purge(&self) -> Result<bool> {
        let _erasing = self.erasing.lock();
        self.db.purge("purging what was erased")
    }
}

/// The hashes of ids, in order, each once.
fn hashes_of<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<u64> {
    let mut hashes: Vec<u64> = ids.map(user_hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// The hashes of the users an event names, with its number.
fn users(event: &EventRef<'_>) -> impl Iterator<Item = (u64, u64)> + use<> {
    let sequence = event.sequence();
    let user = user_hash(event.user());
    let other = event.other().map(user_hash).filter(|other| *other != user);
    std::iter::once(user).chain(other).map(move |hash| (sequence, hash))
}

fn missing(sequence: u64) -> StoreError {
    StoreError::Corrupt { place: "the log of events".to_owned(), detail: format!("event {sequence} is missing") }
}

/// Chunks go into files of their own, so that they are written once and not again with every compaction. They only change
/// where something is erased, and then no file is to keep any of it, however little.
fn chunk_options() -> KeyspaceCreateOptions {
    let separation = KvSeparationOptions::default().separation_threshold(2 << 10).file_target_size(256 << 20);
    let separation = separation.staleness_threshold(f32::MIN_POSITIVE).age_cutoff(1.0);
    KeyspaceCreateOptions::default().with_kv_separation(Some(separation)).filter_policy(FilterPolicy::disabled())
}

/// Rows of a bucket are read one behind the other.
fn index_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .data_block_size_policy(BlockSizePolicy::all(16 << 10))
        .filter_policy(FilterPolicy::disabled())
}

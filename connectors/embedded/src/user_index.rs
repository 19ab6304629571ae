//! Which events name a user, as either id.
//!
//! Events are indexed in blocks of 65,536. A full block becomes 1,024 rows, one for each bucket of user hashes, under
//! `bucket u16 BE · block u32 BE`, so that the rows of a bucket are neighbours. A row is a sorted array of
//! `hash's low 48 bits · offset in the block u16`. The block that is not full is in memory, and read from the log again at
//! the start. Rows are not synced: how many blocks are indexed is written with them, and missing ones are made again.

use std::sync::Arc;

use audience_contract::{Result, StoreError};
use fjall::Keyspace;
use parking_lot::RwLock;

use crate::db::Db;
use crate::seal::{self, Kind};

/// Events in a block.
pub(crate) const BLOCK: u64 = 1 << 16;
/// Rows of a block: its users by the upper bits of their hash.
const BUCKETS: u16 = 1 << 10;
const BUCKET_SHIFT: u32 = 64 - 10;
const INDEXED_KEY: &[u8] = b"blocks indexed by user";

/// The index.
pub(crate) struct UserIndex {
    rows: Keyspace,
    db: Arc<Db>,
    state: RwLock<UserIndexState>,
}

struct UserIndexState {
    /// Blocks whose rows are stored.
    stored: u64,
    /// The blocks behind those, each full but the last.
    blocks: Vec<UserBlock>,
}

/// The users of a block in memory.
#[derive(Default)]
struct UserBlock {
    hashes: Vec<u64>,
    offsets: Vec<u16>,
}

impl UserIndex {
    /// Opens the index; [`stored`](Self::stored) says from where on it has to be filled.
    pub(crate) fn open(db: Arc<Db>, rows: Keyspace) -> Result<UserIndex> {
        let stored = db.number(INDEXED_KEY)?.unwrap_or(0);
        Ok(UserIndex { rows, db, state: RwLock::new(UserIndexState { stored, blocks: Vec::new() }) })
    }

    /// Reads every stored row.
    pub(crate) fn check(&self) -> Result<()> {
        let stored = self.state.read().stored;
        (0..BUCKETS).try_for_each(|bucket| {
            // Any hash of the bucket has all of its rows read.
            self.find_stored(&[u64::from(bucket) << BUCKET_SHIFT], stored, &mut |_, _| {})
        })
    }

    /// Notes that no block is stored, so that the next opening fills all of it.
    pub(crate) fn forget(db: &Db) -> Result<()> {
        db.commit("forgetting the index by user", |batch| {
            batch.insert(db.meta(), INDEXED_KEY, seal::seal(Kind::Number, INDEXED_KEY, &0_u64.to_be_bytes()));
        })
    }

    /// The first event that is not in a stored block.
    pub(crate) fn stored(&self) -> u64 {
        self.state.read().stored.saturating_mul(BLOCK)
    }

    /// Takes in events with the hashes of their users, in order. Called by one thread at a time.
    pub(crate) fn extend(&self, users: impl Iterator<Item = (u64, u64)>) -> Result<()> {
        let full = {
            let mut state = self.state.write();
            for (sequence, hash) in users {
                let at = (sequence / BLOCK).saturating_sub(state.stored) as usize;
                if state.blocks.len() <= at {
                    state.blocks.resize_with(at + 1, UserBlock::default);
                }
                state.blocks[at].hashes.push(hash);
                state.blocks[at].offsets.push((sequence % BLOCK) as u16);
            }
            state.blocks.len().saturating_sub(1)
        };
        for _ in 0..full {
            self.store_first()?;
        }
        Ok(())
    }

    /// Stores the first block in memory. Where that fails it stays there, so that answers stay whole.
    fn store_first(&self) -> Result<()> {
        let (number, rows) = {
            let state = self.state.read();
            let Some(block) = state.blocks.first() else { return Ok(()) };
            (state.stored, block.rows(state.stored))
        };
        self.db.write("indexing events by user", |batch| {
            for (key, row) in rows {
                batch.insert(&self.rows, key, row);
            }
            let stored = seal::seal(Kind::Number, INDEXED_KEY, &(number + 1).to_be_bytes());
            batch.insert(self.db.meta(), INDEXED_KEY, stored);
        })?;
        let mut state = self.state.write();
        state.stored = number + 1;
        state.blocks.remove(0);
        Ok(())
    }

    /// Takes each of the hashes with each event below `before` that names a user of it, and perhaps others. The hashes are in
    /// order: those of a bucket share the cost of its rows.
    pub(crate) fn find(&self, hashes: &[u64], before: u64, take: &mut dyn FnMut(u64, u64)) -> Result<()> {
        let mut take = |hash, found| {
            if found < before {
                take(hash, found)
            }
        };
        let stored = {
            let state = self.state.read();
            for (at, block) in (state.stored..).zip(&state.blocks) {
                block.find(hashes).for_each(|(hash, offset)| take(hash, at * BLOCK + u64::from(offset)));
            }
            state.stored
        };
        let blocks = stored.min(before.div_ceil(BLOCK));
        hashes
            .chunk_by(|one, next| bucket_of(*one) == bucket_of(*next))
            .try_for_each(|hashes| self.find_stored(hashes, blocks, &mut take))
    }

    /// Finds the events of the hashes, all of one bucket, in the stored blocks below `blocks`.
    fn find_stored(&self, hashes: &[u64], blocks: u64, take: &mut dyn FnMut(u64, u64)) -> Result<()> {
        let bucket = hashes.first().map_or(0, |hash| bucket_of(*hash));
        let mut expected = 0;
        for row in self.rows.range(row_key(bucket, 0)..row_key(bucket, blocks)) {
            let (key, value) = row.into_inner().map_err(|e| self.db.error("reading the index by user", e))?;
            if *key != row_key(bucket, expected) {
                return Err(missing(bucket, expected));
            }
            let row = seal::open(Kind::IndexRow, &key, &value)?;
            for hash in hashes {
                find_in_row(&row, *hash).for_each(|offset| take(*hash, expected * BLOCK + u64::from(offset)));
            }
            expected += 1;
        }
        if expected == blocks { Ok(()) } else { Err(missing(bucket, expected)) }
    }
}

impl UserBlock {
    /// The events that name a user of one of the hashes, which are in order, each with that.
    fn find(&self, hashes: &[u64]) -> impl Iterator<Item = (u64, u16)> {
        let is_wanted = move |hash: &u64| match hashes {
            [wanted] => hash == wanted,
            _ => hashes.binary_search(hash).is_ok(),
        };
        let entries = self.hashes.iter().copied().zip(self.offsets.iter().copied());
        entries.filter(move |(hash, _)| is_wanted(hash))
    }

    /// The rows of a full block, one for every bucket.
    fn rows(&self, number: u64) -> Vec<([u8; 6], Vec<u8>)> {
        let mut buckets = vec![Vec::new(); usize::from(BUCKETS)];
        for (hash, offset) in self.hashes.iter().zip(&self.offsets) {
            buckets[usize::from(bucket_of(*hash))].push(hash << 16 | u64::from(*offset));
        }
        let sealed = (0..BUCKETS).zip(buckets).map(|(bucket, mut entries)| {
            entries.sort_unstable();
            let key = row_key(bucket, number);
            let mut row = seal::begin(entries.len() * 8);
            row.extend(entries.iter().flat_map(|entry| entry.to_le_bytes()));
            seal::finish(Kind::IndexRow, &key, &mut row);
            (key, row)
        });
        sealed.collect()
    }
}

fn bucket_of(hash: u64) -> u16 {
    (hash >> BUCKET_SHIFT) as u16
}

fn row_key(bucket: u16, block: u64) -> [u8; 6] {
    let mut key = [0; 6];
    key[..2].copy_from_slice(&bucket.to_be_bytes());
    // A log of 2^48 events is not in reach.
    key[2..].copy_from_slice(&(block as u32).to_be_bytes());
    key
}

fn find_in_row(row: &[u8], hash: u64) -> impl Iterator<Item = u16> {
    let (entries, _) = row.as_chunks::<8>();
    let wanted = hash << 16;
    let start = entries.partition_point(|entry| u64::from_le_bytes(*entry) < wanted);
    let found = entries[start..].iter().map(|entry| u64::from_le_bytes(*entry));
    found.take_while(move |entry| entry >> 16 == wanted >> 16).map(|entry| entry as u16)
}

fn missing(bucket: u16, block: u64) -> StoreError {
    seal::damaged(Kind::IndexRow, &row_key(bucket, block), "it is missing")
}

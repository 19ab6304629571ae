//! Events that were accepted by a clock that was ahead, written anew with an earlier instant.

use std::mem;

use audience_contract::Result;
use audience_rules::record::take_back;
use fjall::Readable as _;

use crate::chunk::{self, Chunk};
use crate::event_log::Events;

/// Chunks that are written anew with one commit.
const CHUNKS_AT_ONCE: usize = 64;

impl Events {
    /// Writes the chunks anew, under the same keys, that have an event accepted after `to`. Costs a look at every event, and one
    /// fsync for 64 chunks that have one.
    pub(crate) fn take_back_records(&self, to: i64) -> Result<u64> {
        let _erasing = self.erasing.lock();
        let (mut count, mut rewritten) = (0, Vec::new());
        let snapshot = self.db.snapshot();
        for found in snapshot.iter(&self.chunks) {
            let (key, value) = found.into_inner().map_err(|e| self.db.error("reading events", e))?;
            let chunk = Chunk::open(&key, value)?;
            let mut records = chunk.records(chunk.range())?.to_vec();
            let changed = take_back(&mut records, to);
            if changed > 0 {
                count += changed;
                rewritten.push(chunk::store(chunk.range(), &records));
            }
            if rewritten.len() == CHUNKS_AT_ONCE {
                self.rewrite(mem::take(&mut rewritten))?;
            }
        }
        self.rewrite(rewritten)?;
        Ok(count)
    }

    fn rewrite(&self, chunks: Vec<([u8; 8], Vec<u8>)>) -> Result<()> {
        if chunks.is_empty() {
            return Ok(());
        }
        self.db.commit("taking time back", |batch| {
            for (key, value) in chunks {
                batch.insert(&self.chunks, key, value);
            }
        })
    }
}

//! Erasure of users from the event log.

use std::collections::HashMap;

use audience_contract::{EventLog as _, Result};
use audience_rules::record::{Erased, EventRef};

use crate::chunk::{self, Chunk, user_hash};
use crate::event_log::Events;

/// Chunks that are written anew with one commit.
const CHUNKS_AT_ONCE: usize = 64;

impl Events {
    /// Erases records, or their other ids, by writing their chunks anew under the same keys. Costs a lookup of each id, and one fsync for 64
    /// chunks.
    pub(crate) fn erase_records(&self, ids: &[(String, u64)]) -> Result<()> {
        let mut sequences = Vec::new();
        for (id, before) in ids {
            self.index.find(&[user_hash(id)], *before, &mut |_, sequence| sequences.push(sequence))?;
        }
        sequences.sort_unstable();
        sequences.dedup();
        // Those below are in the history alone.
        sequences.retain(|sequence| *sequence >= self.floor());
        let before: HashMap<&str, u64> = ids.iter().map(|(id, before)| (id.as_str(), *before)).collect();
        let _erasing = self.erasing.lock();
        let mut rest = &sequences[..];
        while !rest.is_empty() {
            let mut rewritten = Vec::new();
            while let Some(sequence) = rest.first().filter(|_| rewritten.len() < CHUNKS_AT_ONCE) {
                let chunk = self.chunk_of(&self.db.snapshot(), *sequence)?;
                rest = &rest[rest.partition_point(|sequence| *sequence < chunk.range().end)..];
                rewritten.extend(without(&chunk, &before)?);
            }
            if !rewritten.is_empty() {
                self.db.commit("erasing events", |batch| {
                    for (key, value) in rewritten {
                        batch.insert(&self.chunks, key, value);
                    }
                    self.db.note_stale(batch);
                })?;
            }
        }
        Ok(())
    }
}

/// The chunk without what is erased; `None` where it has nothing of that.
fn without(chunk: &Chunk, before: &HashMap<&str, u64>) -> Result<Option<([u8; 8], Vec<u8>)>> {
    let erased = |record: &EventRef<'_>| {
        Erased::of(record, |id| before.get(id).is_some_and(|before| record.sequence() < *before))
    };
    let mut left = Vec::new();
    let mut count = 0;
    let mut at = 0;
    for sequence in chunk.range().clone() {
        let record = chunk.record(at, sequence)?;
        at += record.bytes().len();
        let erased = erased(&record);
        erased.write(&record, &mut left);
        count += usize::from(erased != Erased::Nothing);
    }
    Ok((count > 0).then(|| chunk::store(chunk.range(), &left)))
}

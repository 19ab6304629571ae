//! Events that are forgotten here, since they stand in the history: the oldest runs go, and the disk has their space back.
//!
//! The floor is durable before the first run goes. So a start after a crash knows which of those that are left were to go.

use std::sync::atomic::Ordering;

use audience_contract::{EventLog as _, Result, failpoint};
use fjall::Readable as _;

use crate::chunk;
use crate::event_log::{Events, FLOOR_KEY};
use crate::seal::{self, Kind};

const FORGETTING: &str = "forgetting events";
/// Runs that are looked at for the bytes of all.
const SAMPLES: u64 = 16;
/// Runs that are removed with one write.
const CHUNKS_AT_ONCE: usize = 4096;

impl Events {
    /// Forgets the runs that lie wholly below that number. Keeps what the index by user is filled from at a start, and the last
    /// event, from which the next number follows. Costs one fsync, and at most a file of runs written anew.
    pub(crate) fn forget_records(&self, below: u64) -> Result<u64> {
        let _erasing = self.erasing.lock();
        let below = below.min(self.index.stored()).min(self.end().saturating_sub(1));
        if below <= self.floor() {
            return Ok(self.floor());
        }
        let floor = self.chunk_of(&self.db.snapshot(), below)?.range().start;
        if floor > self.floor() {
            // Rows of the index before it are durable with it.
            self.db.commit(FORGETTING, |batch| batch.insert(self.db.meta(), FLOOR_KEY, floor_row(floor)))?;
            failpoint("floor_committed");
            self.floor.store(floor, Ordering::Release);
            self.sweep()?;
        }
        Ok(floor)
    }

    /// The bytes of all records, by those of some runs: what is on the disk lags, and is no measure of what comes.
    pub(crate) fn estimated_bytes(&self) -> Result<u64> {
        let (floor, end, snapshot) = (self.floor(), self.end(), self.db.snapshot());
        let length = end.saturating_sub(floor);
        let (mut bytes, mut events) = (0_u128, 0_u128);
        for sample in 0..SAMPLES.min(length) {
            let sequence = floor + (u128::from(length) * u128::from(sample) / u128::from(SAMPLES.min(length))) as u64;
            let chunk = self.chunk_of(&snapshot, sequence)?;
            bytes += chunk.records(chunk.range())?.len() as u128;
            events += u128::from(chunk.range().end - chunk.range().start);
        }
        Ok((bytes * u128::from(length) / events.max(1)) as u64)
    }

    /// Removes the runs below the floor.
    pub(crate) fn sweep(&self) -> Result<()> {
        let mut swept = 0;
        loop {
            let rows = self.db.snapshot().range(&self.chunks, ..chunk::key(self.floor())).take(CHUNKS_AT_ONCE);
            let keys = rows.map(|row| row.key()).collect::<fjall::Result<Vec<_>>>();
            let keys = keys.map_err(|e| self.db.error(FORGETTING, e))?;
            if keys.is_empty() {
                break;
            }
            swept += keys.len();
            self.db.write(FORGETTING, |batch| keys.into_iter().for_each(|key| batch.remove(&self.chunks, key)))?;
            failpoint("runs_forgotten");
        }
        if swept == 0 {
            return Ok(());
        }
        // A compaction drops what is older than the newest write.
        self.db.write(FORGETTING, |batch| batch.insert(self.db.meta(), FLOOR_KEY, floor_row(self.floor())))?;
        self.db.reclaim(FORGETTING, &self.chunks)
    }
}

fn floor_row(floor: u64) -> Vec<u8> {
    seal::seal(Kind::Number, FLOOR_KEY, &floor.to_be_bytes())
}

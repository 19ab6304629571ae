//! History in memory: for replays of files, where nothing is to last.

use std::collections::{BTreeMap, HashMap};
use std::ops::{ControlFlow, Range};

use audience_contract::{EventLog, MessageIndex, Result, SourcePosition, StoreError};
use audience_rules::record::{Erased, EventRef, RecordKind, records, set_sequence};
use parking_lot::{Mutex, RwLock};

#[derive(Default)]
struct MemoryLogState {
    bytes: Vec<u8>,
    /// The place at which each record begins.
    starts: Vec<usize>,
    /// The records of each id.
    by_id: HashMap<String, Vec<u64>>,
    /// The next offset of each source and partition.
    positions: BTreeMap<(String, u32), u64>,
}

impl MemoryLogState {
    /// Takes over positions, or none where one is behind what is known.
    fn advance(&mut self, positions: &[SourcePosition]) -> Result<()> {
        let place = |position: &SourcePosition| (position.source.clone(), position.partition);
        let is_behind = |position: &&SourcePosition| {
            self.positions.get(&place(position)).is_some_and(|known| position.next_offset < *known)
        };
        if let Some(behind) = positions.iter().find(is_behind) {
            let detail = format!("partition {} of {} is further already", behind.partition, behind.source);
            return Err(StoreError::Unavailable { action: "appending events", detail });
        }
        self.positions.extend(positions.iter().map(|position| (place(position), position.next_offset)));
        Ok(())
    }
}

/// An event log in memory.
#[derive(Default)]
pub struct MemoryLog {
    log: RwLock<MemoryLogState>,
}

impl EventLog for MemoryLog {
    fn append_from(&self, batch: &mut [u8], positions: &[SourcePosition]) -> Result<Range<u64>> {
        let mut log = self.log.write();
        log.advance(positions)?;
        let first = log.starts.len() as u64;
        let mut at = 0;
        while let Some((record, _)) = EventRef::read(&batch[at..]) {
            let length = record.bytes().len();
            let sequence = log.starts.len() as u64;
            set_sequence(&mut batch[at..], sequence);
            let ids: Vec<String> =
                [Some(record_user(&batch[at..])), record_other(&batch[at..])].into_iter().flatten().collect();
            for id in ids {
                log.by_id.entry(id).or_default().push(sequence);
            }
            let start = log.bytes.len();
            log.starts.push(start);
            log.bytes.extend_from_slice(&batch[at..at + length]);
            at += length;
        }
        Ok(first..log.starts.len() as u64)
    }

    fn positions(&self) -> Result<Vec<SourcePosition>> {
        Ok(self.reach()?.1)
    }

    fn reach(&self) -> Result<(u64, Vec<SourcePosition>)> {
        let log = self.log.read();
        let position = |((source, partition), next_offset): (&(String, u32), &u64)| SourcePosition {
            source: source.clone(),
            partition: *partition,
            next_offset: *next_offset,
        };
        Ok((log.starts.len() as u64, log.positions.iter().map(position).collect()))
    }

    fn end(&self) -> u64 {
        self.log.read().starts.len() as u64
    }

    fn scan(&self, range: Range<u64>, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        let log = self.log.read();
        let at = |sequence: u64| log.starts.get(sequence as usize).copied().unwrap_or(log.bytes.len());
        let _ = visit(&log.bytes[at(range.start)..at(range.end)]);
        Ok(())
    }

    fn split(&self, range: Range<u64>, parts: usize) -> Vec<Range<u64>> {
        split_evenly(range, parts)
    }

    fn visit_users(&self, ids: &[&str], before: u64, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
        let log = self.log.read();
        let mut sequences: Vec<u64> = ids.iter().filter_map(|id| log.by_id.get(*id)).flatten().copied().collect();
        sequences.retain(|sequence| *sequence < before);
        sequences.sort_unstable();
        sequences.dedup();
        for sequence in sequences {
            if let Some((record, _)) = EventRef::read(&log.bytes[log.starts[sequence as usize]..])
                && record.kind() != RecordKind::Blank
                && visit(record.bytes()).is_break()
            {
                break;
            }
        }
        Ok(())
    }

    fn erase(&self, ids: &[(String, u64)]) -> Result<()> {
        let before: HashMap<&str, u64> = ids.iter().map(|(id, before)| (id.as_str(), *before)).collect();
        let mut log = self.log.write();
        log.without(|record| Erased::of(record, |id| before.get(id).is_some_and(|before| record.sequence() < *before)));
        Ok(())
    }

    fn purge(&self) -> Result<bool> {
        Ok(false)
    }
}

impl MemoryLogState {
    /// Makes the log anew, without what is erased.
    fn without(&mut self, erased: impl Fn(&EventRef<'_>) -> Erased) {
        let old = std::mem::take(&mut self.bytes);
        for start in &mut self.starts {
            let Some((record, _)) = EventRef::read(&old[*start..]) else { continue };
            *start = self.bytes.len();
            erased(&record).write(&record, &mut self.bytes);
        }
    }
}

fn record_user(bytes: &[u8]) -> String {
    records(bytes).next().map_or_else(String::new, |record| record.user().to_owned())
}

fn record_other(bytes: &[u8]) -> Option<String> {
    records(bytes).next().and_then(|record| record.other().map(str::to_owned))
}

/// Cuts a range into at most `parts` of about the same length.
pub fn split_evenly(range: Range<u64>, parts: usize) -> Vec<Range<u64>> {
    let length = range.end.saturating_sub(range.start);
    let size = length.div_ceil(parts.max(1) as u64).max(1);
    (0..length.div_ceil(size))
        .map(|part| range.start + part * size..(range.start + (part + 1) * size).min(range.end))
        .collect()
}

/// A message index in memory.
#[derive(Default)]
pub struct MemoryMessages {
    first: Mutex<HashMap<u128, u64>>,
}

impl MessageIndex for MemoryMessages {
    fn note(&self, messages: &[(u128, u64)]) -> Result<Vec<u64>> {
        let mut first = self.first.lock();
        Ok(messages
            .iter()
            .map(|(key, sequence)| {
                let known = first.entry(*key).or_insert(*sequence);
                *known = (*known).min(*sequence);
                *known
            })
            .collect())
    }

    fn first(&self, keys: &[u128]) -> Result<Vec<Option<u64>>> {
        let first = self.first.lock();
        Ok(keys.iter().map(|key| first.get(key).copied()).collect())
    }

    fn forget(&self, keys: &[u128], below: u64) -> Result<()> {
        let mut first = self.first.lock();
        for key in keys {
            if first.get(key).is_some_and(|sequence| *sequence < below) {
                first.remove(key);
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn positions_hold_the_contract() {
        let log: Arc<dyn EventLog> = Arc::new(MemoryLog::default());
        audience_contract::suite::event_log_positions(&mut || Arc::clone(&log));
    }
}

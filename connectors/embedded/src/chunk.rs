//! A run of events as it is stored: under its first sequence number, `count u32` and the records one behind the other.

use std::ops::Range;

use audience_contract::{Result, StoreError};
use audience_rules::record::{self, EventRef};
use fjall::Slice;
use xxhash_rust::xxh3::xxh3_64;

use crate::seal::{self, Kind, StoredPayload};

/// A chunk takes no more records once it is this large. Small, since a chunk is what a lookup by user reads.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;
const COUNT_BYTES: usize = 4;

/// The key of the chunk that begins with that event.
pub(crate) fn key(first: u64) -> [u8; 8] {
    first.to_be_bytes()
}

/// The facts about records that are needed before they are numbered.
pub(crate) struct RecordSummary {
    /// The number of records.
    pub count: u64,
    /// The hash of every user they name, with the record's place among them.
    pub users: Vec<(u64, u64)>,
}

impl RecordSummary {
    /// Reads the records handed in.
    pub(crate) fn of(records: &[u8]) -> Result<RecordSummary> {
        let mut survey = RecordSummary { count: 0, users: Vec::new() };
        let mut rest = records;
        while !rest.is_empty() {
            let Some((event, next)) = EventRef::read(rest) else {
                let detail = format!("record {} cannot be read", survey.count);
                return Err(StoreError::Corrupt { place: "the events handed in".to_owned(), detail });
            };
            let user = user_hash(event.user());
            survey.users.push((survey.count, user));
            if let Some(other) = event.other().map(user_hash).filter(|other| *other != user) {
                survey.users.push((survey.count, other));
            }
            survey.count += 1;
            rest = next;
        }
        Ok(survey)
    }
}

/// The key of the index by user.
pub(crate) fn user_hash(user: &str) -> u64 {
    xxh3_64(user.as_bytes())
}

/// A chunk that is being filled.
pub(crate) struct ChunkWriter {
    first: u64,
    count: u32,
    value: Vec<u8>,
}

impl ChunkWriter {
    /// An empty chunk that begins with that event.
    pub(crate) fn new(first: u64) -> ChunkWriter {
        let mut value = seal::begin(CHUNK_BYTES + CHUNK_BYTES / 4);
        value.extend_from_slice(&[0; COUNT_BYTES]);
        ChunkWriter { first, count: 0, value }
    }

    /// Returns whether it takes no more.
    pub(crate) fn is_full(&self) -> bool {
        self.value.len() >= CHUNK_BYTES
    }

    /// Takes records from the front of `records`, numbers them from `sequence` on, and gives how many bytes it took.
    pub(crate) fn fill(&mut self, records: &mut [u8], sequence: &mut u64) -> usize {
        let mut at = 0;
        let mut room = CHUNK_BYTES.saturating_sub(self.value.len());
        while let Some(length) = records.get(at..).and_then(record_length) {
            record::set_sequence(&mut records[at..at + length], *sequence);
            *sequence += 1;
            self.count += 1;
            at += length;
            match room.checked_sub(length) {
                Some(left) if left > 0 => room = left,
                _ => break,
            }
        }
        self.value.extend_from_slice(&records[..at]);
        at
    }

    /// The key and the value to store.
    pub(crate) fn finish(mut self) -> ([u8; 8], Vec<u8>) {
        let key = key(self.first);
        seal::payload_mut(&mut self.value)[..COUNT_BYTES].copy_from_slice(&self.count.to_le_bytes());
        seal::finish(Kind::Chunk, &key, &mut self.value);
        (key, self.value)
    }
}

/// The key and the value of a chunk of these records, which have those numbers.
pub(crate) fn store(range: &Range<u64>, records: &[u8]) -> ([u8; 8], Vec<u8>) {
    let key = key(range.start);
    let mut value = seal::begin(COUNT_BYTES + records.len());
    value.extend_from_slice(&((range.end - range.start) as u32).to_le_bytes());
    value.extend_from_slice(records);
    seal::finish(Kind::Chunk, &key, &mut value);
    (key, value)
}

/// A stored chunk.
pub(crate) struct Chunk {
    range: Range<u64>,
    /// The payload: the count and the records.
    payload: StoredPayload,
}

impl Chunk {
    /// Checks what is stored under that key.
    pub(crate) fn open(key: &[u8], value: Slice) -> Result<Chunk> {
        let payload = StoredPayload::open(Kind::Chunk, key, value)?;
        let parts = key.first_chunk::<8>().zip(payload.bytes().first_chunk::<COUNT_BYTES>());
        let Some((first, count)) = parts else { return Err(seal::damaged(Kind::Chunk, key, "it is cut short")) };
        let first = u64::from_be_bytes(*first);
        let end = first.saturating_add(u32::from_le_bytes(*count).into());
        Ok(Chunk { range: first..end, payload })
    }

    /// The sequence numbers of its records.
    pub(crate) fn range(&self) -> &Range<u64> {
        &self.range
    }

    /// Its records that are in the range.
    pub(crate) fn records(&self, range: &Range<u64>) -> Result<&[u8]> {
        let all = self.bytes();
        let start = if range.start <= self.range.start { 0 } else { self.offset(0, range.start - self.range.start)? };
        if range.end >= self.range.end {
            return Ok(&all[start..]);
        }
        let kept = range.end.saturating_sub(range.start.max(self.range.start));
        let end = self.offset(start, kept)?;
        Ok(&all[start..end])
    }

    /// The offset that is `records` records behind `from`.
    pub(crate) fn offset(&self, from: usize, records: u64) -> Result<usize> {
        let mut at = from;
        for _ in 0..records {
            at += self.bytes().get(at..).and_then(record_length).ok_or_else(|| self.damaged())?;
        }
        Ok(at)
    }

    /// The record at an offset, which must have that number, and how long it is.
    pub(crate) fn record(&self, at: usize, sequence: u64) -> Result<EventRef<'_>> {
        let read = self.bytes().get(at..).and_then(EventRef::read);
        read.map(|read| read.0).filter(|event| event.sequence() == sequence).ok_or_else(|| self.damaged())
    }

    fn bytes(&self) -> &[u8] {
        self.payload.bytes().get(COUNT_BYTES..).unwrap_or_default()
    }

    fn damaged(&self) -> StoreError {
        seal::damaged(Kind::Chunk, &key(self.range.start), "its records are not those that it counts")
    }
}

/// The length of the first record.
fn record_length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(*bytes.first_chunk::<4>()?) as usize + 4;
    (length <= bytes.len()).then_some(length)
}

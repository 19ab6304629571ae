//! Up to where each partition of each source is in the log of events.
//!
//! A row for each partition, beside the data: `"position/"`, the source, a zero byte and the partition (big-endian),
//! under which stands the offset. Rows are written in the batch of the records that they speak of.

use std::collections::BTreeMap;

use audience_contract::{Result, SourcePosition, StoreError};

use crate::db::Db;
use crate::seal::{self, Kind};

const PREFIX: &[u8] = b"position/";

/// The next offset of each source and partition.
#[derive(Clone, Default)]
pub(crate) struct Positions(BTreeMap<(String, u32), u64>);

impl Positions {
    /// Reads those that are stored.
    pub(crate) fn read(db: &Db) -> Result<Positions> {
        let mut found = BTreeMap::new();
        for row in db.meta().prefix(PREFIX) {
            let (key, value) = row.into_inner().map_err(|e| db.error("reading positions", e))?;
            let payload = seal::open(Kind::Position, &key, &value)?;
            let (Some(place), Some((next_offset, _))) = (decode_key(&key), seal::read_u64(&payload)) else {
                return Err(seal::damaged(Kind::Position, &key, "it is cut short"));
            };
            found.insert(place, next_offset);
        }
        Ok(Positions(found))
    }

    /// Fails where one of the new positions is behind the one that is known, or names no source.
    pub(crate) fn check(&self, new: &[SourcePosition]) -> Result<()> {
        let refused = |detail| Err(StoreError::Unavailable { action: "appending events", detail });
        for position in new {
            let SourcePosition { source, partition, next_offset } = position;
            if source.is_empty() || source.contains('\0') {
                return refused(format!("{source:?} is no name of a source"));
            }
            let known = self.0.get(&(source.clone(), *partition)).copied().unwrap_or(0);
            if *next_offset < known {
                return refused(format!(
                    "partition {partition} of {source} is taken up to {known}, and offsets up to {next_offset} were \
                     read again: another process reads it too"
                ));
            }
        }
        Ok(())
    }

    /// Takes over new positions.
    pub(crate) fn advance(&mut self, new: &[SourcePosition]) {
        self.0.extend(new.iter().map(|new| ((new.source.clone(), new.partition), new.next_offset)));
    }

    /// Takes over those of another, which is later.
    pub(crate) fn merge(&mut self, later: &Positions) {
        self.0.extend(later.0.iter().map(|(place, next_offset)| (place.clone(), *next_offset)));
    }

    /// All of them, in order.
    pub(crate) fn all(&self) -> Vec<SourcePosition> {
        let position = |((source, partition), next_offset): (&(String, u32), &u64)| SourcePosition {
            source: source.clone(),
            partition: *partition,
            next_offset: *next_offset,
        };
        self.0.iter().map(position).collect()
    }

    /// As they are stored.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + '_ {
        self.0.iter().map(|((source, partition), next_offset)| {
            let key = [PREFIX, source.as_bytes(), &[0], &partition.to_be_bytes()].concat();
            let value = seal::seal(Kind::Position, &key, &next_offset.to_be_bytes());
            (key, value)
        })
    }
}

fn decode_key(key: &[u8]) -> Option<(String, u32)> {
    let (source, partition) = key.strip_prefix(PREFIX)?.split_last_chunk::<4>()?;
    let source = std::str::from_utf8(source.strip_suffix(&[0])?).ok()?;
    Some((source.to_owned(), u32::from_be_bytes(*partition)))
}

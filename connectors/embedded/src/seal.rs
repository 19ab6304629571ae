//! The frame around every stored value: `"AM"` · `kind u8` · `version u8` · `checksum u64 LE` · payload.
//!
//! The checksum (xxh3) is over kind, version, key and payload, so that a value under the wrong key is noticed too.

use std::borrow::Cow;

use audience_contract::{Result, StoreError};
use fjall::Slice;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Bytes before the payload. No other module counts them.
const HEADER: usize = 12;
const MAGIC: [u8; 2] = *b"AM";
const VERSION: u8 = 1;

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A run of events.
    Chunk = 1,
    /// A row of the index by user.
    IndexRow = 2,
    /// A number kept beside the data.
    Number = 3,
    /// The least sequence of a message.
    Message = 4,
    /// The changes of a tick.
    Changes = 5,
    /// The progress of changes.
    Progress = 6,
    /// A version of a document.
    Document = 7,
    /// The documents of a version of the catalogue.
    CatalogueVersion = 8,
    /// A shard of a checkpoint.
    Shard = 9,
    /// The manifest of a checkpoint.
    Manifest = 10,
    /// The number of the last durable commit.
    Mark = 11,
    /// Up to where a partition of a source is in the log.
    Position = 12,
    /// A note of the platform.
    Note = 13,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Chunk => "a run of events",
            Kind::IndexRow => "a row of the index by user",
            Kind::Number => "a number",
            Kind::Message => "a message",
            Kind::Changes => "the changes of a tick",
            Kind::Progress => "the progress",
            Kind::Document => "a document",
            Kind::CatalogueVersion => "a version of the catalogue",
            Kind::Shard => "a shard of a checkpoint",
            Kind::Manifest => "the manifest of a checkpoint",
            Kind::Mark => "the mark of the last durable commit",
            Kind::Position => "the position of a source",
            Kind::Note => "a note",
        }
    }
}

/// A buffer with room for the header; append the payload, then [`finish`].
pub(crate) fn begin(capacity: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER + capacity);
    value.resize(HEADER, 0);
    value
}

/// The payload of a value made by [`begin`].
pub(crate) fn payload_mut(value: &mut [u8]) -> &mut [u8] {
    value.get_mut(HEADER..).unwrap_or_default()
}

/// The length of the payload of a stored value of that length, in bytes.
pub(crate) fn payload_size(stored: u64) -> u64 {
    stored.saturating_sub(HEADER as u64)
}

/// Fills in the header of a value made by [`begin`].
pub(crate) fn finish(kind: Kind, key: &[u8], value: &mut [u8]) {
    let checksum = checksum(kind, key, &value[HEADER..]);
    value[..2].copy_from_slice(&MAGIC);
    value[2] = kind as u8;
    value[3] = VERSION;
    value[4..HEADER].copy_from_slice(&checksum.to_le_bytes());
}

/// A payload in its frame.
pub(crate) fn seal(kind: Kind, key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut value = begin(payload.len());
    value.extend_from_slice(payload);
    finish(kind, key, &mut value);
    value
}

/// The payload of a value, where it is whole.
pub(crate) fn open<'a>(kind: Kind, key: &[u8], value: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    let Some((header, payload)) = value.split_first_chunk::<HEADER>() else {
        return Err(damaged(kind, key, "it is cut short"));
    };
    let [m0, m1, found, version, stored @ ..] = *header;
    if [m0, m1] != MAGIC || found != kind as u8 {
        return Err(damaged(kind, key, "it begins with something else"));
    }
    if version != VERSION {
        return Err(damaged(kind, key, &format!("it has version {version}, and {VERSION} is the newest known")));
    }
    if u64::from_le_bytes(stored) != checksum(kind, key, payload) {
        return Err(damaged(kind, key, "its checksum does not hold"));
    }
    Ok(Cow::Borrowed(payload))
}

/// The payload of a value that was read, without a copy where the value holds it as it is.
pub(crate) struct StoredPayload {
    value: Slice,
    start: usize,
}

impl StoredPayload {
    /// Keeps a value that is whole.
    pub(crate) fn open(kind: Kind, key: &[u8], value: Slice) -> Result<StoredPayload> {
        if let Cow::Owned(payload) = open(kind, key, &value)? {
            return Ok(StoredPayload { value: payload.into(), start: 0 });
        }
        Ok(StoredPayload { value, start: HEADER })
    }

    /// The bytes of the payload.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.value.get(self.start..).unwrap_or_default()
    }
}

/// The payload of a value that is not needed any more.
pub(crate) fn open_vec(kind: Kind, key: &[u8], mut value: Vec<u8>) -> Result<Vec<u8>> {
    if let Cow::Owned(payload) = open(kind, key, &value)? {
        return Ok(payload);
    }
    value.drain(..HEADER);
    Ok(value)
}

/// The error for a value that is not what was stored.
pub(crate) fn damaged(kind: Kind, key: &[u8], detail: &str) -> StoreError {
    let mut place = String::from(kind.name());
    if !key.is_empty() {
        place.push_str(" under the key ");
        for byte in key.iter().take(40) {
            place.push_str(&format!("{byte:02x}"));
        }
    }
    StoreError::Corrupt { place, detail: detail.to_owned() }
}

/// The first eight bytes as a number, and the rest.
pub(crate) fn read_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*number), rest))
}

fn checksum(kind: Kind, key: &[u8], payload: &[u8]) -> u64 {
    let seed = xxh3_64(key) ^ (u64::from(kind as u8) << 8 | u64::from(VERSION));
    xxh3_64_with_seed(payload, seed)
}

//! The checks before fjall opens a database.
//!
//! fjall checks its blocks and batches, but trusts two things: the list of the files that make up a keyspace (it deletes
//! files that are not listed), and the order numbers of the batches in its journals (it skips those that seem old). Both
//! are checked here. Where a loss of power left a hole in the last batch of the journal, which nobody was told is
//! durable, fjall refuses to open; the hole is cut off here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use audience_contract::{Result, StoreError};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::db::COMMITS_KEY;
use crate::directory::unavailable;
use crate::seal::{self, Kind};

const ACTION: &str = "checking a store";
/// Bytes of a journal that are read at once.
const PIECE: usize = 64 * 1024;

/// Checks a database of which `acknowledged` commits are said to be durable.
pub(crate) fn verify(path: &Path, acknowledged: u64) -> Result<()> {
    for keyspace in entries(&path.join("keyspaces"))? {
        check_version_file(&keyspace)?;
    }
    check_journals(path, acknowledged)
}

/// `current` says which version file counts, and its checksum.
fn check_version_file(keyspace: &Path) -> Result<()> {
    let current = keyspace.join("current");
    let bytes = match fs::read(&current) {
        Ok(bytes) => bytes,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(corrupt(&current, "it is missing"));
        }
        Err(e) => return Err(unavailable(ACTION, &current, &e)),
    };
    let Ok(bytes) = <[u8; 25]>::try_from(bytes) else { return Err(corrupt(&current, "it is not 25 bytes long")) };
    let (id, rest) = bytes.split_at(8);
    let (checksum, tail) = rest.split_at(16);
    let id = u64::from_le_bytes(id.try_into().unwrap_or_default());
    let checksum = u128::from_le_bytes(checksum.try_into().unwrap_or_default());
    let version = keyspace.join(format!("v{id}"));
    let content = match fs::read(&version) {
        Ok(content) => content,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(corrupt(&version, "it is missing")),
        Err(e) => return Err(unavailable(ACTION, &version, &e)),
    };
    if tail != [0] || xxh3_128(&content) != checksum {
        return Err(corrupt(&version, "its checksum does not hold"));
    }
    Ok(())
}

fn check_journals(path: &Path, acknowledged: u64) -> Result<()> {
    let mut journals: Vec<(u64, PathBuf)> = entries(path)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "jnl"))
        .filter_map(|path| Some((path.file_stem()?.to_str()?.parse().ok()?, path)))
        .collect();
    journals.sort();
    let Some(active) = journals.len().checked_sub(1) else { return Ok(()) };
    let mut state = Replay::default();
    for (at, (_, journal)) in journals.iter().enumerate() {
        let bytes = read_written(journal).map_err(|e| unavailable(ACTION, journal, &e))?;
        let (valid, end) = state.run(&bytes);
        if let End::OutOfOrder = end {
            return Err(corrupt(journal, "its batches are out of order"));
        }
        let rest = bytes.get(valid..).unwrap_or_default();
        if at < active {
            // Sealed: everything in it was made durable, and the rest was set aside as zeros.
            if rest.iter().any(|byte| *byte != 0) {
                return Err(corrupt(journal, "a batch in it cannot be read"));
            }
        } else {
            check_active_end(journal, valid, end, state.commits, acknowledged)?;
        }
    }
    Ok(())
}

/// Reads a journal up to its last piece that is not of zeros. fjall sets 64 MiB aside for each, of which mostly little is
/// written; and no batch ends with a zero.
fn read_written(journal: &Path) -> io::Result<Vec<u8>> {
    let (mut file, mut piece) = (File::open(journal)?, Vec::with_capacity(PIECE));
    let (mut bytes, mut zeros) = (Vec::new(), 0);
    loop {
        piece.clear();
        if file.by_ref().take(PIECE as u64).read_to_end(&mut piece)? == 0 {
            return Ok(bytes);
        }
        if piece.iter().all(|byte| *byte == 0) {
            zeros += piece.len();
        } else {
            bytes.resize(bytes.len() + std::mem::take(&mut zeros), 0);
            bytes.extend_from_slice(&piece);
        }
    }
}

/// The end of the active journal may be torn, as far as nobody was told that it is durable.
fn check_active_end(journal: &Path, valid: usize, end: End, commits: Option<u64>, acknowledged: u64) -> Result<()> {
    if commits.is_some_and(|commits| commits < acknowledged) {
        return Err(corrupt(journal, "acknowledged commits cannot be read"));
    }
    if let End::BadBatch = end {
        tracing::warn!(journal = %journal.display(), at = valid, "The store cuts off a torn write that was never acknowledged");
        let cut = OpenOptions::new().write(true).open(journal).and_then(|file| {
            file.set_len(valid as u64)?;
            file.sync_all()
        });
        cut.map_err(|e| unavailable("cutting off a torn write", journal, &e))?;
    }
    Ok(())
}

/// The end of the batches of a journal.
#[derive(Clone, Copy)]
enum End {
    /// Something that is no batch: zeros, a torn batch, anything. fjall cuts it off.
    Torn,
    /// A complete batch that is wrong. fjall refuses to open.
    BadBatch,
    /// A batch with a lower number than one before it.
    OutOfOrder,
}

/// The state after the batches read so far.
#[derive(Default)]
struct Replay {
    order: Option<u64>,
    commits: Option<u64>,
}

impl Replay {
    /// Reads the batches of a journal; gives where the last good one ends, and what is there.
    fn run(&mut self, bytes: &[u8]) -> (usize, End) {
        let mut valid = 0;
        loop {
            let rest = bytes.get(valid..).unwrap_or_default();
            let Some(batch) = read_batch(rest) else { return (valid, End::Torn) };
            let Ok(batch) = batch else { return (valid, End::BadBatch) };
            if self.order.is_some_and(|order| batch.order <= order) {
                return (valid, End::OutOfOrder);
            }
            self.order = Some(batch.order);
            self.commits = batch.commits.or(self.commits);
            valid += batch.length;
        }
    }
}

struct VerifiedBatch {
    order: u64,
    commits: Option<u64>,
    length: usize,
}

/// Reads one batch: `start`, items, `end` with a checksum over the items. `None` where it cannot be read, `Err` where it
/// can and is wrong.
fn read_batch(bytes: &[u8]) -> Option<Result<VerifiedBatch, ()>> {
    let mut reader = NumberReader { bytes, at: 0 };
    if reader.u8()? != 1 {
        return None;
    }
    let count = reader.u32()?;
    let order = reader.u64()?;
    let mut commits = None;
    let mut hash = Xxh3::new();
    let mut items = 0u32;
    loop {
        let start = reader.at;
        match reader.u8()? {
            2 => {
                let (key, value) = reader.item()?;
                if key == COMMITS_KEY {
                    let number = seal::open(Kind::Number, key, value).ok();
                    commits = number.and_then(|number| Some(seal::read_u64(&number)?.0));
                }
            }
            4 => {
                reader.u64()?;
            }
            3 => {
                let checksum = reader.u64()?;
                if reader.take(4)? != b"FJL\x03" {
                    return None;
                }
                let good = items == count && hash.digest() == checksum;
                return Some(if good { Ok(VerifiedBatch { order, commits, length: reader.at }) } else { Err(()) });
            }
            _ => return None,
        }
        items = items.saturating_add(1);
        hash.update(bytes.get(start..reader.at)?);
    }
}

/// A cursor over little-endian numbers.
struct NumberReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> NumberReader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    /// An item behind its tag: kind of value, compression, keyspace, lengths, key, value.
    fn item(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        self.take(2)?;
        self.u64()?;
        let key = self.u16()?;
        self.u32()?;
        let value = self.u32()?;
        Some((self.take(key.into())?, self.take(value as usize)?))
    }
}

fn entries(path: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    match read() {
        Ok(entries) => Ok(entries),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(corrupt(path, "it is missing")),
        Err(e) => Err(unavailable(ACTION, path, &e)),
    }
}

fn corrupt(path: &Path, detail: &str) -> StoreError {
    StoreError::Corrupt { place: path.display().to_string(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_read_up_to_its_last_piece_with_anything_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let journal = directory.path().join("0.jnl");
        for written in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let mut content = vec![0; 5 * PIECE + 7];
            if let Some(last) = written.checked_sub(1) {
                content[0] = 1;
                content[last] = 3;
            }
            fs::write(&journal, &content).unwrap();
            let read = read_written(&journal).unwrap();
            assert!(read.len() >= written && read.len() < written + PIECE, "{} of {written}", read.len());
            assert_eq!(read, content[..read.len()]);
        }
    }
}

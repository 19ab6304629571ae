//! The notes of the platform, in the ledger beside changes and catalogue: rows of `"note/"` and the key.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use audience_contract::{ChangedNotes, Note, Notes as _, NotesMark, Result, VisitNote};
use parking_lot::Mutex;

use crate::db::Db;
use crate::seal::{self, Kind};

const PREFIX: &[u8] = b"note/";
/// The prefix after all notes.
const PREFIX_END: &[u8] = b"note0";
/// Bytes of the newest writes that are remembered, at most.
const REMEMBERED_BYTES: usize = 4 << 20;

/// The notes. A write costs one fsync.
pub struct LedgerNotes {
    db: Arc<Db>,
    recent: Mutex<RecentNotes>,
}

/// The newest writes, for those who copy the notes.
struct RecentNotes {
    mark: NotesMark,
    /// The oldest first; the last is the one that the mark counts.
    writes: VecDeque<Vec<Note>>,
    bytes: usize,
}

impl RecentNotes {
    fn push(&mut self, notes: &[Note]) {
        self.mark.writes += 1;
        self.bytes += size(notes);
        self.writes.push_back(notes.to_vec());
        while self.bytes > REMEMBERED_BYTES
            && let Some(oldest) = self.writes.pop_front()
        {
            self.bytes -= size(&oldest);
        }
    }

    /// The notes written since a mark; `None` where they are not remembered.
    fn since(&self, mark: NotesMark) -> Option<Vec<Note>> {
        let writes = self.mark.writes.checked_sub(mark.writes).filter(|_| mark.opened == self.mark.opened)?;
        let first = self.writes.len().checked_sub(usize::try_from(writes).ok()?)?;
        Some(self.writes.range(first..).flatten().cloned().collect())
    }
}

fn size(notes: &[Note]) -> usize {
    notes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum()
}

impl LedgerNotes {
    /// Those of the ledger.
    pub(crate) fn open(db: Arc<Db>) -> LedgerNotes {
        // Random keys are another at each opening.
        let mark = NotesMark { opened: RandomState::new().build_hasher().finish(), writes: 0 };
        LedgerNotes { db, recent: Mutex::new(RecentNotes { mark, writes: VecDeque::new(), bytes: 0 }) }
    }

    /// Reads every note, and looks each up.
    pub(crate) fn check(&self) -> Result<()> {
        for row in self.db.meta().prefix(PREFIX) {
            let key = row.key().map_err(|e| self.db.error("reading notes", e))?;
            if self.get(&key[PREFIX.len()..])?.is_none() {
                return Err(seal::damaged(Kind::Note, &key, "it is not found where it is"));
            }
        }
        Ok(())
    }
}

impl audience_contract::Notes for LedgerNotes {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let key = stored(key);
        let value = self.db.meta().get(&key).map_err(|e| self.db.error("reading a note", e))?;
        value.map(|value| Ok(seal::open(Kind::Note, &key, &value)?.into_owned())).transpose()
    }

    fn visit(&self, from: &[u8], to: &[u8], visit: &mut VisitNote<'_>) -> Result<()> {
        for row in self.db.meta().range(stored(from)..stored(to)) {
            let (key, value) = row.into_inner().map_err(|e| self.db.error("reading notes", e))?;
            let payload = seal::open(Kind::Note, &key, &value)?;
            if visit(&key[PREFIX.len()..], &payload).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, notes: &[Note]) -> Result<()> {
        // Those who copy the notes see the writes in the order of the commits.
        let mut recent = self.recent.lock();
        self.db.commit("writing notes", |batch| {
            for (key, value) in notes {
                let key = stored(key);
                match value {
                    Some(value) => batch.insert(self.db.meta(), key.clone(), seal::seal(Kind::Note, &key, value)),
                    None => batch.remove(self.db.meta(), key),
                }
            }
        })?;
        recent.push(notes);
        Ok(())
    }

    fn changed_since(&self, mark: Option<NotesMark>) -> Result<ChangedNotes> {
        let recent = self.recent.lock();
        let now = recent.mark;
        if let Some(notes) = mark.and_then(|mark| recent.since(mark)) {
            return Ok(ChangedNotes { mark: now, is_all: false, notes });
        }
        drop(recent);
        // What is written meanwhile may be among them, and comes again with the next mark.
        let mut notes = Vec::new();
        for row in self.db.meta().range(PREFIX..PREFIX_END) {
            let (key, value) = row.into_inner().map_err(|e| self.db.error("reading notes", e))?;
            notes.push((key[PREFIX.len()..].to_vec(), Some(seal::open(Kind::Note, &key, &value)?.into_owned())));
        }
        Ok(ChangedNotes { mark: now, is_all: true, notes })
    }
}

fn stored(key: &[u8]) -> Vec<u8> {
    [PREFIX, key].concat()
}

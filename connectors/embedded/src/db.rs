//! A fjall database as the stores use it: opened with checks, with numbered durable commits, and errors of the contract.
//!
//! fjall 3.1 has these properties, and this module answers them:
//!
//! - It cuts a journal off at the first thing it cannot read, even where acknowledged commits follow. Every durable
//!   commit is numbered, and [`Mark`] keeps the last number: fewer commits than that are [`StoreError::Corrupt`].
//! - It trusts some files without a check, and panics on some damage: [`verify`] looks first, and opening is shielded.
//! - It goes read-only for good after a failed write. Free space is therefore looked at before every write. After one that
//!   failed this store, too, takes no more until it is opened again, whatever fjall would say.
//! - It cannot be opened again where a crash left it half made: it is made under another name and renamed.

use std::any::Any;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use audience_contract::{Result, StoreError, failpoint, failpoint_error};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use parking_lot::Mutex;

use crate::directory::{Directory, DirectoryLock, sync_directory, unavailable};
use crate::mark::Mark;
use crate::seal::{self, Kind};
use crate::verify;

/// The keyspace for what is kept beside the data.
const META: &str = "meta";
/// The key in [`META`] of the number of durable commits.
pub(crate) const COMMITS_KEY: &[u8] = b"durable commits";

/// Journals larger than this are worked off. They are read when a database is opened, which takes about a second a GiB.
const JOURNAL_BYTES: u64 = 128 << 20;

/// fjall begins a new journal once one is longer than 64,000,000 bytes.
const ROTATED_JOURNAL_BYTES: usize = 64_100_000;
/// The key in [`META`] of whether something was noted as stale since the last purge.
const STALE_KEY: &[u8] = b"stale";
/// The key in [`META`] of what makes the journal long enough for a new one.
const PADDING_KEY: &[u8] = b"padding";

/// The options of a keyspace.
pub(crate) type KeyspaceOptions = fn() -> KeyspaceCreateOptions;

/// The parts of a database.
pub(crate) struct Layout {
    /// The directory's name.
    pub name: &'static str,
    /// Its keyspaces, and how each is made.
    pub keyspaces: &'static [(&'static str, KeyspaceOptions)],
    /// Memory for blocks, bytes.
    pub cache_bytes: u64,
    /// Memory for what is written to a keyspace until it goes into a file, bytes.
    pub buffer_bytes: u64,
    /// Threads that flush and compact.
    pub workers: usize,
}

/// An open database.
pub(crate) struct Db {
    meta: Keyspace,
    database: Database,
    commits: Mutex<Commits>,
    /// Set once a write has failed.
    broken: AtomicBool,
    name: &'static str,
    path: PathBuf,
    reserve_bytes: u64,
    _lock: Arc<DirectoryLock>,
}

struct Commits {
    count: u64,
    mark: Mark,
}

impl Db {
    /// Opens the database, and makes it in a directory that is not complete.
    pub(crate) fn open(directory: &Directory, layout: &Layout, reserve_bytes: u64) -> Result<Db> {
        let path = directory.path().join(layout.name);
        if !path.exists() {
            if directory.complete() {
                return Err(StoreError::Corrupt { place: path.display().to_string(), detail: "it is missing".into() });
            }
            create(directory.path(), layout)?;
        }
        let (mark, acknowledged) = Mark::open(&path)?;
        verify::verify(&path, acknowledged)?;
        let database = open_database(&path, layout)?;
        let meta = existing(&database, layout.name, META)?;
        for (name, _) in layout.keyspaces {
            existing(&database, layout.name, name)?;
        }
        let count = number(layout.name, &meta, COMMITS_KEY)?.unwrap_or(0);
        if count < acknowledged {
            return Err(StoreError::Corrupt {
                place: path.display().to_string(),
                detail: format!("{} of {acknowledged} acknowledged commits are missing", acknowledged - count),
            });
        }
        mark.set(count);
        Ok(Db {
            meta,
            database,
            commits: Mutex::new(Commits { count, mark }),
            broken: AtomicBool::new(false),
            name: layout.name,
            path,
            reserve_bytes,
            _lock: directory.lock(),
        })
    }

    /// A keyspace of the layout.
    pub(crate) fn keyspace(&self, name: &'static str) -> Result<Keyspace> {
        existing(&self.database, self.name, name)
    }

    /// The keyspace for what is kept beside the data.
    pub(crate) fn meta(&self) -> &Keyspace {
        &self.meta
    }

    /// A view that later writes do not change.
    pub(crate) fn snapshot(&self) -> fjall::Snapshot {
        self.database.snapshot()
    }

    /// Writes all or nothing, durable on return. One at a time: each takes an fsync.
    pub(crate) fn commit(&self, action: &'static str, fill: impl FnOnce(&mut OwnedWriteBatch)) -> Result<()> {
        self.attempt(action, || {
            let mut commits = self.commits.lock();
            let count = commits.count + 1;
            let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
            fill(&mut batch);
            batch.insert(&self.meta, COMMITS_KEY, seal::seal(Kind::Number, COMMITS_KEY, &count.to_be_bytes()));
            failpoint_error(self.name, "write").map_err(|e| self.error(action, fjall::Error::Io(e)))?;
            batch.commit().map_err(|e| self.error(action, e))?;
            failpoint_error(self.name, "sync").map_err(|e| self.error(action, fjall::Error::Io(e)))?;
            failpoint("commit_written");
            commits.count = count;
            commits.mark.set(count);
            Ok(())
        })
    }

    /// Writes all or nothing; durable with the next [`commit`](Self::commit).
    pub(crate) fn write(&self, action: &'static str, fill: impl FnOnce(&mut OwnedWriteBatch)) -> Result<()> {
        self.attempt(action, || {
            let mut batch = self.database.batch();
            fill(&mut batch);
            batch.commit().map_err(|e| self.error(action, e))
        })
    }

    /// Notes, in a batch, that something was overwritten of which nothing is to be left on the disk.
    pub(crate) fn note_stale(&self, batch: &mut OwnedWriteBatch) {
        batch.insert(&self.meta, STALE_KEY, seal::seal(Kind::Number, STALE_KEY, &1_u64.to_be_bytes()));
    }

    /// Writes the files anew that have anything in them which was overwritten or removed, where that was noted since the
    /// last time; gives whether it was. Files of a view that somebody still holds stay until they let go of it.
    pub(crate) fn purge(&self, action: &'static str) -> Result<bool> {
        if self.number(STALE_KEY)?.is_none_or(|stale| stale == 0) {
            return Ok(false);
        }
        let names = self.database.list_keyspace_names();
        let keyspaces =
            names.iter().map(|name| existing(&self.database, self.name, name)).collect::<Result<Vec<_>>>()?;
        // The journal is given up for a new one once it is this long and all of it is in files.
        self.write(action, |batch| {
            let padding = vec![0; ROTATED_JOURNAL_BYTES];
            batch.insert(&self.meta, PADDING_KEY, seal::seal(Kind::Number, PADDING_KEY, &padding));
        })?;
        keyspaces.iter().try_for_each(|keyspace| self.reclaim(action, keyspace))?;
        self.commit(action, |batch| {
            batch.remove(&self.meta, PADDING_KEY);
            batch.insert(&self.meta, STALE_KEY, seal::seal(Kind::Number, STALE_KEY, &0_u64.to_be_bytes()));
        })?;
        Ok(true)
    }

    /// Gives the disk back what was removed from a keyspace. Values of their own files are written anew only where such a file has
    /// removed ones too.
    pub(crate) fn reclaim(&self, action: &'static str, keyspace: &Keyspace) -> Result<()> {
        shielded(self.name, || {
            // First so that what is removed is counted, then so that it goes.
            for _ in 0..2 {
                keyspace.rotate_memtable_and_wait().map_err(|e| self.error(action, e))?;
                keyspace.major_compact().map_err(|e| self.error(action, e))?;
            }
            Ok(())
        })
    }

    /// A number from [`META`].
    pub(crate) fn number(&self, key: &[u8]) -> Result<Option<u64>> {
        number(self.name, &self.meta, key)
    }

    /// A fault of fjall in the words of the contract.
    pub(crate) fn error(&self, action: &'static str, error: fjall::Error) -> StoreError {
        store_error(self.name, action, error)
    }

    /// Writes, where there is room and no write has failed before. A failure leaves open whether it was written.
    fn attempt(&self, action: &'static str, write: impl FnOnce() -> Result<()>) -> Result<()> {
        if self.broken.load(Ordering::Acquire) {
            return Err(broken(self.name, action));
        }
        self.check_room(action)?;
        shielded(self.name, write).map_err(|error| {
            self.broken.store(true, Ordering::Release);
            match error {
                StoreError::Broken { .. } => error,
                StoreError::Unavailable { detail, .. } => StoreError::Unknown { action, detail },
                error => StoreError::Unknown { action, detail: error.to_string() },
            }
        })
    }

    fn check_room(&self, action: &'static str) -> Result<()> {
        let Ok(disk) = rustix::fs::statvfs(&self.path) else { return Ok(()) };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= self.reserve_bytes {
            return Ok(());
        }
        let detail = format!(
            "the disk of {} has {free} bytes left, and {} are kept in reserve; writing goes on once there is room",
            self.path.display(),
            self.reserve_bytes
        );
        Err(StoreError::Unavailable { action, detail })
    }
}

/// Runs what calls into fjall, so that a panic in there is an error here.
pub(crate) fn shielded<T>(place: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let detail = format!("the storage engine panicked: {}; a restart is needed", panic_text(&*panic));
        Err(StoreError::Corrupt { place: place.to_owned(), detail })
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}

/// Makes a database under another name and gives it its own, so that it is there whole or not at all.
pub(crate) fn create(directory: &Path, layout: &Layout) -> Result<()> {
    let path = directory.join(format!("{}.new", layout.name));
    let failed = |e: &io::Error| unavailable("making a store", &path, e);
    match fs::remove_dir_all(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(&e)),
        _ => {}
    }
    fs::create_dir(&path).map_err(|e| failed(&e))?;
    let database = open_database(&path, layout)?;
    shielded(layout.name, || {
        let made = database.keyspace(META, || buffered(KeyspaceCreateOptions::default(), layout));
        made.map_err(|e| store_error(layout.name, "making a store", e))?;
        for (name, options) in layout.keyspaces {
            let made = database.keyspace(name, || buffered(options(), layout));
            made.map_err(|e| store_error(layout.name, "making a store", e))?;
        }
        Ok(())
    })?;
    drop(database);
    Mark::create(&path).map_err(|e| failed(&e))?;
    fs::rename(&path, directory.join(layout.name)).map_err(|e| failed(&e))?;
    sync_directory(directory).map_err(|e| failed(&e))
}

fn buffered(options: KeyspaceCreateOptions, layout: &Layout) -> KeyspaceCreateOptions {
    options.max_memtable_size(layout.buffer_bytes)
}

fn open_database(path: &Path, layout: &Layout) -> Result<Database> {
    shielded(layout.name, || {
        Database::builder(path)
            .cache_size(layout.cache_bytes)
            .worker_threads(layout.workers)
            .max_journaling_size(JOURNAL_BYTES)
            .open()
            .map_err(|e| store_error(layout.name, "opening a store", e))
    })
}

fn existing(database: &Database, place: &'static str, name: &str) -> Result<Keyspace> {
    shielded(place, || {
        if !database.keyspace_exists(name) {
            let detail = format!("the keyspace {name} is missing");
            return Err(StoreError::Corrupt { place: place.to_owned(), detail });
        }
        database.keyspace(name, KeyspaceCreateOptions::default).map_err(|e| store_error(place, "opening a keyspace", e))
    })
}

fn number(place: &'static str, meta: &Keyspace, key: &[u8]) -> Result<Option<u64>> {
    let Some(value) = meta.get(key).map_err(|e| store_error(place, "reading a number", e))? else { return Ok(None) };
    let payload = seal::open(Kind::Number, key, &value)?;
    let (number, _) = seal::read_u64(&payload).ok_or_else(|| seal::damaged(Kind::Number, key, "it is cut short"))?;
    Ok(Some(number))
}

/// The error of a store in which an earlier write has failed.
fn broken(place: &'static str, action: &'static str) -> StoreError {
    let detail = format!("an earlier write to {place} failed, and it takes no more until it is opened again");
    StoreError::Broken { action, detail }
}

fn store_error(place: &'static str, action: &'static str, error: fjall::Error) -> StoreError {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
    match error {
        fjall::Error::Locked => StoreError::InUse(place.to_owned()),
        fjall::Error::Poisoned => broken(place, action),
        fjall::Error::Io(e) | fjall::Error::Storage(fjall::LsmError::Io(e)) => match e.kind() {
            // A file that is gone or too short was not refused by the system: it is not what was written.
            NotFound | UnexpectedEof | InvalidData | InvalidInput => {
                StoreError::Corrupt { place: place.to_owned(), detail: e.to_string() }
            }
            _ => StoreError::Unavailable { action, detail: format!("{place}: {e}") },
        },
        other => StoreError::Corrupt { place: place.to_owned(), detail: other.to_string() },
    }
}

//! The data directory: its lock, its format, and writing files so that they are there whole or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_contract::{Result, StoreError, failpoint};

const FORMAT: u32 = 1;
const FORMAT_NAME: &str = "audience-data";

/// The time that an opening waits for a directory that another process has.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between looks at whether it is free.
const LOOK: Duration = Duration::from_millis(20);

/// The lock of a data directory; given free by the last store that is dropped.
pub(crate) struct DirectoryLock {
    _file: File,
}

/// A data directory that is being opened.
pub(crate) struct Directory {
    path: PathBuf,
    lock: Arc<DirectoryLock>,
    /// Set if the run that created it finished doing so.
    complete: bool,
}

impl Directory {
    /// Takes the directory for this process, making it where there is none.
    pub(crate) fn open(path: &Path) -> Result<Directory> {
        fs::create_dir_all(path).map_err(|e| unavailable("making the data directory", path, &e))?;
        let path = path.canonicalize().map_err(|e| unavailable("opening the data directory", path, &e))?;
        let lock = Arc::new(lock(&path)?);
        let complete = check_format(&path)?;
        Ok(Directory { path, lock, complete })
    }

    /// Says that everything in it has been made.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.complete {
            return Ok(());
        }
        write_file(&self.path, "FORMAT", format!("{FORMAT_NAME} {FORMAT}\n").as_bytes())
            .map_err(|e| unavailable("writing the format", &self.path, &e))
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The lock, to be held by every store.
    pub(crate) fn lock(&self) -> Arc<DirectoryLock> {
        Arc::clone(&self.lock)
    }

    /// Returns whether everything that belongs into it must be there.
    pub(crate) fn complete(&self) -> bool {
        self.complete
    }
}

fn lock(path: &Path) -> Result<DirectoryLock> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join("LOCK"));
    let file = file.map_err(|e| unavailable("opening the lock", path, &e))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(DirectoryLock { _file: file }),
            // A process that was just killed holds it until its last thread has ended.
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => std::thread::park_timeout(LOOK),
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(path.display().to_string())),
            Err(TryLockError::Error(e)) => return Err(unavailable("locking the data directory", path, &e)),
        }
    }
}

/// Returns whether there is a format file; an error where this program cannot read that format.
fn check_format(path: &Path) -> Result<bool> {
    let text = match fs::read(path.join("FORMAT")) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(unavailable("reading the format", path, &e)),
    };
    let version = std::str::from_utf8(&text).ok().and_then(|text| {
        let version = text.strip_prefix(FORMAT_NAME)?.strip_prefix(' ')?.strip_suffix('\n')?;
        version.parse::<u32>().ok()
    });
    match version {
        Some(FORMAT) => Ok(true),
        Some(newer) if newer > FORMAT => Err(StoreError::Unavailable {
            action: "opening the data directory",
            detail: format!(
                "{} was written by a newer version of this program (format {newer}, this one knows {FORMAT}): use that one",
                path.display()
            ),
        }),
        _ => Err(StoreError::Corrupt {
            place: path.join("FORMAT").display().to_string(),
            detail: format!("it must read `{FORMAT_NAME} {FORMAT}`"),
        }),
    }
}

/// Writes a file under a temporary name, makes it durable, and gives it its name.
pub(crate) fn write_file(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = directory.join(format!("{name}.tmp"));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, directory.join(name))?;
    failpoint("file_renamed");
    sync_directory(directory)
}

/// Makes durable which files a directory has.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The error for something that the system refused.
pub(crate) fn unavailable(action: &'static str, path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable { action, detail: format!("{}: {error}", path.display()) }
}

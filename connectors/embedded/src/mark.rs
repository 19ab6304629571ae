//! The number of the last durable commit, kept outside of the database that it is about.
//!
//! The database's own count of commits comes back from its journal. Where the end of a journal was damaged, fjall takes
//! it for an unfinished write and cuts it off, whatever was acknowledged. The mark is written after the fsync of a
//! commit and before the commit is acknowledged; it is not synced itself, so after a loss of power it may be behind,
//! never ahead. A database that counts less than its mark has lost commits.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use audience_contract::{Result, StoreError};

use crate::directory::{unavailable, write_file};
use crate::seal::{self, Kind};

const NAME: &str = "durable.mark";

/// The file with the number.
pub(crate) struct Mark {
    file: File,
}

impl Mark {
    /// Makes the mark of a new database, at 0.
    pub(crate) fn create(directory: &Path) -> io::Result<()> {
        write_file(directory, NAME, &seal::seal(Kind::Mark, &[], &0u64.to_be_bytes()))
    }

    /// Opens the mark and reads its number.
    pub(crate) fn open(directory: &Path) -> Result<(Mark, u64)> {
        let path = directory.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Corrupt { place: path.display().to_string(), detail: "it is missing".into() });
            }
            Err(e) => return Err(unavailable("reading the mark", &path, &e)),
        };
        let number = seal::open(Kind::Mark, &[], &bytes)?;
        let (number, _) = seal::read_u64(&number).ok_or_else(|| seal::damaged(Kind::Mark, &[], "it is cut short"))?;
        let file =
            OpenOptions::new().write(true).open(&path).map_err(|e| unavailable("opening the mark", &path, &e))?;
        Ok((Mark { file }, number))
    }

    /// Notes a durable commit. A failure only weakens what can be noticed later.
    pub(crate) fn set(&self, number: u64) {
        let bytes = seal::seal(Kind::Mark, &[], &number.to_be_bytes());
        if let Err(error) = self.file.write_all_at(&bytes, 0) {
            tracing::warn!(%error, "The mark of the last durable commit could not be written");
        }
    }
}

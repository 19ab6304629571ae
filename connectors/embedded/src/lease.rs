//! A lease in a directory that the processes share: a file for each version, made whole under its name or not at all.
//!
//! No lock is held anywhere, so that a process that is stopped halfway keeps nobody waiting. The name of a version can be taken
//! once. A process that was stopped may take one that is long replaced; the look after it says so.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use audience_contract::{Lease, LeaseStore, Result, StoreError};

use crate::directory::{sync_directory, unavailable};

const PREFIX: &str = "lease.";
/// Versions that are kept, the newest among them.
const KEPT: usize = 4;

/// A lease in a directory. A renewal costs a file; a change of what it says also two fsyncs.
pub struct FileLease {
    directory: PathBuf,
    /// The name of a file that no other process writes.
    own: String,
}

impl FileLease {
    /// The lease of a directory, which is made where there is none. `writer` is a name that no other process has.
    pub fn open(directory: &Path, writer: &str) -> Result<FileLease> {
        fs::create_dir_all(directory).map_err(|e| unavailable("making the directory of the lease", directory, &e))?;
        Ok(FileLease { directory: directory.to_owned(), own: format!("new.{writer}") })
    }

    /// The versions that are there, newest first.
    fn versions(&self) -> io::Result<Vec<u64>> {
        let mut versions = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            versions.extend(name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u64>().ok()));
        }
        versions.sort_unstable_by(|one, other| other.cmp(one));
        Ok(versions)
    }

    fn path(&self, version: u64) -> PathBuf {
        self.directory.join(format!("{PREFIX}{version:020}"))
    }

    fn try_read(&self) -> io::Result<Option<Lease>> {
        // A version that is replaced meanwhile may be deleted by now.
        let mut last = None;
        loop {
            let Some(newest) = self.versions()?.first().copied() else { return Ok(None) };
            match fs::read(self.path(newest)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && last != Some(newest) => last = Some(newest),
                read => return Ok(Some(serde_json::from_slice(&read?)?)),
            }
        }
    }

    fn try_replace(&self, expected: Option<&Lease>, new: &Lease) -> io::Result<bool> {
        if self.try_read()?.as_ref() != expected {
            return Ok(false);
        }
        let own = self.directory.join(&self.own);
        // The version before is the same file under another name: written in place, it would be empty for a moment.
        match fs::remove_file(&own) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        let mut file = File::create_new(&own)?;
        file.write_all(&serde_json::to_vec(new)?)?;
        let is_renewal = expected.is_some_and(|old| (old.epoch, old.is_followed) == (new.epoch, new.is_followed));
        if !is_renewal {
            file.sync_all()?;
        }
        drop(file);
        match fs::hard_link(&own, self.path(new.version)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            linked => linked?,
        }
        if !is_renewal {
            sync_directory(&self.directory)?;
        }
        let versions = self.versions()?;
        if versions.first() != Some(&new.version) {
            return Ok(false);
        }
        for old in versions.iter().skip(KEPT) {
            // Another process may have deleted it.
            let _ = fs::remove_file(self.path(*old));
        }
        Ok(true)
    }
}

impl LeaseStore for FileLease {
    fn read(&self) -> Result<Option<Lease>> {
        self.try_read().map_err(|e| unavailable("reading the lease", &self.directory, &e))
    }

    fn replace(&self, expected: Option<&Lease>, new: &Lease) -> Result<bool> {
        if new.version != expected.map_or(1, |expected| expected.version + 1) {
            let detail = format!("version {} does not come next", new.version);
            return Err(StoreError::Refused { action: "writing the lease", detail });
        }
        self.try_replace(expected, new).map_err(|e| unavailable("writing the lease", &self.directory, &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_keeps_its_words_when_the_next_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileLease::open(directory.path(), "one").unwrap();
        let lease =
            |version| Lease { version, epoch: 1, holder: "one".to_owned(), lasts_ms: 1000, is_followed: version == 1 };
        assert!(store.replace(None, &lease(1)).unwrap());
        assert!(store.replace(Some(&lease(1)), &lease(2)).unwrap());
        let kept: Lease = serde_json::from_slice(&fs::read(store.path(1)).unwrap()).unwrap();
        assert_eq!(kept, lease(1));
    }
}

//! Backups under a URL: each is a folder, which is a place for objects of its own.

use std::sync::Arc;

use audience_contract::Result;

use crate::{Objects, ObjectsError};

/// The file that makes a backup whole; it is written last.
const WHOLE: &str = "backup.json";

/// The backups under a URL.
pub struct Backups {
    url: String,
    variables: Vec<(String, String)>,
    objects: Arc<Objects>,
}

impl Backups {
    /// Opens what a URL names, as [`Objects::open`] does.
    pub fn open(url: &str, variables: &[(String, String)]) -> Result<Backups, ObjectsError> {
        let objects = Objects::open(url, variables)?;
        Ok(Backups { url: url.trim_end_matches('/').to_owned(), variables: variables.to_vec(), objects })
    }

    /// The names of the backups, oldest first. Those that are not whole are among them. Costs one listing.
    pub fn names(&self) -> Result<Vec<String>> {
        self.objects.folders("listing backups", "")
    }

    /// The place of the backup of that name, which is made where it is not there yet.
    pub fn place(&self, name: &str) -> Result<Arc<Objects>, ObjectsError> {
        Objects::open(&format!("{}/{name}", self.url), &self.variables)
    }

    /// The URL, for people.
    pub fn name(&self) -> &str {
        self.objects.name()
    }
}

impl Objects {
    /// Writes a file of a backup, whole or not at all, durable on return.
    pub fn put_file(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        self.put("writing a file of a backup", name, bytes.into())
    }

    /// A file of a backup, where it is there.
    pub fn file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.get("reading a file of a backup", name)?.map(|bytes| bytes.to_vec()))
    }

    /// Says that the backup here is whole.
    pub fn finish_backup(&self, facts: Vec<u8>) -> Result<()> {
        self.put_file(WHOLE, facts)
    }

    /// The facts of the backup here, where it is whole.
    pub fn backup_facts(&self) -> Result<Option<Vec<u8>>> {
        self.file(WHOLE)
    }
}

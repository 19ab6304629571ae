//! The data directories of the tenants beside `default`, in that of `default`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The folder of the data directories, and of the tenants' parts of a backup.
pub(crate) const FOLDER: &str = "tenants";

/// The data directory of a tenant in that of `default`.
pub(crate) fn of(data: &Path, id: &str) -> PathBuf {
    data.join(FOLDER).join(id)
}

/// The ids and data directories of the tenants of a directory that no process serves.
pub(crate) fn all(data: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let folder = data.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| folder.display().to_string())?,
    };
    let mut directories = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| folder.display().to_string())?;
        directories.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    directories.sort();
    Ok(directories)
}

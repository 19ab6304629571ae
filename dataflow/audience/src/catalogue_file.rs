//! The file in the data directory that names the catalogue to which its memberships belong.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;

/// The catalogue in the data directory itself.
pub(crate) const EMBEDDED: &str = "embedded";
const NAME: &str = "CATALOGUE";

/// The catalogue that a data directory names; none where it is new, or older than the file.
pub(crate) fn read(data: &Path) -> anyhow::Result<Option<String>> {
    let path = data.join(NAME);
    match fs::read_to_string(&path) {
        Ok(known) => Ok(Some(known.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// Names the catalogue of a data directory.
pub(crate) fn write(data: &Path, catalogue: &str) -> anyhow::Result<()> {
    let path = data.join(NAME);
    fs::write(&path, format!("{catalogue}\n")).with_context(|| format!("writing {}", path.display()))
}

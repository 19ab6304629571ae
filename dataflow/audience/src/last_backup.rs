//! The time of the last backup of a data directory, noted in it, so that its age is known after a restart too.

use std::fs;
use std::io;
use std::path::Path;

const NAME: &str = "LAST_BACKUP";

/// Notes when the last backup was begun, in milliseconds since 1970.
pub(crate) fn note(data: &Path, begun_at: i64) -> io::Result<()> {
    let (path, new) = (data.join(NAME), data.join(format!("{NAME}.new")));
    fs::write(&new, format!("{begun_at}\n"))?;
    fs::rename(new, path)
}

/// When the last backup was begun, in milliseconds since 1970; none where none was made, or it cannot be read.
pub(crate) fn read(data: &Path) -> Option<i64> {
    fs::read_to_string(data.join(NAME)).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_note_is_read() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(read(place.path()), None);
        note(place.path(), 7).unwrap();
        note(place.path(), 9).unwrap();
        assert_eq!(read(place.path()), Some(9));
    }
}

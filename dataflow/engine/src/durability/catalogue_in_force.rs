//! The newest catalogue that was in force, as the engine notes it: a store that comes back older, or as another one, is known at
//! the next start too.

use audience_catalogue::Documents;
use audience_contract::{CatalogueStore, ChangeLog, Notes, Progress, StoreError};

use crate::engine::EngineError;

/// The key of the note.
const IN_FORCE: &[u8] = b"catalogue in force";

/// Notes a catalogue that comes into force, where its store gives marks: any other never goes back by itself.
pub(crate) fn note(notes: &dyn Notes, documents: &Documents) -> Result<(), StoreError> {
    let Some(mark) = documents.mark else { return Ok(()) };
    let noted = [documents.version.to_le_bytes().as_slice(), &mark.to_le_bytes()].concat();
    notes.write(&[(IN_FORCE.to_vec(), Some(noted))])
}

fn noted(notes: &dyn Notes) -> Result<Option<(u64, u128)>, StoreError> {
    let Some(noted) = notes.get(IN_FORCE)? else { return Ok(None) };
    let read = || {
        let (version, mark) = noted.split_first_chunk()?;
        Some((u64::from_le_bytes(*version), u128::from_le_bytes(mark.try_into().ok()?)))
    };
    let damaged = || StoreError::Corrupt {
        place: "the note of the catalogue in force".to_owned(),
        detail: "it has another length".to_owned(),
    };
    read().map(Some).ok_or_else(damaged)
}

/// A catalogue that is taken as new at a start.
pub(crate) struct TakenAsNew {
    /// The version that it has now, above every one that was given out.
    pub version: u64,
    /// The story in words.
    pub how: String,
}

/// Looks whether the catalogue still has the version that was in force. Where it has not, the rules by which changes were given
/// out are not known any more: it is taken as new, and so is the change log. Each follower begins anew with who is a member.
pub(crate) fn check(
    catalogue: &dyn CatalogueStore,
    notes: &dyn Notes,
    changes: &dyn ChangeLog,
    given: Progress,
) -> Result<Option<TakenAsNew>, EngineError> {
    let (noted, found) = (noted(notes)?, catalogue.version()?);
    let known = noted.map_or(0, |(version, _)| version).max(given.catalogue_version);
    let has_mark = |(version, mark)| -> Result<bool, StoreError> { Ok(catalogue.mark(version)? == Some(mark)) };
    if known <= found && noted.map_or(Ok(true), has_mark)? {
        return Ok(None);
    }
    // Broken off anywhere from here on, the next start finds the same and does it again.
    changes.forget(given.tick + 1)?;
    audience_emit::take_changes_as_new(notes)?;
    let version = if found <= known { catalogue.raise(known)? } else { found };
    tracing::error!(
        known_version = known,
        found,
        taken = version,
        "The catalogue is older than the one that was in force, or another; it is taken as new, and every sink starts from scratch"
    );
    let how = format!(
        "at the start it had version {found} where {known} was known; it was taken as new, as version {version}"
    );
    Ok(Some(TakenAsNew { version, how }))
}

//! Checkpoints and history outside of the data directory, and which directory owns them.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use audience_api::Door;
use audience_contract::StoreError;
use audience_objects::Objects;

use crate::settings::named_in;

/// The time between attempts to reach the store at the start.
const RETRY: Duration = Duration::from_secs(1);
/// The file in the data directory that names the owner as which it writes outside.
const OWNER_FILE: &str = "OWNER";

/// Opens the store of objects at a URL for a data directory. A new directory takes over the objects that are there.
pub(crate) fn open(url: &str, data: &Path, is_new: bool, door: &Door) -> anyhow::Result<Arc<Objects>> {
    door.wait_for("the store of checkpoints is asked");
    let objects = Objects::open(url, &std::env::vars().collect::<Vec<_>>());
    let objects = objects.with_context(|| named_in("checkpoints", "url"))?;
    let owner = loop {
        // An attempt that was cut off may have written it.
        let known = known_owner(data)?;
        let agreed = objects.owner().map_err(anyhow::Error::from);
        let agreed = agreed.and_then(|found| agree(&objects, data, is_new, known.clone(), found));
        match (agreed.map_err(unavailable), known) {
            (Ok(owner), _) => break owner,
            // The owner is checked again before anything is written there.
            (Err(Ok(error)), Some(known)) => {
                tracing::error!(%error, "The store of checkpoints cannot be reached, and the start goes on without it");
                break known;
            }
            (Err(Ok(error)), None) => {
                tracing::error!(%error, "The store of checkpoints cannot be reached, and the start retries");
                door.wait_for(format!("the checkpoints cannot be reached: {error}"));
                std::thread::park_timeout(RETRY);
            }
            (Err(Err(error)), _) => return Err(error),
        }
    };
    objects.write_as(&owner);
    Ok(objects)
}

/// The fault of a store that may answer later; or an error that stays.
fn unavailable(error: anyhow::Error) -> Result<StoreError, anyhow::Error> {
    error.downcast::<StoreError>().and_then(|error| match error {
        error @ StoreError::Unavailable { .. } => Ok(error),
        error => Err(error.into()),
    })
}

/// Decides the owner to write as, by the one known here and the one found there. After a kill at any point, the next start
/// decides the same.
fn agree(
    objects: &Objects,
    data: &Path,
    is_new: bool,
    known: Option<String>,
    found: Option<String>,
) -> anyhow::Result<String> {
    match (known, found) {
        (Some(known), Some(found)) if known == found => Ok(known),
        (Some(known), None) => {
            objects.own(&known)?;
            Ok(known)
        }
        (None, None) => {
            let owner = Objects::new_owner();
            write_owner(data, &owner)?;
            objects.own(&owner)?;
            Ok(owner)
        }
        (None, Some(_)) if is_new => {
            let owner = Objects::new_owner();
            objects.own(&owner)?;
            write_owner(data, &owner)?;
            Ok(owner)
        }
        _ => bail!(
            "what is at {} belongs to another data directory than {}: choose another URL, or an empty data directory, \
             which then takes it over",
            objects.name(),
            data.display()
        ),
    }
}

/// The owner as which a data directory writes outside, if it has one.
pub(crate) fn known_owner(data: &Path) -> anyhow::Result<Option<String>> {
    let path = data.join(OWNER_FILE);
    match fs::read_to_string(&path) {
        Ok(owner) => Ok(Some(owner.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

fn write_owner(data: &Path, owner: &str) -> anyhow::Result<()> {
    let (path, new) = (data.join(OWNER_FILE), data.join(format!("{OWNER_FILE}.new")));
    let written = fs::write(&new, format!("{owner}\n")).and_then(|()| fs::rename(&new, &path));
    written.with_context(|| format!("writing {}", path.display()))
}

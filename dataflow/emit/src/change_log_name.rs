//! The name of the change log, which places in it are stored with.

use audience_contract::{Notes, StoreError};

/// The key of the note that holds the name.
pub(crate) const CHANGE_LOG: &[u8] = b"change log";

/// Returns the name of the change log. It is made with the log: a log that is made again has another.
pub fn change_log_name(notes: &dyn Notes) -> Result<String, StoreError> {
    if let Some(name) = notes.get(CHANGE_LOG)? {
        return Ok(String::from_utf8_lossy(&name).into_owned());
    }
    let name = format!("{:016x}", fastrand::u64(..));
    notes.write(&[(CHANGE_LOG.to_vec(), Some(name.clone().into_bytes()))])?;
    Ok(name)
}

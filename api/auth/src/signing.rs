//! The keys that sign access tokens: when another one is made, and when one that was replaced goes.

use std::sync::Arc;

use crate::document::{Edit, SigningKey};
use crate::error::Result;
use crate::jwt;
use crate::state::State;

/// The time after which another key signs, in milliseconds.
const LIFE: i64 = 30 * 24 * 3_600_000;
/// The time for which the one before is known: longer than any token of it lasts.
const OVERLAP: i64 = 3_600_000;

/// The key that signs, and the edits that make it where there is none that is young enough.
pub(crate) fn current(state: &State, now: i64) -> Result<(Arc<SigningKey>, Vec<Edit>)> {
    let newest = state.signing.values().max_by_key(|key| key.created_at);
    match newest.filter(|key| now - key.created_at < LIFE) {
        Some(key) => Ok((Arc::clone(key), Vec::new())),
        None => {
            let key = jwt::new_key(now)?;
            Ok((Arc::new(key.clone()), vec![Edit::Signing(key)]))
        }
    }
}

/// The ends of keys whose tokens have ended.
pub(crate) fn ended(state: &State, now: i64) -> Vec<Edit> {
    let newest = state.signing.values().map(|key| key.created_at).max().unwrap_or(now);
    let is_ended = |key: &&Arc<SigningKey>| key.created_at < newest && now - newest >= OVERLAP;
    state.signing.values().filter(is_ended).map(|key| Edit::NoSigning(key.id.clone())).collect()
}

//! The chain of a session's refresh tokens: which one is taken, which one gives its successor again, and which one betrays a copy.
//!
//! Law: the newest is taken. The one before is taken for ten seconds more and gives the same successor, so that an answer that
//! was lost can be asked for again. Any other that was ever one of them means that somebody has a copy. The chain has digests
//! alone, and the successor only encrypted under the token before it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};

use crate::document::{OldRefresh, RefreshChain, Session};
use crate::error::{AuthError, Result};
use crate::secret::{Secret, SecretKind};

/// The time for which a refresh token that was replaced gives its successor again, in milliseconds.
const GRACE: i64 = 10_000;
/// Digests of replaced refresh tokens that are kept, by which a copy is noticed.
const KEPT: usize = 20;

/// The key by which the successor of a refresh token is sealed: only who has the token has it, and it is used once.
fn sealing_key(secret: &Secret) -> Option<LessSafeKey> {
    let salt = Salt::new(HKDF_SHA256, b"audience-manager refresh token");
    let derived = salt.extract(secret.expose().as_bytes());
    let derived = derived.expand(&[b"successor"], &AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(derived)))
}

fn seal(before: &Secret, successor: &Secret) -> Option<String> {
    let mut bytes = successor.expose().as_bytes().to_vec();
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    sealing_key(before)?.seal_in_place_append_tag(nonce, Aad::from(before.id()), &mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

fn unseal(before: &Secret, sealed: &str) -> Option<Secret> {
    let mut bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let nonce = Nonce::assume_unique_for_key([0; 12]);
    let text = sealing_key(before)?.open_in_place(nonce, Aad::from(before.id()), &mut bytes).ok()?;
    Secret::read(std::str::from_utf8(text).ok()?)
}

/// The outcome of a refresh token that is shown.
pub(crate) enum Refreshed {
    /// It is the newest: the session goes on with another.
    Replaced(Box<Session>, Secret),
    /// It is the one before: its successor again.
    Again(Secret),
    /// It was replaced longer ago: somebody has a copy.
    Copied,
    /// It never was one.
    Unknown,
}

/// Says what becomes of a session when a refresh token of its id is shown.
pub(crate) fn refreshed(session: &Session, chain: &RefreshChain, shown: &Secret, now: i64) -> Result<Refreshed> {
    if shown.is_of(&session.digest) {
        let successor = Secret::for_id(SecretKind::Refresh, &session.id)?;
        let sealed = seal(shown, &successor).ok_or(AuthError::NoRandomness)?;
        let mut older = chain.older.clone();
        older.extend(chain.previous.as_ref().map(|previous| previous.digest.clone()));
        let older = older.split_off(older.len().saturating_sub(KEPT));
        let previous = Some(OldRefresh { digest: session.digest.clone(), replaced_at: now, successor: sealed });
        let tokens = Some(RefreshChain { previous, older });
        let session = Session { digest: successor.digest(), used_at: now, tokens, ..session.clone() };
        return Ok(Refreshed::Replaced(Box::new(session), successor));
    }
    let previous = chain.previous.as_ref().filter(|previous| shown.is_of(&previous.digest));
    if let Some(previous) = previous
        && (0..GRACE).contains(&(now - previous.replaced_at))
        && let Some(successor) = unseal(shown, &previous.successor)
    {
        return Ok(Refreshed::Again(successor));
    }
    match previous.is_some() || chain.older.iter().any(|digest| shown.is_of(digest)) {
        true => Ok(Refreshed::Copied),
        false => Ok(Refreshed::Unknown),
    }
}

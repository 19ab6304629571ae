//! Links that unsubscribe: signed, so that nobody unsubscribes a stranger.

use audience_contract::{Notes, Result, StoreError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Bytes of a signature.
const SIGNATURE: usize = 16;
const KEY: &[u8] = b"mail/secret";

/// The key that links are signed with.
pub(crate) struct TokenKey([u8; 32]);

impl TokenKey {
    /// The key of a store; made where there is none yet.
    pub(crate) fn open(notes: &dyn Notes) -> Result<TokenKey> {
        if let Some(key) = notes.get(KEY)?.and_then(|key| key.try_into().ok()) {
            return Ok(TokenKey(key));
        }
        let mut key = [0; 32];
        let fault =
            |error: getrandom::Error| StoreError::Unavailable { action: "making a key", detail: error.to_string() };
        getrandom::fill(&mut key).map_err(fault)?;
        notes.write(&[(KEY.to_vec(), Some(key.to_vec()))])?;
        Ok(TokenKey(key))
    }

    /// The token of a user in a campaign.
    pub(crate) fn token(&self, campaign: &str, user: &str) -> String {
        let named = format!("{campaign}/{user}");
        URL_SAFE_NO_PAD.encode([&self.sign(named.as_bytes())[..SIGNATURE], named.as_bytes()].concat())
    }

    /// The campaign and the user of a token; `None` for one that nobody signed.
    pub(crate) fn read(&self, token: &str) -> Option<(String, String)> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (signature, named) = bytes.split_at_checked(SIGNATURE)?;
        let mut mac = self.mac()?;
        mac.update(named);
        mac.verify_truncated_left(signature).ok()?;
        let (campaign, user) = std::str::from_utf8(named).ok()?.split_once('/')?;
        Some((campaign.to_owned(), user.to_owned()))
    }

    fn mac(&self) -> Option<Hmac<Sha256>> {
        Hmac::new_from_slice(&self.0).ok()
    }

    fn sign(&self, named: &[u8]) -> Vec<u8> {
        let signed = self.mac().map(|mut mac| {
            mac.update(named);
            mac.finalize().into_bytes().to_vec()
        });
        signed.unwrap_or_else(|| vec![0; SIGNATURE])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_is_read() {
        let key = TokenKey([7; 32]);
        let token = key.token("spring", "ann/1");
        assert_eq!(key.read(&token), Some(("spring".to_owned(), "ann/1".to_owned())));
        assert_eq!(TokenKey([8; 32]).read(&token), None);
        let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        *bytes.last_mut().unwrap() = b'2';
        assert_eq!(key.read(&URL_SAFE_NO_PAD.encode(bytes)), None);
        for wrong in ["", "AAAA", "%"] {
            assert_eq!(key.read(wrong), None);
        }
    }
}

//! Secrets that are handed out once: `am<kind>_<id 8><secret 32><crc 6>`, in base62.
//!
//! The prefix tells people and scanners what leaked, the id finds the document, the secret has 190 bits, and the checksum
//! refuses typing errors and garbage without a look-up. Only the SHA-256 of the secret is stored: it has too much entropy to
//! be guessed, so that a slow hash would gain nothing.

use std::fmt;

use ring::digest;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ID: usize = 8;
const SECRET: usize = 32;
const CRC: usize = 6;
/// `amw_` and the rest.
const LENGTH: usize = 4 + ID + SECRET + CRC;

/// The purpose of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// A write key: sends events, and may stand in a web page.
    WriteKey,
    /// A server key.
    ServerKey,
    /// The cookie of a session.
    Session,
    /// An invitation.
    Invitation,
    /// A refresh token.
    Refresh,
}

impl SecretKind {
    const ALL: [SecretKind; 5] =
        [SecretKind::WriteKey, SecretKind::ServerKey, SecretKind::Session, SecretKind::Invitation, SecretKind::Refresh];

    /// The prefix.
    pub const fn prefix(self) -> &'static str {
        match self {
            SecretKind::WriteKey => "amw_",
            SecretKind::ServerKey => "ams_",
            SecretKind::Session => "amc_",
            SecretKind::Invitation => "ami_",
            SecretKind::Refresh => "amr_",
        }
    }
}

/// The system gave no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandomness;

/// The SHA-256 of a secret, in base64 without padding.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretDigest(String);

impl fmt::Debug for SecretDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretDigest(…)")
    }
}

/// A secret as it is handed out and presented. Nothing shows its text but [`expose`](Secret::expose).
#[derive(Clone)]
pub struct Secret {
    kind: SecretKind,
    text: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secret({}{}…)", self.kind.prefix(), self.id())
    }
}

impl Secret {
    /// A new secret of a document that is made with it.
    pub fn new(kind: SecretKind) -> Result<Secret, NoRandomness> {
        Secret::for_id(kind, &random(ID)?)
    }

    /// A new secret of the document of that id.
    pub fn for_id(kind: SecretKind, id: &str) -> Result<Secret, NoRandomness> {
        let begin = format!("{}{id}{}", kind.prefix(), random(SECRET)?);
        let text = format!("{begin}{}", checksum(begin.as_bytes()));
        Ok(Secret { kind, text })
    }

    /// Reads a text; `None` where it is no secret of ours. Costs no look-up.
    pub fn read(text: &str) -> Option<Secret> {
        let kind = SecretKind::ALL.into_iter().find(|kind| text.starts_with(kind.prefix()))?;
        if text.len() != LENGTH || !text.as_bytes()[4..].iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        let (begin, sum) = text.split_at(LENGTH - CRC);
        (checksum(begin.as_bytes()) == sum).then(|| Secret { kind, text: text.to_owned() })
    }

    /// Its purpose.
    pub fn kind(&self) -> SecretKind {
        self.kind
    }

    /// The id of its document.
    pub fn id(&self) -> &str {
        &self.text[4..4 + ID]
    }

    /// The text itself, to be shown once.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The digest that is stored of it.
    pub fn digest(&self) -> SecretDigest {
        use base64::Engine as _;
        let digest = digest::digest(&digest::SHA256, self.text.as_bytes());
        SecretDigest(base64::engine::general_purpose::STANDARD_NO_PAD.encode(digest))
    }

    /// Returns whether a stored digest is of this secret. Takes as long for every digest.
    pub fn is_of(&self, digest: &SecretDigest) -> bool {
        self.digest().0.as_bytes().ct_eq(digest.0.as_bytes()).into()
    }
}

/// Random characters of base62.
pub(crate) fn random(length: usize) -> Result<String, NoRandomness> {
    let mut text = String::with_capacity(length);
    let mut bytes = [0; 64];
    while text.len() < length {
        getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
        // Bytes beyond the last whole multiple of 62 would make some characters likelier than others.
        let fair = bytes.iter().filter(|byte| **byte < 248).map(|byte| ALPHABET[usize::from(byte % 62)] as char);
        text.extend(fair.take(length - text.len()));
    }
    Ok(text)
}

/// The CRC-32 in base62, with leading zeros.
fn checksum(bytes: &[u8]) -> String {
    let mut rest = crc32fast::hash(bytes);
    let mut text = [b'0'; CRC];
    for place in text.iter_mut().rev() {
        *place = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    text.iter().map(|byte| *byte as char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_as_it_was_made() {
        for kind in SecretKind::ALL {
            let secret = Secret::new(kind).unwrap();
            let read = Secret::read(secret.expose()).unwrap();
            assert_eq!((read.kind(), read.id()), (kind, secret.id()));
            assert!(read.is_of(&secret.digest()));
            assert!(!read.is_of(&Secret::for_id(kind, secret.id()).unwrap().digest()));
        }
    }

    #[test]
    fn a_typing_error_is_no_secret() {
        let secret = Secret::new(SecretKind::ServerKey).unwrap();
        let text = secret.expose();
        for place in 0..text.len() {
            let mut typed = text.as_bytes().to_vec();
            typed[place] = if typed[place] == b'x' { b'y' } else { b'x' };
            assert!(Secret::read(std::str::from_utf8(&typed).unwrap()).is_none(), "{place}");
        }
        for text in ["", "ams_", &text[1..], &format!("{text}0"), &"ä".repeat(25)] {
            assert!(Secret::read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn nothing_shows_a_secret() {
        let secret = Secret::new(SecretKind::WriteKey).unwrap();
        let shown = format!("{secret:?} {:?}", secret.digest());
        assert!(!shown.contains(&secret.expose()[12..]) && !shown.contains(&secret.digest().0), "{shown}");
    }
}

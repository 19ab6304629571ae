//! The public keys of a provider, and signatures that are held against them.
//!
//! Law: a key has one kind of algorithm, which its type says and not the token. A key that names an algorithm is taken for that
//! one alone. HMAC is none of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;

/// A key as the provider publishes it (RFC 7517).
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PublishedKey {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
}

/// All of them. A key that cannot be read is left out: others may be of kinds that are not known here.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySet(Vec<PublishedKey>);

/// The set as it is published.
#[derive(Deserialize)]
struct PublishedSet {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// Reads a set.
    pub(crate) fn read(bytes: &[u8]) -> Option<KeySet> {
        let set: PublishedSet = serde_json::from_slice(bytes).ok()?;
        Some(KeySet(set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect()))
    }

    /// The key of a token's header. Without an id there must be one alone that may have signed.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: &str) -> Option<&PublishedKey> {
        let mut fit = self.0.iter().filter(|key| key.may_sign(algorithm));
        match kid {
            Some(kid) => fit.find(|key| key.kid.as_deref() == Some(kid)),
            None => fit.next().filter(|_| fit.next().is_none()),
        }
    }
}

fn rsa(algorithm: &str) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        "PS384" => &RSA_PSS_2048_8192_SHA384,
        "PS512" => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

impl PublishedKey {
    fn may_sign(&self, algorithm: &str) -> bool {
        let is_kind = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => rsa(algorithm).is_some(),
            ("EC", Some("P-256")) => algorithm == "ES256",
            ("EC", Some("P-384")) => algorithm == "ES384",
            ("OKP", Some("Ed25519")) => algorithm == "EdDSA",
            _ => false,
        };
        let is_named = self.alg.as_deref().is_none_or(|named| named == algorithm);
        is_kind && is_named && self.usage.as_deref().is_none_or(|usage| usage == "sig")
    }

    /// Returns whether this key has signed a message by an algorithm.
    pub(crate) fn has_signed(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        self.check(algorithm, message, signature).is_some()
    }

    fn check(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Option<()> {
        if !self.may_sign(algorithm) {
            return None;
        }
        let part = |part: &Option<String>| URL_SAFE_NO_PAD.decode(part.as_deref()?).ok();
        if self.kty == "RSA" {
            let key = RsaPublicKeyComponents { n: part(&self.n)?, e: part(&self.e)? };
            return key.verify(rsa(algorithm)?, message, signature).ok();
        }
        let (kind, point): (&'static dyn VerificationAlgorithm, Vec<u8>) = match algorithm {
            "EdDSA" => (&ED25519, part(&self.x)?),
            "ES256" => (&ECDSA_P256_SHA256_FIXED, [vec![4], part(&self.x)?, part(&self.y)?].concat()),
            _ => (&ECDSA_P384_SHA384_FIXED, [vec![4], part(&self.x)?, part(&self.y)?].concat()),
        };
        UnparsedPublicKey::new(kind, point).verify(message, signature).ok()
    }
}

//! Access tokens as text: JWT of one form alone, signed by Ed25519.
//!
//! Law: a token is taken only with the algorithm `EdDSA`, the type `at+jwt`, the id of a key of ours, our issuer and audience,
//! and a time that has not ended. No header names a key or an algorithm of its own, and no member of it is unknown or stands
//! twice. So neither a token of another kind nor one of another issuer passes (RFC 8725, RFC 9068).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::document::{Hidden, SigningKey};
use crate::secret::{NoRandomness, random};

/// The audience of all tokens.
pub(crate) const AUDIENCE: &str = "audience-manager";
/// The seconds for which a token lasts.
pub(crate) const SECONDS: i64 = 600;
/// Bytes of a token and of its header at most.
const MOST: usize = 8 << 10;
const MOST_HEADER: usize = 1 << 10;
const ALGORITHM: &str = "EdDSA";
const TYPE: &str = "at+jwt";
/// Seconds that the clock of another process may be ahead.
const LEEWAY: i64 = 60;
const KEY_ID: usize = 16;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenHeader {
    alg: String,
    typ: String,
    kid: String,
}

/// The claims of an access token (RFC 9068, and our own).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The address of the platform.
    pub iss: String,
    /// `audience-manager`.
    pub aud: String,
    /// The id of the member; of a key `key:` and its id.
    pub sub: String,
    /// `member`, or the id of the key.
    pub client_id: String,
    /// The session, or the key, with whose end the token ends.
    pub sid: String,
    /// The id of the token.
    pub jti: String,
    /// Epoch seconds.
    pub iat: i64,
    /// Epoch seconds.
    pub exp: i64,
    /// The tenant.
    pub tenant_id: String,
    /// The e-mail address of the member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The roles at the time of issue; those of now hold.
    pub roles: Vec<String>,
    /// The permissions at the time of issue; those of now hold.
    pub permissions: Vec<String>,
}

/// Makes a key that signs tokens.
pub(crate) fn new_key(now: i64) -> Result<SigningKey, NoRandomness> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| NoRandomness)?;
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|_| NoRandomness)?;
    let private = Hidden(URL_SAFE_NO_PAD.encode(document.as_ref()));
    let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    Ok(SigningKey { id: random(KEY_ID)?, private, public, created_at: now })
}

/// Writes a token; `None` where the key is damaged.
pub(crate) fn sign(key: &SigningKey, claims: &Claims) -> Option<String> {
    let header = TokenHeader { alg: ALGORITHM.to_owned(), typ: TYPE.to_owned(), kid: key.id.clone() };
    sign_parts(key, &serde_json::to_vec(&header).ok()?, &serde_json::to_vec(claims).ok()?)
}

fn sign_parts(key: &SigningKey, header: &[u8], claims: &[u8]) -> Option<String> {
    let pair = Ed25519KeyPair::from_pkcs8(&URL_SAFE_NO_PAD.decode(&key.private.0).ok()?).ok()?;
    let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = pair.sign(token.as_bytes());
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature.as_ref()));
    Some(token)
}

/// Reads a token of ours that lasts at an instant in epoch seconds.
pub(crate) fn verify<'k>(
    token: &str,
    key: impl FnOnce(&str) -> Option<&'k SigningKey>,
    issuer: &str,
    now: i64,
) -> Option<Claims> {
    if token.len() > MOST {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.').filter(|(header, _)| header.len() <= MOST_HEADER)?;
    let header: TokenHeader = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    if header.alg != ALGORITHM || header.typ != TYPE {
        return None;
    }
    let public = URL_SAFE_NO_PAD.decode(&key(&header.kid)?.public).ok()?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    UnparsedPublicKey::new(&ED25519, public).verify(signed.as_bytes(), &signature).ok()?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    let is_ours = claims.iss == issuer && claims.aud == AUDIENCE;
    let lasts = claims.iat <= now + LEEWAY && now < claims.exp && claims.exp - claims.iat <= SECONDS;
    (is_ours && lasts).then_some(claims)
}

#[cfg(test)]
mod tests {
    use ring::hmac;
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_704_067_200;
    const ISSUER: &str = "https://audience.example.org";

    fn claims() -> Value {
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "m1", "client_id": "member", "sid": "s1", "jti": "j1", "iat": NOW,
            "exp": NOW + SECONDS, "tenant_id": "default", "email": "ann@example.org", "roles": ["viewer"],
            "permissions": ["segment:read"]
        })
    }

    fn header(key: &SigningKey) -> Value {
        json!({"alg": ALGORITHM, "typ": TYPE, "kid": key.id})
    }

    fn token(key: &SigningKey, header: &str, claims: &str) -> String {
        sign_parts(key, header.as_bytes(), claims.as_bytes()).unwrap()
    }

    fn is_taken(key: &SigningKey, token: &str) -> bool {
        verify(token, |id| (id == key.id).then_some(key), ISSUER, NOW).is_some()
    }

    fn with(mut value: Value, name: &str, member: Value) -> String {
        value[name] = member;
        value.to_string()
    }

    #[test]
    fn a_token_is_taken_until_it_ends() {
        let key = new_key(0).unwrap();
        let read: Claims = serde_json::from_value(claims()).unwrap();
        let text = sign(&key, &read).unwrap();
        let at = |now| verify(&text, |_| Some(&key), ISSUER, now);
        assert_eq!(at(NOW).as_ref(), Some(&read));
        assert!(at(NOW + SECONDS - 1).is_some() && at(NOW - LEEWAY).is_some());
        assert!(at(NOW + SECONDS).is_none() && at(NOW - LEEWAY - 1).is_none());
    }

    #[test]
    fn headers_of_attacks_are_refused() {
        let key = new_key(0).unwrap();
        let good = claims().to_string();
        assert!(is_taken(&key, &token(&key, &header(&key).to_string(), &good)));
        for alg in ["none", "None", "NONE", "", "HS256", "RS256", "ES256", "eddsa"] {
            assert!(!is_taken(&key, &token(&key, &with(header(&key), "alg", json!(alg)), &good)), "{alg}");
        }
        for typ in ["JWT", "jwt", "", "id+jwt", "logout+jwt"] {
            assert!(!is_taken(&key, &token(&key, &with(header(&key), "typ", json!(typ)), &good)), "{typ}");
        }
        for (name, member) in [
            ("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": key.public})),
            ("jku", json!("https://evil.example/jwks.json")),
            ("x5u", json!("https://evil.example/x.pem")),
            ("crit", json!(["exp"])),
        ] {
            assert!(!is_taken(&key, &token(&key, &with(header(&key), name, member), &good)), "{name}");
        }
        // The public key as the secret of an HMAC, which everybody can make.
        let hmac_header = with(header(&key), "alg", json!("HS256"));
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(&hmac_header), URL_SAFE_NO_PAD.encode(&good));
        for secret in [URL_SAFE_NO_PAD.decode(&key.public).unwrap(), key.public.clone().into_bytes()] {
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
            assert!(!is_taken(&key, &format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))));
        }
        let twice = format!("{{\"alg\":\"none\",{}", &header(&key).to_string()[1..]);
        assert!(!is_taken(&key, &token(&key, &twice, &good)), "a member that stands twice");
        assert!(!is_taken(&key, &token(&key, &with(header(&key), "kid", json!("../../dev/null")), &good)));
        let long = with(header(&key), "kid", json!("k".repeat(MOST_HEADER)));
        assert!(!is_taken(&key, &token(&key, &long, &good)));
    }

    #[test]
    fn claims_of_attacks_are_refused() {
        let key = new_key(0).unwrap();
        let head = header(&key).to_string();
        for (name, member) in [
            ("iss", json!("https://evil.example")),
            ("aud", json!("another")),
            ("aud", json!([AUDIENCE, "another"])),
            ("exp", json!(NOW)),
            ("exp", json!(NOW + SECONDS + 1)),
            ("exp", json!("never")),
            ("iat", json!(NOW + LEEWAY + 1)),
            ("nbf", json!(NOW + 1_000)),
            ("nonce", json!("of an id token")),
        ] {
            assert!(!is_taken(&key, &token(&key, &head, &with(claims(), name, member))), "{name}");
        }
        for name in ["iss", "aud", "exp", "iat", "sub", "sid"] {
            let mut less = claims();
            less.as_object_mut().unwrap().remove(name);
            assert!(!is_taken(&key, &token(&key, &head, &less.to_string())), "without {name}");
        }
        let twice = format!("{{\"sub\":\"m2\",{}", &claims().to_string()[1..]);
        assert!(!is_taken(&key, &token(&key, &head, &twice)));
    }

    #[test]
    fn texts_that_were_changed_are_refused() {
        let (key, other) = (new_key(0).unwrap(), new_key(0).unwrap());
        let good = token(&key, &header(&key).to_string(), &claims().to_string());
        let forged = token(&other, &header(&key).to_string(), &claims().to_string());
        let parts: Vec<&str> = good.split('.').collect();
        let other_claims = URL_SAFE_NO_PAD.encode(with(claims(), "sub", json!("m2")));
        for text in [
            forged,
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}", parts[0], parts[1]),
            format!("{}.{other_claims}.{}", parts[0], parts[2]),
            format!("{good}="),
            format!("{good}.{}", parts[2]),
            format!(" {good}"),
            String::new(),
            "..".to_owned(),
            "a".repeat(MOST + 1),
        ] {
            assert!(!is_taken(&key, &text), "{text:.200}");
        }
        for place in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(!is_taken(&key, &changed), "{place}");
        }
    }
}

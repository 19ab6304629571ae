//! The token about the person (OpenID Connect Core, section 3.1.3.7).

use audience_contract::ProviderError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use crate::keys::KeySet;

/// Bytes of a token at most.
const MOST: usize = 64 << 10;
/// Seconds that the clock of the provider may differ.
const LEEWAY: i64 = 60;
/// Seconds that a token may be old: it is asked for in the moment in which it is made.
const OLDEST: i64 = 600;

/// The expected ends of a token.
pub(crate) struct ExpectedToken<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    pub now: i64,
}

#[derive(Deserialize)]
struct IdTokenHeader {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

/// A claim that is one text or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum ClaimTexts {
    One(String),
    Many(Vec<String>),
}

/// The claims that are checked. One that stands twice is a fault.
#[derive(Deserialize)]
struct Checked {
    iss: String,
    sub: String,
    aud: ClaimTexts,
    #[serde(default)]
    azp: Option<String>,
    exp: i64,
    iat: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    nonce: Option<String>,
}

/// A token as it is read before its key is known.
pub(crate) struct IdToken<'t> {
    signed: &'t str,
    signature: Vec<u8>,
    header: IdTokenHeader,
    claims: &'t str,
}

fn untrue<T>(why: &'static str) -> Result<T, ProviderError> {
    Err(ProviderError::Untrue(why))
}

impl<'t> IdToken<'t> {
    /// Reads the outer form.
    pub(crate) fn read(token: &'t str) -> Result<IdToken<'t>, ProviderError> {
        let parts = || -> Option<IdToken<'t>> {
            let (signed, signature) = token.rsplit_once('.').filter(|_| token.len() <= MOST)?;
            let (header, claims) = signed.split_once('.')?;
            let header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
            Some(IdToken { signed, signature: URL_SAFE_NO_PAD.decode(signature).ok()?, header, claims })
        };
        let Some(token) = parts() else { return untrue("it is no signed token") };
        // A token of another kind, such as one for an API, is none about a person.
        if token.header.typ.as_deref().is_some_and(|typ| !typ.eq_ignore_ascii_case("jwt")) {
            return untrue("it is of another kind");
        }
        if token.header.crit.is_some() {
            return untrue("it asks for what is not known here");
        }
        Ok(token)
    }

    /// Returns whether one of the keys may have signed it.
    pub(crate) fn has_key(&self, keys: &KeySet) -> bool {
        keys.find(self.header.kid.as_deref(), &self.header.alg).is_some()
    }

    /// The claims, once everything is as expected.
    pub(crate) fn verified(&self, keys: &KeySet, expected: &ExpectedToken<'_>) -> Result<Value, ProviderError> {
        let key = keys.find(self.header.kid.as_deref(), &self.header.alg);
        let Some(key) = key else { return untrue("no published key has signed it") };
        if !key.has_signed(&self.header.alg, self.signed.as_bytes(), &self.signature) {
            return untrue("its signature is wrong");
        }
        let bytes = URL_SAFE_NO_PAD.decode(self.claims).unwrap_or_default();
        let Ok(claims) = serde_json::from_slice::<Checked>(&bytes) else { return untrue("a claim is missing") };
        check(&claims, expected)?;
        serde_json::from_slice(&bytes).or_else(|_| untrue("its claims are no object"))
    }
}

fn check(claims: &Checked, expected: &ExpectedToken<'_>) -> Result<(), ProviderError> {
    let (is_for_us, is_for_others) = match &claims.aud {
        ClaimTexts::One(audience) => (audience == expected.client_id, false),
        ClaimTexts::Many(all) => (all.iter().any(|audience| audience == expected.client_id), all.len() > 1),
    };
    if claims.iss != expected.issuer {
        return untrue("another issuer has made it");
    }
    if !is_for_us || (is_for_others && claims.azp.is_none()) {
        return untrue("it is for another client");
    }
    if claims.azp.as_deref().is_some_and(|party| party != expected.client_id) {
        return untrue("it was given to another client");
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return untrue("it is of another sign-in");
    }
    let begins = claims.nbf.unwrap_or(claims.iat).max(claims.iat);
    if expected.now >= claims.exp + LEEWAY || begins > expected.now + LEEWAY || claims.iat < expected.now - OLDEST {
        return untrue("its time has ended, or has not begun");
    }
    if claims.sub.is_empty() || claims.sub.len() > 255 {
        return untrue("it names nobody");
    }
    Ok(())
}

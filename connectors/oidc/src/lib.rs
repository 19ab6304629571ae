//! Signs people in at an OpenID provider: discovery, the code with PKCE, and the token about the person.
//!
//! Written for this: the crate that is made for it brings some sixty others, one of them with an open advisory (`rsa`).
//! The signatures are ring's, HTTP is reqwest's.
//!
//! - Nothing is followed that a provider answers with a redirect, answers are bounded, and every call ends within ten seconds.
//! - The provider's addresses are by TLS, or on this machine.
//! - Keys are kept, and asked for again when a token names one that is not known: at most once a minute.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod ask;
mod claims;
mod id_token;
mod keys;

use std::path::PathBuf;
use std::sync::Arc;

use audience_contract::{IdentityProvider, ProvidedIdentity, ProviderError, SignInEnd, SignInStart};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::ask::Asking;
pub use crate::ask::OidcError;
use crate::id_token::{ExpectedToken, IdToken};
use crate::keys::KeySet;

/// Seconds for which the description of a provider is kept.
const DESCRIBED: i64 = 3_600;
/// Seconds between two questions for keys that are not known.
const KEYS_AGAIN: i64 = 60;

/// The settings of a provider.
#[derive(Clone)]
pub struct OidcOptions {
    /// The issuer, exactly as its description says.
    pub issuer: String,
    /// The id of this platform at the provider.
    pub client_id: String,
    /// The secret; none for a public client.
    pub client_secret: Option<String>,
    /// The name for people.
    pub label: String,
    /// The scopes, separated by spaces; `openid` is one.
    pub scopes: String,
    /// The claim with the groups, or its path with dots.
    pub groups: String,
    /// Certificates of authorities in PEM, beside those that this machine trusts.
    pub ca_file: Option<PathBuf>,
}

/// The description of a provider, as it publishes it.
#[derive(Clone, Debug, Deserialize)]
struct Described {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    end_session_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Described {
    fn addresses(&self) -> impl Iterator<Item = &str> {
        let needed = [&self.authorization_endpoint, &self.token_endpoint, &self.jwks_uri];
        let more = [&self.userinfo_endpoint, &self.end_session_endpoint].into_iter().flatten();
        needed.into_iter().chain(more).map(String::as_str)
    }

    /// Returns whether the client's secret stands in the form; else in the header, which every provider takes.
    fn takes_secret_in_form(&self) -> bool {
        let methods = self.token_endpoint_auth_methods_supported.as_deref().unwrap_or_default();
        let has = |name: &str| methods.iter().any(|method| method == name);
        has("client_secret_post") && !has("client_secret_basic")
    }
}

/// The provider's addresses and keys, as far as they are known.
#[derive(Default)]
struct Known {
    described: Option<(i64, Arc<Described>)>,
    keys: Option<Arc<KeySet>>,
    /// The time of the last question for keys that were not known.
    asked_again: Option<i64>,
}

/// A provider of OpenID Connect.
pub struct OidcProvider {
    options: OidcOptions,
    asking: Asking,
    known: Mutex<Known>,
}

/// The answer of the token endpoint.
#[derive(Deserialize)]
struct Given {
    id_token: String,
    #[serde(default)]
    access_token: Option<String>,
}

fn away(detail: impl Into<String>) -> ProviderError {
    ProviderError::Away(detail.into())
}

impl OidcProvider {
    /// A provider by its settings. Asks it nothing yet: it may start later than this program.
    pub fn new(options: OidcOptions) -> Result<OidcProvider, OidcError> {
        if !ask::is_safe(&options.issuer) {
            return Err(OidcError::Issuer(options.issuer));
        }
        let asking = Asking::new(options.ca_file.as_deref())?;
        Ok(OidcProvider { options, asking, known: Mutex::default() })
    }

    fn described(&self, now: i64) -> Result<Arc<Described>, ProviderError> {
        if let Some((at, described)) = &self.known.lock().described
            && (0..DESCRIBED).contains(&(now - at))
        {
            return Ok(Arc::clone(described));
        }
        let url = format!("{}/.well-known/openid-configuration", self.options.issuer.trim_end_matches('/'));
        let bytes = self.asking.get(&url, None)?;
        let described: Described =
            serde_json::from_slice(&bytes).map_err(|_| away("its description cannot be read"))?;
        if described.issuer != self.options.issuer {
            return Err(away("its description names another issuer than the settings"));
        }
        if !described.addresses().all(ask::is_safe) {
            return Err(away("its description has an address without TLS"));
        }
        let described = Arc::new(described);
        self.known.lock().described = Some((now, Arc::clone(&described)));
        Ok(described)
    }

    /// The keys, with the one that has signed a token where the provider has it.
    fn keys(&self, described: &Described, token: &IdToken<'_>, now: i64) -> Result<Arc<KeySet>, ProviderError> {
        {
            let mut known = self.known.lock();
            if let Some(keys) = known.keys.clone() {
                let is_soon = known.asked_again.is_some_and(|at| (0..KEYS_AGAIN).contains(&(now - at)));
                if is_soon || token.has_key(&keys) {
                    return Ok(keys);
                }
                known.asked_again = Some(now);
            }
        }
        let bytes = self.asking.get(&described.jwks_uri, None)?;
        let keys = Arc::new(KeySet::read(&bytes).ok_or_else(|| away("its keys cannot be read"))?);
        self.known.lock().keys = Some(Arc::clone(&keys));
        Ok(keys)
    }

    fn exchange(&self, described: &Described, end: &SignInEnd<'_>) -> Result<Given, ProviderError> {
        let OidcOptions { client_id, client_secret, .. } = &self.options;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", end.code),
            ("redirect_uri", end.redirect_uri),
            ("code_verifier", end.verifier),
        ];
        let in_header = match client_secret.as_deref() {
            Some(secret) if described.takes_secret_in_form() => {
                form.extend([("client_id", client_id.as_str()), ("client_secret", secret)]);
                None
            }
            Some(secret) => Some((client_id.as_str(), secret)),
            None => {
                form.push(("client_id", client_id));
                None
            }
        };
        let bytes = self.asking.post(&described.token_endpoint, &form, in_header)?;
        serde_json::from_slice(&bytes).map_err(|_| ProviderError::Untrue("there is none"))
    }

    /// More of the person, where the token does not say everything.
    fn more(
        &self,
        described: &Described,
        claims: &Value,
        access: Option<&str>,
    ) -> Result<Option<Value>, ProviderError> {
        let (Some(url), Some(access)) = (&described.userinfo_endpoint, access) else { return Ok(None) };
        if claims::is_whole(claims, &self.options.groups) {
            return Ok(None);
        }
        let bytes = self.asking.get(url, Some(access))?;
        let more: Value =
            serde_json::from_slice(&bytes).map_err(|_| away("what it says of a person cannot be read"))?;
        match more.get("sub") == claims.get("sub") {
            true => Ok(Some(more)),
            false => Err(ProviderError::Untrue("it is of another person than what the provider says of them")),
        }
    }
}

impl IdentityProvider for OidcProvider {
    fn label(&self) -> &str {
        &self.options.label
    }

    fn issuer(&self) -> &str {
        &self.options.issuer
    }

    fn sign_in_url(&self, start: &SignInStart<'_>, now: i64) -> Result<String, ProviderError> {
        let described = self.described(now)?;
        let mut url =
            Url::parse(&described.authorization_endpoint).map_err(|_| away("it has no address to sign in"))?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.options.client_id)
            .append_pair("redirect_uri", start.redirect_uri)
            .append_pair("scope", &self.options.scopes)
            .append_pair("state", start.state)
            .append_pair("nonce", start.nonce)
            .append_pair("code_challenge", start.challenge)
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    fn identify(&self, end: &SignInEnd<'_>) -> Result<ProvidedIdentity, ProviderError> {
        let described = self.described(end.now)?;
        let given = self.exchange(&described, end)?;
        let token = IdToken::read(&given.id_token)?;
        let keys = self.keys(&described, &token, end.now)?;
        let OidcOptions { issuer, client_id, groups, .. } = &self.options;
        let claims = token.verified(&keys, &ExpectedToken { issuer, client_id, nonce: end.nonce, now: end.now })?;
        let more = self.more(&described, &claims, given.access_token.as_deref())?;
        claims::identity(issuer, &claims, more.as_ref(), groups).ok_or(ProviderError::Untrue("it names nobody"))
    }

    fn sign_out_url(&self, back: &str, now: i64) -> Option<String> {
        let described = self.described(now).ok()?;
        let mut url = Url::parse(described.end_session_endpoint.as_deref()?).ok()?;
        url.query_pairs_mut()
            .append_pair("client_id", &self.options.client_id)
            .append_pair("post_logout_redirect_uri", back);
        Some(url.into())
    }
}

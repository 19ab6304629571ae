//! Questions to a provider: bounded, timed, and never followed elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use audience_contract::ProviderError;
use reqwest::header::ACCEPT;
use reqwest::redirect::Policy;
use reqwest::{Certificate, RequestBuilder};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::runtime::Runtime;
use url::{Host, Url, form_urlencoded};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer at most.
const MOST: usize = 256 << 10;

/// Why a provider cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The issuer is no address that is safe.
    #[error("the issuer {0:?} is no address such as https://id.example.com; without TLS it must be on this machine")]
    Issuer(String),
    /// The threads that ask cannot be started.
    #[error("a provider of identities cannot be asked")]
    Start(#[from] std::io::Error),
    /// The client cannot be made.
    #[error("a provider of identities cannot be asked")]
    Client(#[from] reqwest::Error),
    /// The certificates cannot be read.
    #[error("the certificates in {0} cannot be read: {1}")]
    Certificates(PathBuf, String),
}

/// Returns whether an address is by TLS, or on this machine.
pub(crate) fn is_safe(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.host().is_some()
        && url.fragment().is_none()
        && (url.scheme() == "https" || (url.scheme() == "http" && is_local))
}

/// A client of HTTP with a thread of its own.
pub(crate) struct Asking {
    client: reqwest::Client,
    runtime: Runtime,
}

impl Asking {
    pub(crate) fn new(ca_file: Option<&Path>) -> Result<Asking, OidcError> {
        // Another part of the program may have said the same already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .user_agent("audience-manager");
        if let Some(path) = ca_file {
            client = client.tls_certs_merge(certificates(path)?);
        }
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("oidc").enable_all().build()?;
        Ok(Asking { client: client.build()?, runtime })
    }

    /// Gets what is at an address, with an access token where one is given.
    pub(crate) fn get(&self, url: &str, access: Option<&str>) -> Result<Vec<u8>, ProviderError> {
        let request = self.client.get(url);
        let request = match access {
            Some(access) => request.bearer_auth(access),
            None => request,
        };
        let (status, bytes) = self.answer(request)?;
        if status != 200 {
            return Err(ProviderError::Away(format!("it answers with {status}")));
        }
        Ok(bytes)
    }

    /// Posts a form, with the name and secret of a client in the header where they are given. An answer of 400 or 401 is a refusal.
    pub(crate) fn post(
        &self,
        url: &str,
        form: &[(&str, &str)],
        client: Option<(&str, &str)>,
    ) -> Result<Vec<u8>, ProviderError> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.client.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
        let request = match client {
            // RFC 6749, section 2.3.1: each is encoded as in a form before.
            Some((id, secret)) => request.basic_auth(encoded(id), Some(encoded(secret))),
            None => request,
        };
        let (status, bytes) = self.answer(request)?;
        match status {
            200 => Ok(bytes),
            400 | 401 => Err(ProviderError::Refused(word(&bytes))),
            _ => Err(ProviderError::Away(format!("it answers with {status}"))),
        }
    }

    fn answer(&self, request: RequestBuilder) -> Result<(u16, Vec<u8>), ProviderError> {
        let asked = async {
            let mut answer = request.header(ACCEPT, "application/json").send().await?;
            let status = answer.status().as_u16();
            let mut bytes = Vec::new();
            while let Some(part) = answer.chunk().await? {
                bytes.extend_from_slice(&part);
                if bytes.len() > MOST {
                    return Ok(None);
                }
            }
            Ok(Some((status, bytes)))
        };
        let asked: Result<Option<(u16, Vec<u8>)>, reqwest::Error> = self.runtime.block_on(asked);
        match asked {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(ProviderError::Away("its answer is too long".to_owned())),
            Err(error) => Err(ProviderError::Away(innermost(&error.without_url()))),
        }
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The word of RFC 6749 for a refusal; it has nobody's data.
fn word(bytes: &[u8]) -> String {
    let error = serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let error = error.as_ref().and_then(|error| error.get("error")?.as_str());
    let is_word = |text: &&str| text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    error.filter(is_word).unwrap_or("it gives no reason").to_owned()
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, OidcError> {
    let faulty = |why: String| OidcError::Certificates(path.to_owned(), why);
    let text = fs::read(path).map_err(|error| faulty(error.to_string()))?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| faulty(error.to_string()))?;
    if found.is_empty() {
        return Err(faulty("there is none".to_owned()));
    }
    found.iter().map(|der| Certificate::from_der(der).map_err(|error| faulty(error.to_string()))).collect()
}

/// The cause says more than what is around it.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_by_tls_or_of_this_machine() {
        for safe in ["https://id.example.com/realms/a", "http://127.0.0.1:8080", "http://localhost/x", "http://[::1]/"]
        {
            assert!(is_safe(safe), "{safe}");
        }
        for other in
            ["http://id.example.com", "http://10.0.0.1", "ftp://localhost", "id.example.com", "https://x/#a", ""]
        {
            assert!(!is_safe(other), "{other}");
        }
    }

    #[test]
    fn a_refusal_says_its_word_alone() {
        assert_eq!(word(br#"{"error":"invalid_grant","error_description":"ann@example.org"}"#), "invalid_grant");
        assert_eq!(word(br#"{"error":"Ann <ann@example.org>"}"#), "it gives no reason");
        assert_eq!(word(b"<html>"), "it gives no reason");
    }
}

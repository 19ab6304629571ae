//! Posts messages to targets that users name, signed as the Standard Webhooks specification says.
//!
//! Whoever may name a target could have this machine ask things that only it can reach. So addresses of this machine, of
//! its network and of others that are not public are refused, also those that a name leads to, unless a setting allows
//! them; and nothing is followed that a target answers.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod address;
mod signature;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use audience_contract::{WebhookAnswer, WebhookClient, WebhookMessage};
use audience_trace::TRACEPARENT;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Certificate;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::runtime::Runtime;
use url::{Host, Url};

use crate::address::is_public;

/// The time that a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The time that a target may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a key.
const SECRET_BYTES: usize = 24;
/// The error text for a refused address.
const NOT_PUBLIC: &str = "its address is not a public one; the setting webhook_private_targets allows that";

/// Why nothing can be posted at all.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The threads that post cannot be started.
    #[error("webhooks cannot be posted: {0}")]
    Start(std::io::Error),
    /// The client cannot be made.
    #[error("webhooks cannot be posted: {0}")]
    Client(reqwest::Error),
    /// The certificates of who vouches for targets cannot be read.
    #[error("webhooks cannot be posted: the certificates in {0}: {1}")]
    Certificates(PathBuf, String),
}

impl From<std::io::Error> for WebhookError {
    fn from(error: std::io::Error) -> Self {
        WebhookError::Start(error)
    }
}

impl From<reqwest::Error> for WebhookError {
    fn from(error: reqwest::Error) -> Self {
        WebhookError::Client(error)
    }
}

/// Posts messages over HTTP.
pub struct HttpWebhooks {
    client: reqwest::Client,
    runtime: Runtime,
    is_private_allowed: bool,
}

impl HttpWebhooks {
    /// One that posts to public addresses, and to others where that is allowed. Targets of https are vouched for by those whom
    /// this machine trusts, and by those in `ca_file`, which is in PEM.
    pub fn new(is_private_allowed: bool, ca_file: Option<&Path>) -> Result<HttpWebhooks, WebhookError> {
        // Another part of the program may have said the same already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .user_agent("audience-manager")
            .dns_resolver(Arc::new(PublicNames { is_private_allowed }));
        if let Some(path) = ca_file {
            client = client.tls_certs_merge(certificates(path)?);
        }
        let client = client.build()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("webhooks")
            .enable_all()
            .build()?;
        Ok(HttpWebhooks { client, runtime, is_private_allowed })
    }

    async fn send(&self, message: &WebhookMessage<'_>) -> Result<WebhookAnswer, String> {
        let signature = signature::sign(message)?;
        let request = self
            .client
            .post(message.url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.at.to_string())
            .header("webhook-signature", signature)
            .body(message.body.to_vec());
        // Without a header where nobody exports spans.
        let request = match audience_trace::current() {
            Some(context) => request.header(TRACEPARENT, context.to_string()),
            None => request,
        };
        let answer = request.send().await.map_err(|error| innermost(&error))?;
        let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(WebhookAnswer { status: answer.status().as_u16(), retry_after: wait.map(Duration::from_secs) })
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, WebhookError> {
    let faulty = |why: String| WebhookError::Certificates(path.to_owned(), why);
    let text = fs::read(path).map_err(|error| faulty(error.to_string()))?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| faulty(innermost(&error)))?;
    if found.is_empty() {
        return Err(faulty("there is none".to_owned()));
    }
    let read = |(number, der): (usize, CertificateDer<'_>)| {
        // The client looks into them only as it connects, and then says that the target is not vouched for.
        let known = RootCertStore::empty().add(der.clone()).map_err(|error| error.to_string());
        let read = known.and_then(|()| Certificate::from_der(&der).map_err(|error| innermost(&error)));
        read.map_err(|why| faulty(format!("number {} is none: {why}", number + 1)))
    };
    found.into_iter().enumerate().map(read).collect()
}

/// The cause says more than what is around it, which names the URL.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl WebhookClient for HttpWebhooks {
    fn check(&self, url: &str) -> Result<(), String> {
        let parsed = Url::parse(url).map_err(|error| format!("it is no URL: {error}"))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err("a URL begins with https:// or http://".to_owned());
        }
        if !parsed.username().is_empty() || parsed.password().is_some() || parsed.fragment().is_some() {
            return Err("a URL has no name, password or fragment in it".to_owned());
        }
        let address = match parsed.host() {
            None => return Err("it has no host".to_owned()),
            Some(Host::Domain(_)) => return Ok(()),
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
        };
        match self.is_private_allowed || is_public(address) {
            true => Ok(()),
            false => Err(NOT_PUBLIC.to_owned()),
        }
    }

    fn new_secret(&self) -> Result<String, String> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
        Ok(format!("{}{}", signature::SECRET_PREFIX, STANDARD.encode(bytes)))
    }

    fn post(&self, message: &WebhookMessage<'_>) -> Result<WebhookAnswer, String> {
        // A number in place of a name is not looked up.
        self.check(message.url)?;
        self.runtime.block_on(self.send(message))
    }
}

/// Looks names up, and leaves out addresses that are refused: it is these that are connected to.
struct PublicNames {
    is_private_allowed: bool,
}

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        let is_private_allowed = self.is_private_allowed;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.collect();
            let allowed: Vec<SocketAddr> =
                found.iter().filter(|address| is_private_allowed || is_public(address.ip())).copied().collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err(std::io::Error::other(NOT_PUBLIC).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

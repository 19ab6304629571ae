//! Questions to a running process over HTTP, in the clear or by TLS, one connection each.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned};

use crate::settings::named;

/// The time that connecting may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// The first words of a listener's answer to a client that does not speak TLS.
const SPEAKS_TLS: &str = "this port speaks TLS";

/// The certificate authorities of a process that is asked.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct CaFlag {
    /// A PEM file of certificate authorities for an `https` address, beside those that this machine trusts. [default: none]
    #[arg(long, env = "AUDIENCE_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// A connection to a running process.
pub(crate) trait ServerConnection: Read + Write + Send {}

impl<T: Read + Write + Send> ServerConnection for T {}

/// A running process, by its URL.
#[derive(Clone)]
pub(crate) struct ServerAddress {
    /// `host:port`.
    pub authority: String,
    /// The proof that it must give of who it is; without it nothing is encrypted.
    pub tls: Option<Arc<ClientConfig>>,
}

/// A question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpQuestion<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub key: Option<&'a str>,
    /// The body, in JSON.
    pub json: Option<&'a str>,
    /// The version that a document must still have for a change of it.
    pub version: Option<u64>,
    /// The time that each part of the answer may take.
    pub patience: Duration,
    /// Bytes of the answer that are read at most.
    pub most: u64,
}

impl ServerAddress {
    /// Reads `http://host:port` or `https://host:port`; `flag` names it in messages.
    pub(crate) fn parse(url: &str, flag: &str, ca: &CaFlag) -> anyhow::Result<ServerAddress> {
        let parts = url.split_once("://").map(|(scheme, rest)| (scheme, rest.trim_end_matches('/')));
        let is_place = |authority: &str| authority.contains(':') && !authority.contains('/');
        match parts {
            Some((scheme @ ("http" | "https"), authority)) if is_place(authority) => {
                let tls = (scheme == "https").then(|| trusting(ca.ca_file.as_deref())).transpose()?;
                Ok(ServerAddress { authority: authority.to_owned(), tls })
            }
            _ => bail!("{flag} is {url}: write http://host:port or https://host:port, such as http://127.0.0.1:8081"),
        }
    }

    /// A process of this machine, whose certificate need not name it.
    pub(crate) fn of_this_machine(address: SocketAddr) -> ServerAddress {
        ServerAddress { authority: address.to_string(), tls: None }
    }

    /// Connects for several questions; each read and write may take so long.
    pub(crate) fn connect(&self, patience: Duration) -> anyhow::Result<Box<dyn ServerConnection>> {
        let stream = self.open(patience)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        Ok(Box::new(StreamOwned::new(ClientConnection::new(Arc::clone(tls), self.name()?)?, stream)))
    }

    fn open(&self, patience: Duration) -> anyhow::Result<TcpStream> {
        let authority = &self.authority;
        let addresses = authority.to_socket_addrs().with_context(|| format!("{authority} has no address"))?;
        let address = addresses.into_iter().next().with_context(|| format!("{authority} has no address"))?;
        let stream = TcpStream::connect_timeout(&address, patience.min(PATIENCE))
            .with_context(|| format!("nothing answers at {authority}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(stream)
    }

    /// The name that its certificate must have.
    fn name(&self) -> anyhow::Result<ServerName<'static>> {
        let host = self.authority.rsplit_once(':').map_or(self.authority.as_str(), |(host, _)| host);
        Ok(ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?)
    }

    /// Asks; gives the status and the body.
    pub(crate) fn ask(&self, question: HttpQuestion<'_>) -> anyhow::Result<(u16, String)> {
        let authority = &self.authority;
        let connection = self.connect(question.patience)?;
        question.ask(authority, connection).with_context(|| format!("{authority} does not answer"))
    }
}

impl<'a> HttpQuestion<'a> {
    /// A question of the caller that nobody knows, for something small.
    pub(crate) fn get(path: &'a str) -> HttpQuestion<'a> {
        HttpQuestion { method: "GET", path, key: None, json: None, version: None, patience: PATIENCE, most: 1 << 20 }
    }

    fn ask(self, authority: &str, mut stream: impl Read + Write) -> anyhow::Result<(u16, String)> {
        let HttpQuestion { method, path, key, most, .. } = self;
        let version = self.version.map_or_else(String::new, |version| format!("if-match: \"{version}\"\r\n"));
        let media = if self.json.is_some() { "content-type: application/json\r\n" } else { "" };
        let body = self.json.unwrap_or_default();
        let key = key.map_or_else(String::new, |key| format!("authorization: Bearer {key}\r\n"));
        let rest = format!("connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {authority}\r\n{key}{version}{media}");
        stream.write_all((head + &rest).as_bytes())?;
        let mut answer = Vec::new();
        stream.take(most).read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let Some((status, (_, body))) = status.zip(answer.split_once("\r\n\r\n")) else {
            bail!("it does not speak HTTP");
        };
        Ok((status, body.trim().to_owned()))
    }
}

/// Asks a process of this machine, by TLS where it speaks that. One that listens on all addresses is asked on the loopback.
pub(crate) fn ask_here(mut address: SocketAddr, question: HttpQuestion<'_>) -> anyhow::Result<(u16, String)> {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    let here = ServerAddress::of_this_machine(address);
    let (status, body) = here.ask(question)?;
    if status == 400 && body.starts_with(SPEAKS_TLS) {
        return ServerAddress { tls: Some(unsure()?), ..here }.ask(question);
    }
    Ok((status, body))
}

/// Trusts the authorities of this machine, and those of a file.
fn trusting(ca_file: Option<&Path>) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let place = || format!("{}: {}", named("ca_file"), path.display());
        let of_file = CertificateDer::pem_file_iter(path).with_context(place)?;
        for certificate in of_file {
            roots.add(certificate.with_context(place)?).with_context(place)?;
        }
    }
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Takes any certificate: for a process of this machine, which nothing is told.
fn unsure() -> anyhow::Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)));
    Ok(Arc::new(builder.with_no_client_auth()))
}

/// Takes any certificate whose key signs.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_scheme_a_host_and_a_port() {
        let parse = |url: &str| ServerAddress::parse(url, "--engine", &CaFlag::default());
        assert_eq!(parse("http://engine:8081/").map(|server| server.authority).ok().as_deref(), Some("engine:8081"));
        assert!(parse("https://engine:8081").is_ok_and(|server| server.tls.is_some()));
        for bad in ["engine:8081", "ftp://engine:8081", "http://engine", "http://engine:8081/api"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}

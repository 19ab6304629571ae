//! TLS of the listeners, by settings.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use audience_api::{SelfSigned, Tls, TlsSource};
use audience_engine::service::clock;
use clap::{Args, ValueEnum};

use super::names::named;

/// The directory of the program's own certificate, in the data directory.
pub(crate) const OWN_CERTIFICATE: &str = "tls";

/// Settings of TLS.
#[derive(Clone, Debug, Args)]
pub(crate) struct TlsSettings {
    /// TLS 1.3 on every listener: `off`, or `auto` with a certificate that the program signs itself, and keeps in `tls` in the
    /// data directory. [default: on where tls_certificate is set]
    #[arg(long, env = "AUDIENCE_TLS", value_enum, value_name = "HOW", hide_possible_values = true)]
    pub tls: Option<TlsHow>,
    /// The PEM file of the listeners' certificate, followed by those that sign it. It is read again when it changes; open
    /// connections go on. [default: none]
    #[arg(long, env = "AUDIENCE_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,
    /// The PEM file of its private key, without a password. [default: none]
    #[arg(long, env = "AUDIENCE_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Seconds for which browsers that came by TLS come to this host, at any port, by TLS alone; 0 promises nothing. It is
    /// never sent for `localhost` and for addresses.
    #[arg(long, env = "AUDIENCE_HSTS_SECONDS", value_name = "SECONDS", default_value = "31536000")]
    pub hsts_seconds: u32,
}

/// TLS without files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TlsHow {
    /// None.
    Off,
    /// With a certificate of the program's own.
    Auto,
}

/// The process whose listeners speak TLS: what a certificate of its own is made from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TlsProcess<'a> {
    /// The data directory, which keeps the certificate; without one it lasts as long as the process.
    pub data: Option<&'a Path>,
    pub listeners: &'a [SocketAddr],
    pub public_url: Option<&'a str>,
}

impl TlsSettings {
    /// The TLS of a process, if it is to speak it.
    pub(crate) fn open(&self, process: TlsProcess<'_>) -> anyhow::Result<Option<Arc<Tls>>> {
        let source = match (self.tls, &self.tls_certificate, &self.tls_key) {
            (Some(TlsHow::Off), ..) | (None, None, None) => return Ok(None),
            (Some(TlsHow::Auto), None, None) => TlsSource::SelfSigned(process.own_certificate()),
            (None, Some(certificate), Some(key)) => {
                TlsSource::Files { certificate: certificate.clone(), key: key.clone() }
            }
            (Some(TlsHow::Auto), ..) => {
                bail!("{} is auto, which makes a certificate: leave {} away", named("tls"), named("tls_certificate"))
            }
            _ => bail!("{} and {} go together", named("tls_certificate"), named("tls_key")),
        };
        Tls::open(source, clock::now).map(Some).with_context(|| named("tls"))
    }
}

impl TlsProcess<'_> {
    fn own_certificate(&self) -> SelfSigned {
        let directory = self.data.map(|data| data.join(OWN_CERTIFICATE));
        let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        let listeners = self.listeners.iter().map(SocketAddr::ip).filter(|address| !address.is_unspecified());
        names.extend(listeners.map(|address| address.to_string()));
        names.extend(self.public_url.and_then(host_of).map(str::to_owned));
        names.extend(fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned()));
        names.retain(|name| !name.is_empty() && name.is_ascii());
        names.sort_unstable();
        names.dedup();
        SelfSigned { directory, names }
    }
}

/// The host of a URL, without its port.
fn host_of(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => authority.split(':').next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(tls: Option<TlsHow>, certificate: Option<&str>, key: Option<&str>) -> TlsSettings {
        let [tls_certificate, tls_key] = [certificate, key].map(|file| file.map(PathBuf::from));
        TlsSettings { tls, tls_certificate, tls_key, hsts_seconds: 0 }
    }

    #[test]
    fn tls_is_off_unless_a_certificate_is_named_or_asked_for() {
        let is_on = |settings: TlsSettings| settings.open(TlsProcess::default()).map(|tls| tls.is_some());
        assert!(!is_on(settings(None, None, None)).unwrap());
        assert!(!is_on(settings(Some(TlsHow::Off), Some("absent"), None)).unwrap());
        assert!(is_on(settings(Some(TlsHow::Auto), None, None)).unwrap());
        for (faulty, word) in [
            (settings(None, Some("a.pem"), None), "tls_key"),
            (settings(Some(TlsHow::Auto), Some("a.pem"), Some("b.pem")), "leave"),
            (settings(None, Some("/absent/a.pem"), Some("b.pem")), "/absent/a.pem"),
        ] {
            let error = format!("{:#}", is_on(faulty).unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn hosts_of_urls() {
        for (url, host) in [
            ("https://audience.example.org", "audience.example.org"),
            ("https://audience.example.org:8443/x", "audience.example.org"),
            ("http://[::1]:8081", "::1"),
        ] {
            assert_eq!(host_of(url), Some(host));
        }
    }
}

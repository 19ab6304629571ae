//! TLS of the listeners: version 1.3 alone, with a certificate that is looked at every few seconds.
//!
//! Law: a connection keeps the certificate with which it began, and a new one gets the newest pair that fits together. A pair
//! that cannot be read, or does not fit, changes nothing; the log and a metric tell of it.

mod pair;
mod self_signed;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use audience_rules::ast::Millis;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

pub use pair::TlsError;
use pair::TlsPair;
pub use self_signed::SelfSigned;

/// The time between two looks at the certificate.
const LOOK: Duration = Duration::from_secs(2);
/// The versions that are spoken.
const VERSIONS: [&SupportedProtocolVersion; 1] = [&TLS13];

/// The origin of a certificate.
#[derive(Clone, Debug)]
pub enum TlsSource {
    /// Files in PEM.
    Files {
        /// The certificate and those that sign it, the server's first.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// The program itself.
    SelfSigned(SelfSigned),
}

/// The TLS of a process' listeners.
pub struct Tls {
    source: TlsSource,
    clock: fn() -> Millis,
    acceptor: TlsAcceptor,
    served: Arc<ServedPair>,
    /// The digest of the pair that is served, and why a newer one is not.
    looked: Mutex<([u8; 32], Option<String>)>,
    registry: Registry,
    expires: Gauge,
    fault: Gauge,
    failed: Counter,
}

/// The pair that new connections get.
#[derive(Debug)]
struct ServedPair(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for ServedPair {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tls").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the certificate, or makes it; the error names the file and what is wrong with it.
    pub fn open(source: TlsSource, clock: fn() -> Millis) -> Result<Arc<Tls>, TlsError> {
        let pair = source.pair(clock())?;
        if matches!(source, TlsSource::SelfSigned(_)) {
            tracing::info!(sha256 = pair.fingerprint(), "The listeners have a self-signed certificate");
        }
        let served = Arc::new(ServedPair(RwLock::new(Arc::clone(&pair.key))));
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(&VERSIONS);
        let builder = builder.map_err(|error| TlsError::Making(error.into()))?.with_no_client_auth();
        let mut config = builder.with_cert_resolver(Arc::<ServedPair>::clone(&served));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let (expires, fault, failed) = (Gauge::default(), Gauge::default(), Counter::default());
        let mut registry = Registry::with_prefix("audience_tls");
        let help = "End of the certificate of the listeners, in seconds since 1970";
        registry.register_with_unit("certificate_expires_timestamp", help, Unit::Seconds, expires.clone());
        registry.register(
            "certificate_fault",
            "1 where the files of the certificate cannot be used, and an older one is served",
            fault.clone(),
        );
        registry.register("handshakes_failed", "Connections that ended before TLS was agreed on", failed.clone());
        expires.set(pair.expires_at);
        let (acceptor, looked) = (TlsAcceptor::from(Arc::new(config)), Mutex::new((pair.digest, None)));
        Ok(Arc::new(Tls { source, clock, acceptor, served, looked, registry, expires, fault, failed }))
    }

    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// A connection ended before TLS was agreed on.
    pub(crate) fn count_failure(&self) {
        self.failed.inc();
    }

    /// Looks at the certificate for as long as the listeners are there. Files on a server, or behind the links that Kubernetes
    /// swaps, tell no change, so they are read.
    pub(crate) async fn follow(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let tls = Arc::clone(&self);
            // Files may be on a server. A look that panics is in the log, and the next one follows.
            let _ = tokio::task::spawn_blocking(move || tls.look()).await;
        }
    }

    /// Takes over a newer pair.
    fn look(&self) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let (digest, told) = &mut *looked;
        match self.source.newer((self.clock)(), self.expires.get()) {
            Ok(Some(pair)) => {
                *told = None;
                if pair.digest != *digest {
                    *digest = pair.digest;
                    self.expires.set(pair.expires_at);
                    *self.served.0.write().unwrap_or_else(PoisonError::into_inner) = pair.key;
                    tracing::info!(expires_at = pair.expires_at, "New connections get a new certificate");
                }
            }
            Ok(None) => {}
            Err(error) => {
                let why = error.to_string();
                if told.as_ref() != Some(&why) {
                    tracing::error!(why, "The certificate of the listeners cannot be read; the one before is served");
                    *told = Some(why);
                }
            }
        }
        self.fault.set(i64::from(told.is_some()));
    }

    /// The figures as OpenMetrics text without its end mark.
    pub(crate) fn figures(&self) -> String {
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = encode_registry(&mut text, &self.registry);
        text
    }
}

impl TlsSource {
    fn pair(&self, now: Millis) -> Result<TlsPair, TlsError> {
        match self {
            TlsSource::Files { certificate, key } => TlsPair::read(certificate, key),
            TlsSource::SelfSigned(own) => own.pair(now),
        }
    }

    /// The pair that is there now; `None` where the program's own lasts on.
    fn newer(&self, now: Millis, expires_at: i64) -> Result<Option<TlsPair>, TlsError> {
        match self {
            TlsSource::SelfSigned(_) if !self_signed::is_near_end(expires_at, now) => Ok(None),
            _ => self.pair(now).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const NOW: Millis = 1_800_000_000_000;
    const DAY: Millis = 24 * 3_600_000;

    fn own(directory: Option<PathBuf>, name: &str) -> SelfSigned {
        SelfSigned { directory, names: vec![name.to_owned(), "127.0.0.1".to_owned()] }
    }

    #[test]
    fn a_certificate_of_its_own_is_kept_until_its_end_is_near_or_its_names_are_others() {
        let directory = tempfile::tempdir().unwrap();
        let kept = own(Some(directory.path().join("tls")), "localhost");
        let first = kept.pair(NOW).unwrap();
        assert_eq!(kept.pair(NOW + 300 * DAY).unwrap().digest, first.digest);
        assert_ne!(kept.pair(NOW + 380 * DAY).unwrap().digest, first.digest);
        let other = own(kept.directory.clone(), "audience.example.org").pair(NOW).unwrap();
        assert_ne!(other.digest, first.digest);
        assert_eq!(other.expires_at, (NOW + 398 * DAY) / 1_000);
    }

    #[test]
    fn a_pair_that_does_not_fit_changes_nothing_and_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (directory.path().join("one"), directory.path().join("other"));
        let pair_of = |at: &PathBuf| own(Some(at.clone()), "localhost").pair(NOW).unwrap();
        let (first, second) = (pair_of(&one), pair_of(&other));
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| one.join(name));
        let tls = Tls::open(TlsSource::Files { certificate: certificate.clone(), key: key.clone() }, || NOW).unwrap();
        let served = || tls.looked.lock().unwrap().0;
        fs::copy(other.join("certificate.pem"), &certificate).unwrap();
        tls.look();
        assert_eq!((served(), tls.fault.get()), (first.digest, 1), "the key is still the other's");
        fs::copy(other.join("key.pem"), &key).unwrap();
        tls.look();
        assert_eq!((served(), tls.fault.get()), (second.digest, 0));
        fs::write(&certificate, "no PEM").unwrap();
        tls.look();
        assert_eq!((served(), tls.fault.get()), (second.digest, 1));
        assert!(tls.figures().contains("audience_tls_certificate_fault 1"), "{}", tls.figures());
    }

    #[test]
    fn a_fault_names_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| directory.path().join(name));
        own(Some(directory.path().to_owned()), "localhost").pair(NOW).unwrap();
        let fault = || TlsPair::read(&certificate, &key).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(fault(), "");
        fs::copy(&certificate, &key).unwrap();
        assert!(fault().contains("key.pem: there is no private key"), "{}", fault());
        fs::write(&certificate, "").unwrap();
        assert!(fault().contains("certificate.pem: there is no certificate"), "{}", fault());
        fs::remove_file(&certificate).unwrap();
        assert!(fault().contains("certificate.pem: No such file"), "{}", fault());
    }
}

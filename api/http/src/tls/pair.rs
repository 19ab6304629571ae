//! A certificate chain with its private key, read from PEM and checked to belong together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

/// A reason why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// A file has no certificate.
    #[error("{place}: there is no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate {
        /// The file.
        place: String,
    },
    /// A file has no private key.
    #[error("{place}: there is no private key in PEM without a password (-----BEGIN PRIVATE KEY-----)")]
    NoKey {
        /// The file.
        place: String,
    },
    /// The two do not belong together, or are of a kind that is not taken.
    #[error("{place}: {cause}")]
    Pair {
        /// The file of the certificate.
        place: String,
        /// The fault.
        cause: rustls::Error,
    },
    /// A certificate could not be made.
    #[error("a certificate cannot be made: {0}")]
    Making(Box<dyn std::error::Error + Send + Sync>),
}

/// A certificate chain and its key, fit to be served.
pub(super) struct TlsPair {
    pub(super) key: Arc<CertifiedKey>,
    /// The digest of both texts, by which a change is noticed.
    pub(super) digest: [u8; 32],
    /// The end of the first certificate's time, in epoch seconds.
    pub(super) expires_at: i64,
}

impl TlsPair {
    /// Reads a pair from files in PEM.
    pub(super) fn read(certificate: &Path, key: &Path) -> Result<TlsPair, TlsError> {
        let read = |path: &Path| fs::read(path).map_err(|cause| TlsError::File { path: path.to_owned(), cause });
        let place = |path: &Path| path.display().to_string();
        TlsPair::parse((&read(certificate)?, place(certificate)), (&read(key)?, place(key)))
    }

    /// Reads a pair from texts in PEM, each with its place for messages.
    pub(super) fn parse(
        (chain, place): (&[u8], String),
        (key, key_place): (&[u8], String),
    ) -> Result<TlsPair, TlsError> {
        let digest = Sha256::new().chain_update(chain).chain_update([0]).chain_update(key).finalize().into();
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let certificates = certificates.unwrap_or_default();
        let Some(first) = certificates.first() else { return Err(TlsError::NoCertificate { place }) };
        let expires_at = expiry(first).ok_or_else(|| TlsError::NoCertificate { place: place.clone() })?;
        let Ok(key) = PrivateKeyDer::from_pem_slice(key) else { return Err(TlsError::NoKey { place: key_place }) };
        let key = CertifiedKey::from_der(certificates, key, &ring::default_provider())
            .map_err(|cause| TlsError::Pair { place, cause })?;
        Ok(TlsPair { key: Arc::new(key), digest, expires_at })
    }

    /// The SHA-256 of the first certificate, as browsers show it.
    pub(super) fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.key.cert.first().map_or(&[][..], AsRef::as_ref));
        digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }
}

/// The end of a certificate's time, in epoch seconds.
fn expiry(certificate: &CertificateDer<'_>) -> Option<i64> {
    let certificate = Certificate::from_der(certificate).ok()?;
    i64::try_from(certificate.tbs_certificate.validity.not_after.to_unix_duration().as_secs()).ok()
}

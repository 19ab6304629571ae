//! TLS to the nodes: whom to trust, what to show, and the names under which nodes have their certificates.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::Error;

/// TLS to the nodes of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AerospikeTls {
    /// The certificate authorities to trust, PEM; those of the system without one.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show to nodes that ask for one, and its key, PEM.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// The configuration of every connection.
pub(crate) fn config(settings: &AerospikeTls) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    let given = match &settings.ca_file {
        Some(path) => certificates(path)?,
        None => of_system()?,
    };
    if roots.add_parsable_certificates(given).0 == 0 {
        return Err(Error::Certificates("there is no certificate authority to trust".to_owned()));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Certificates(error.to_string()))?
        .with_root_certificates(roots);
    let Some((certificate, key)) = &settings.certificate else { return Ok(builder.with_no_client_auth()) };
    let read = PrivateKeyDer::from_pem_file(key).map_err(|error| in_file(key, error))?;
    builder.with_client_auth_cert(certificates(certificate)?, read).map_err(|error| in_file(certificate, error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| in_file(path, error))?;
    read.collect::<Result<_, _>>().map_err(|error| in_file(path, error))
}

fn of_system() -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = rustls_native_certs::load_native_certs();
    match found.errors.first() {
        Some(error) if found.certs.is_empty() => Err(Error::Certificates(error.to_string())),
        _ => Ok(found.certs),
    }
}

fn in_file(path: &Path, error: impl Display) -> Error {
    Error::Certificates(format!("{}: {error}", path.display()))
}

/// The nodes, each with the name that its certificate must have: the one that is given, `host:name:port`, or the host.
pub(crate) fn named(hosts: &str) -> String {
    let with_name = |node: &str| match node.split(':').collect::<Vec<_>>()[..] {
        [host, port] => format!("{host}:{host}:{port}"),
        _ => node.to_owned(),
    };
    hosts.split(',').map(|node| with_name(node.trim())).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;
    use crate::AerospikeSettings;
    use crate::cluster::{ClientThreads, connect};

    /// A certificate authority that signed nothing.
    const AUTHORITY: &str = include_str!("../tests/authority.pem");

    /// The first bytes that a node hears, and the error of the client that was not answered.
    fn heard(tls: Option<AerospikeTls>) -> [u8; 2] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let hosts = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        let settings = AerospikeSettings { timeout_ms: 500, tls, ..AerospikeSettings::of(&hosts) };
        let node = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut first = [0; 2];
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            stream.read_exact(&mut first).unwrap();
            first
        });
        let threads = ClientThreads::new().unwrap();
        assert!(threads.run(async { connect(&settings.hosts, &settings).await }).is_err());
        node.join().unwrap()
    }

    #[test]
    fn with_tls_a_node_hears_a_handshake_first() {
        let directory = tempfile::tempdir().unwrap();
        let ca_file = directory.path().join("ca.pem");
        fs::write(&ca_file, AUTHORITY).unwrap();
        // A record of the handshake, and without TLS the head of a message of Aerospike.
        assert_eq!(heard(Some(AerospikeTls { ca_file: Some(ca_file), certificate: None })), [0x16, 3]);
        assert_eq!(heard(None)[0], 2);
    }

    #[test]
    fn a_file_without_certificates_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let ca_file = directory.path().join("empty.pem");
        fs::write(&ca_file, "").unwrap();
        let refused = config(&AerospikeTls { ca_file: Some(ca_file), certificate: None }).unwrap_err().to_string();
        assert!(refused.contains("no certificate authority"), "{refused}");
        let missing = directory.path().join("missing.pem");
        let refused = config(&AerospikeTls { ca_file: Some(missing), certificate: None }).unwrap_err().to_string();
        assert!(refused.contains("missing.pem"), "{refused}");
    }

    #[test]
    fn a_node_without_a_name_is_to_have_that_of_its_host() {
        assert_eq!(named("a.example:4333, b.example:tls-b:4333"), "a.example:a.example:4333,b.example:tls-b:4333");
    }
}

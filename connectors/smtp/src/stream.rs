//! Bytes to and from a server, with TLS or without.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::settings::SmtpError;

/// The time that a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(30);

/// A connection.
pub(crate) enum SmtpStream {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl SmtpStream {
    /// Connects, to the first address of the name that answers.
    pub(crate) fn connect(host: &str, port: u16) -> io::Result<SmtpStream> {
        let mut fault = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(SmtpStream::Plain(stream));
                }
                Err(error) => fault = error,
            }
        }
        Err(fault)
    }

    /// Begins TLS.
    pub(crate) fn secured(self, host: &str, config: &Arc<ClientConfig>) -> Result<SmtpStream, SmtpError> {
        let SmtpStream::Plain(stream) = self else { return Ok(self) };
        let name = ServerName::try_from(host.to_owned())?;
        let connection = ClientConnection::new(Arc::clone(config), name)?;
        Ok(SmtpStream::Tls(Box::new(StreamOwned::new(connection, stream))))
    }

    /// Sets how long a read or a write may take.
    pub(crate) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        let stream = match self {
            SmtpStream::Plain(stream) => stream,
            SmtpStream::Tls(tls) => &tls.sock,
        };
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))
    }
}

impl Read for SmtpStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            SmtpStream::Plain(stream) => stream.read(buffer),
            SmtpStream::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for SmtpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            SmtpStream::Plain(stream) => stream.write(bytes),
            SmtpStream::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            SmtpStream::Plain(stream) => stream.flush(),
            SmtpStream::Tls(tls) => tls.flush(),
        }
    }
}

/// TLS that trusts the authorities of this machine, and those of a file.
pub(crate) fn tls(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, SmtpError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = ca_file {
        let fault = |cause| SmtpError::Authorities { file: file.to_owned(), cause };
        let pem = std::fs::read(file).map_err(|error| fault(error.into()))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| fault(error.into()))?;
            roots.add(certificate).map_err(|error| fault(error.into()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

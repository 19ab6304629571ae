//! Connections: TLS where it is asked for, and what errors mean.

use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;

use audience_contract::StoreError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::PostgresError;

/// The TLS of connections; it holds no certificates where the address asks for none.
pub(crate) fn tls(config: &Config, ca_file: Option<&Path>) -> Result<MakeRustlsConnect, PostgresError> {
    let mut roots = RootCertStore::empty();
    if config.get_ssl_mode() == SslMode::Require {
        let given = match ca_file {
            Some(path) => of_file(path)?,
            None => of_system()?,
        };
        let (usable, _) = roots.add_parsable_certificates(given);
        if usable == 0 {
            return Err(PostgresError::Certificates("there is none".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| PostgresError::Certificates(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(tls))
}

fn of_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, PostgresError> {
    let fail =
        |error: rustls::pki_types::pem::Error| PostgresError::Certificates(format!("{}: {error}", path.display()));
    CertificateDer::pem_file_iter(path).map_err(fail)?.collect::<Result<_, _>>().map_err(fail)
}

fn of_system() -> Result<Vec<CertificateDer<'static>>, PostgresError> {
    let found = rustls_native_certs::load_native_certs();
    match found.errors.first() {
        Some(error) if found.certs.is_empty() => Err(PostgresError::Certificates(error.to_string())),
        _ => Ok(found.certs),
    }
}

/// Host, port and database, for people.
pub(crate) fn place(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    let hosts: Vec<String> = hosts.collect();
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("PostgreSQL at {}:{port}/{}", hosts.join(","), config.get_dbname().unwrap_or_default())
}

/// A fault of the server as the contract has it: what is wrong with the values given will not get better.
pub(crate) fn store_error(action: &'static str, place: &str, error: &tokio_postgres::Error) -> StoreError {
    let detail = format!("{place}: {}", detail(error));
    let class = error.code().map(|state| &state.code()[..2]);
    match class {
        // Data exceptions, broken constraints, limits of the server.
        Some("22" | "23" | "54") => StoreError::Refused { action, detail },
        _ => StoreError::Unavailable { action, detail },
    }
}

/// The server's error, or why it could not be asked.
pub(crate) fn detail(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        let more = db.detail().map(|more| format!(" ({more})")).unwrap_or_default();
        return format!("{}{more} (SQLSTATE {})", db.message(), db.code().code());
    }
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

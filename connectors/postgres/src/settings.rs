//! The address of the server, and timeouts.

use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use crate::PostgresError;

/// The address of the server, and timeouts.
#[derive(Clone)]
pub struct PostgresSettings {
    /// A libpq URL or list of keywords. With `sslmode=require` the connection is TLS, and the server's certificate and
    /// host name are verified; else it is plain.
    pub url: String,
    /// A PEM file of the certificates that may sign the server's; those of the system where there is none.
    pub ca_file: Option<PathBuf>,
    /// The most connections for calls; one more listens.
    pub connections: usize,
    /// The time that a connection may take to be made.
    pub connect_timeout: Duration,
    /// The time that one statement may take, waiting for locks included.
    pub statement_timeout: Duration,
    /// The time between polls of the version, without a notification.
    pub poll_interval: Duration,
}

impl PostgresSettings {
    /// The defaults, for this address: 4 connections, 5 s to connect, 10 s for a statement, a poll every 30 s.
    pub fn new(url: impl Into<String>) -> PostgresSettings {
        PostgresSettings {
            url: url.into(),
            ca_file: None,
            connections: 4,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            poll_interval: Duration::from_secs(30),
        }
    }

    /// Reads the address.
    pub(crate) fn config(&self) -> Result<Config, PostgresError> {
        // Not the parser's own words alone: they may not say what was being read. The address may hold a password.
        let mut config: Config = self.url.parse().map_err(|error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            PostgresError::Settings(format!("the address is no libpq URL: {error}{cause}"))
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(PostgresError::Settings("the address names no host".to_owned()));
        }
        if config.get_ssl_mode() != SslMode::Require {
            config.ssl_mode(SslMode::Disable);
        }
        if config.get_application_name().is_none() {
            config.application_name("audience");
        }
        let given = config.get_options().map(|options| format!("{options} ")).unwrap_or_default();
        let timeout = self.statement_timeout.as_millis();
        config.options(format!(
            "{given}-c statement_timeout={timeout} -c idle_in_transaction_session_timeout={timeout} -c timezone=UTC"
        ));
        config.connect_timeout(self.connect_timeout);
        config.keepalives_idle(Duration::from_secs(10)).keepalives_interval(Duration::from_secs(5));
        config.keepalives_retries(3).tcp_user_timeout(Duration::from_secs(20));
        Ok(config)
    }
}

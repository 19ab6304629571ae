//! Settings of a server that takes mails.

use std::path::PathBuf;
use std::time::Duration;

use crate::dkim::DkimKey;

/// The way in which a connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte, usually on port 465.
    Tls,
    /// TLS after `STARTTLS`; a server without it is refused.
    StartTls,
    /// No TLS: for servers on this machine or a network of one's own.
    Plain,
}

/// A name with a password.
#[derive(Clone)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Settings of a server that takes mails.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// The name or address of the server.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The way in which connections are secured.
    pub security: Security,
    /// The login; none where the server asks for none.
    pub login: Option<Login>,
    /// The name that this side gives for itself.
    pub hello: String,
    /// A PEM file of certificate authorities, beside those that this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// Keys to sign with, one signature each.
    pub dkim: Vec<DkimKey>,
    /// The longest wait for an answer before the final dot. The wait after it is ten minutes, or this where it is longer.
    pub patience: Duration,
    /// The longest wait for the answer to the final dot.
    pub last_patience: Duration,
}

impl SmtpSettings {
    /// Settings with the patience that RFC 5321 asks for.
    pub fn new(host: impl Into<String>, port: u16, security: Security) -> SmtpSettings {
        SmtpSettings {
            host: host.into(),
            port,
            security,
            login: None,
            hello: "localhost".to_owned(),
            ca_file: None,
            dkim: Vec::new(),
            patience: Duration::from_secs(300),
            last_patience: Duration::from_secs(600),
        }
    }
}

/// A fault on the way to a server, before anything was handed over.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// The connection failed.
    #[error("{host}:{port} cannot be reached: {cause}")]
    Connect {
        /// The server.
        host: String,
        /// Its port.
        port: u16,
        /// The system's fault.
        cause: std::io::Error,
    },
    /// The conversation broke off.
    #[error("the conversation broke off: {0}")]
    Broken(std::io::Error),
    /// The server refused a command.
    #[error("the server answers {command} with {code}")]
    Refused {
        /// The command.
        command: &'static str,
        /// The code of the answer.
        code: u16,
    },
    /// The server does not offer what the settings ask for.
    #[error("the server does not offer {0}, which the settings ask for")]
    NotOffered(&'static str),
    /// The server sends before TLS what belongs into it.
    #[error("the server sends in the clear what belongs into TLS")]
    InTheClear,
    /// A file of certificate authorities cannot be used.
    #[error("{}: {cause}", file.display())]
    Authorities {
        /// The file.
        file: PathBuf,
        /// The fault of the file, or of a certificate in it.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server's name is none that a certificate could have.
    #[error(transparent)]
    Name(#[from] rustls::pki_types::InvalidDnsNameError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

impl From<std::io::Error> for SmtpError {
    fn from(error: std::io::Error) -> Self {
        SmtpError::Broken(error)
    }
}

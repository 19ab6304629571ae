//! Faults of Redis, and which of them pass.

use audience_contract::{SinkError, StoreError};
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// A fault of Redis.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The error of the client or the server.
    #[error("Redis: {0}")]
    Redis(RedisError),
    /// A command that Redis did not carry out, while it did others of the same piece.
    #[error("Redis: `{key}`: {fault}")]
    Refused {
        /// The key that it is about.
        key: String,
        /// The error of Redis.
        fault: RedisError,
    },
    /// A later process has taken over.
    #[error("a later writer has taken over")]
    Fenced,
    /// It was emptied, or came back without what it had taken last.
    #[error("Redis has lost what was written; it is written again")]
    Lost,
    /// An answer of another form than the command has.
    #[error("Redis: {0} was answered in another form than it is")]
    Answer(&'static str),
    /// The positions that the writers have stored cannot be read.
    #[error("Redis: what the writers say of their progress cannot be read: {0}")]
    Unreadable(serde_json::Error),
    /// A value that cannot be written.
    #[error("the progress cannot be written: {0}")]
    Unwritable(serde_json::Error),
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        Error::Redis(error)
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::Unwritable(error)
    }
}

impl Error {
    pub(crate) fn into_sink(self, writer: &str) -> SinkError {
        match &self {
            Error::Fenced => SinkError::Fenced(writer.to_owned()),
            Error::Redis(error) | Error::Refused { fault: error, .. } if is_permanent(error) => {
                SinkError::Fatal(self.to_string())
            }
            Error::Redis(_) | Error::Refused { .. } | Error::Lost | Error::Answer(_) => {
                SinkError::Transient(self.to_string())
            }
            Error::Unwritable(_) | Error::Unreadable(_) => SinkError::Fatal(self.to_string()),
        }
    }

    pub(crate) fn into_store(self, action: &'static str) -> StoreError {
        StoreError::Unavailable { action, detail: self.to_string() }
    }
}

/// Faults that stay until somebody changes something.
fn is_permanent(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed
            | ErrorKind::InvalidClientConfig
            | ErrorKind::UnexpectedReturnType
            | ErrorKind::Server(ServerErrorKind::CrossSlot | ServerErrorKind::NoPerm)
    )
}

//! Faults of Aerospike, and which of them pass.

use aerospike::{ErrorKind, ResultCode};
use audience_contract::{SinkError, StoreError};

/// A fault of Aerospike.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The error of the client or a node.
    #[error("Aerospike: {}", in_one_line(.0))]
    Aerospike(aerospike::Error),
    /// Nodes are overloaded, starting or away, and were for as long as a write may take.
    #[error("Aerospike: {failed} of {all} records could not be written in time, the last because: {reason}")]
    TimedOut {
        /// Records that are not written.
        failed: usize,
        /// Records of the write.
        all: usize,
        /// The error of one of them.
        reason: String,
    },
    /// A later process has taken over.
    #[error("a later writer has taken over")]
    Fenced,
    /// The recorded progress is not what was written: a node that was killed, or all of a namespace, has lost records.
    #[error("Aerospike: it does not have what was written last; going on from what it has")]
    Lost,
    /// The progress is none.
    #[error("{0}")]
    Damaged(String),
    /// The progress cannot be read.
    #[error(transparent)]
    Unreadable(serde_json::Error),
    /// The sets were written with other settings.
    #[error(
        "the users of segments were dealt into {found} records, and the settings say {expected}: set `chunks` to {found}"
    )]
    OtherChunks {
        /// The number with which the sets were written.
        found: i64,
        /// The number in the settings.
        expected: u32,
    },
    /// Records of a store whose every record must be written.
    #[error("Aerospike: {0} records are too large")]
    TooLarge(usize),
    /// A reader that has not reached any node yet.
    #[error("Aerospike: no node was reached yet")]
    Unconnected,
    /// No answer in time.
    #[error("Aerospike: no answer within {0} ms")]
    Late(u32),
    /// A value that cannot be written.
    #[error("the progress cannot be written: {0}")]
    Unwritable(serde_json::Error),
    /// Certificates that cannot be used.
    #[error("the TLS of Aerospike: {0}")]
    Certificates(String),
    /// No threads for the client.
    #[error("the client could not be started: {0}")]
    Start(std::io::Error),
}

impl From<aerospike::Error> for Error {
    fn from(error: aerospike::Error) -> Self {
        Error::Aerospike(error)
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::Unwritable(error)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::Start(error)
    }
}

impl Error {
    pub(crate) fn into_sink(self, sink: &str) -> SinkError {
        match self {
            Error::Fenced => SinkError::Fenced(sink.to_owned()),
            Error::Damaged(detail) => SinkError::Corrupt { sink: sink.to_owned(), detail },
            Error::Unreadable(error) => SinkError::Corrupt { sink: sink.to_owned(), detail: error.to_string() },
            Error::Aerospike(ref error) if is_permanent(error) => SinkError::Fatal(self.to_string()),
            Error::OtherChunks { .. } | Error::TooLarge(_) | Error::Unwritable(_) | Error::Certificates(_) => {
                SinkError::Fatal(self.to_string())
            }
            Error::Aerospike(_) | Error::TimedOut { .. } | Error::Lost | Error::Start(_) => {
                SinkError::Transient(self.to_string())
            }
            Error::Unconnected | Error::Late(_) => SinkError::Transient(self.to_string()),
        }
    }

    pub(crate) fn into_store(self, action: &'static str) -> StoreError {
        StoreError::Unavailable { action, detail: self.to_string() }
    }
}

/// The error of the client in one line; its own text has many, one per attempt and node.
pub(crate) fn in_one_line(error: &aerospike::Error) -> String {
    const ENOUGH: usize = 300;
    let full = if is_full(error) { "the namespace is full, or takes no writes just now (stop-writes): " } else { "" };
    let text = format!("{full}{error}");
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(ENOUGH).collect()
}

/// Returns whether a node takes no writes into a namespace, as it does once that is full.
fn is_full(error: &aerospike::Error) -> bool {
    matches!(error.server_result_code(), Some(ResultCode::ServerMemError | ResultCode::FailForbidden))
}

/// Returns whether a record is larger than a node takes.
pub(crate) fn is_too_large(code: Option<ResultCode>) -> bool {
    code == Some(ResultCode::RecordTooBig)
}

/// Faults that stay until somebody changes something. All others pass: a node that starts, is overloaded or away.
pub(crate) fn is_permanent(error: &aerospike::Error) -> bool {
    if matches!(error.kind(), ErrorKind::InvalidArgument | ErrorKind::InvalidNamespace) {
        return true;
    }
    matches!(
        error.server_result_code(),
        Some(
            ResultCode::ParameterError
                | ResultCode::AlwaysForbidden
                | ResultCode::BinTypeError
                | ResultCode::RecordTooBig
                | ResultCode::BinNameTooLong
                | ResultCode::InvalidNamespace
                | ResultCode::OpNotApplicable
                | ResultCode::NotAuthenticated
                | ResultCode::RoleViolation
                | ResultCode::NotAllowlisted
                | ResultCode::BatchDisabled
        )
    )
}

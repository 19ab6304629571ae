//! Messages that were refused, kept whole so that their sender can be mended, and they sent again.

use audience_rules::ast::Millis;
use audience_rules::fault::Fault;
use serde::Serialize;

/// The most refused messages that are kept; then the oldest go.
pub const KEPT_REFUSED: usize = 10_000;
/// The most bytes that are kept of one of them.
pub const KEPT_REFUSED_BYTES: usize = 512 << 10;

/// A message that was refused, to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedMessage {
    /// The instant at which it came.
    pub at: Millis,
    /// The path that it came to.
    pub source: String,
    /// The place in the message, and the reason.
    pub fault: Fault,
    /// The bytes of the whole message.
    pub size: usize,
    /// All of them, or as many as are kept.
    pub bytes: Vec<u8>,
}

impl RefusedMessage {
    /// Keeps a message, or the beginning of one that is too long.
    pub fn new(at: Millis, source: &str, message: &[u8], fault: Fault) -> RefusedMessage {
        let bytes = message[..message.len().min(KEPT_REFUSED_BYTES)].to_vec();
        RefusedMessage { at, source: source.to_owned(), fault, size: message.len(), bytes }
    }
}

/// A refused message that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedMessageView {
    /// Its number: they are counted up.
    pub id: u64,
    /// RFC 3339: the instant at which it came.
    pub at: String,
    /// The path that it came to.
    pub source: String,
    /// The place in the message, and the reason.
    pub fault: KeptFault,
    /// The bytes of the whole message.
    pub bytes: usize,
    /// False where only the beginning of them is here.
    pub is_whole: bool,
    /// The message as it came; what is no UTF-8 in it stands as U+FFFD.
    pub text: String,
}

/// A fault as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptFault {
    /// JSON pointer into the message.
    pub pointer: String,
    /// A stable word for programs.
    pub code: String,
    /// For people.
    pub message: String,
}

//! Errors of a platform.

use audience_rules::fault::Fault;

/// A reason why the platform did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// The named thing does not exist.
    #[error("there is no {kind} {id:?}")]
    NotFound {
        /// segment, trait, user
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// A thing of that id exists already.
    #[error("a {kind} {id:?} exists already; use PUT to replace it")]
    Exists {
        /// segment, trait
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// The version that the caller named is not the current one.
    #[error("the current version is {current}, not {expected}; read it again and repeat the change")]
    VersionMismatch {
        /// The version that the caller named.
        expected: u64,
        /// The current version.
        current: u64,
    },
    /// The request is faulty, in these places.
    #[error("the request has {} fault(s)", .0.len())]
    Invalid(Vec<Fault>),
    /// The change would break what refers to the thing, or is not possible in this state.
    #[error("{message}")]
    Conflict {
        /// A stable word.
        code: &'static str,
        /// The obstacle, and the way round it.
        message: String,
    },
    /// Too much is waiting.
    #[error("the platform is busy; try again in {retry_after_seconds} s")]
    Busy {
        /// Seconds until another attempt makes sense.
        retry_after_seconds: u64,
    },
    /// A store or the engine cannot answer now.
    #[error("{0}")]
    Unavailable(String),
    /// Only a process with an engine can answer, which this one is not.
    #[error("{0} is known where the engine runs: ask there, or start this process with --engine URL")]
    NeedsEngine(&'static str),
}

/// The platform's answer.
pub type Result<T, E = PlatformError> = std::result::Result<T, E>;

/// Refuses what only a process with an engine can answer: `subject` is the topic of the sentence that says so.
pub(crate) fn needs_engine<T, Asked>(subject: &'static str, _: Asked) -> Result<T> {
    Err(PlatformError::NeedsEngine(subject))
}

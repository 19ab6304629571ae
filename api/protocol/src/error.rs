//! The reasons why a platform does not answer.

use audience_rules::fault::Fault;

/// Why the platform did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// There is no such thing.
    #[error("there is no {kind} {id:?}")]
    NotFound {
        /// segment, trait, user
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// One of that id exists.
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
        /// What the caller named.
        expected: u64,
        /// What is.
        current: u64,
    },
    /// The request is faulty, in these places.
    #[error("the request has {} fault(s)", .0.len())]
    Invalid(Vec<Fault>),
    /// It would break what refers to it, or is not possible in this state.
    #[error("{message}")]
    Conflict {
        /// A stable word.
        code: &'static str,
        /// What is in the way, and the way out.
        message: String,
    },
    /// Too much is waiting; try again.
    #[error("the platform is busy; try again in {retry_after_seconds} s")]
    Busy {
        /// When.
        retry_after_seconds: u64,
    },
    /// A store or the engine is not able to answer now.
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

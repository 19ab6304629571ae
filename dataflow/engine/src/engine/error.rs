//! Errors of the engine, each with its cause.

use std::io;
use std::sync::Arc;

use audience_contract::StoreError;
use audience_kernel::worker::OperatorError;

/// Why the engine, or a step of its start, does not go on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// No more ticks are done.
    #[error("the engine has stopped: {0}")]
    Stopped(EngineFailure),
    /// It cannot be started.
    #[error("the engine cannot start: {0}")]
    Start(StartError),
    /// A store failed. The engine itself goes on.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something cannot be written in the form in which it is stored.
    #[error("{what} cannot be written: {cause}")]
    Write {
        /// The thing.
        what: &'static str,
        /// The fault.
        cause: SharedCause,
    },
}

impl From<EngineFailure> for EngineError {
    fn from(error: EngineFailure) -> Self {
        EngineError::Stopped(error)
    }
}

impl From<StartError> for EngineError {
    fn from(error: StartError) -> Self {
        EngineError::Start(error)
    }
}

impl EngineError {
    /// An error for a thread that cannot be started.
    pub fn thread(cause: io::Error) -> EngineError {
        StartError::system("a thread cannot be started", cause).into()
    }

    /// An error for something that cannot be written in its form.
    pub fn write(what: &'static str, cause: impl std::error::Error + Send + Sync + 'static) -> EngineError {
        EngineError::Write { what, cause: SharedCause::of(cause) }
    }
}

/// The end of the engine: the first failure of any part of it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineFailure {
    /// It was stopped in order.
    #[error("it was told to")]
    Told,
    /// A store failed that the engine cannot go on without.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A worker cannot go on.
    #[error("{0}")]
    Worker(String),
    /// A thread of a worker, or the collector, died.
    #[error("a worker panicked: a process is lost, or this is a fault of the program")]
    Panicked,
    /// A job that the engine cannot go on without has died.
    #[error("the thread `{0}` has died: this is a fault of the program, and the log says where")]
    JobDied(&'static str),
    /// A process of the cluster is lost.
    #[error("process {process} is lost: {reason}")]
    ProcessLost {
        /// The process.
        process: usize,
        /// The fault of the connection.
        reason: String,
    },
    /// The coordinator is lost.
    #[error("the coordinator is lost: {0}")]
    CoordinatorLost(String),
    /// The connection to a worker of another process failed.
    #[error("worker {worker}: {reason}")]
    WorkerLost {
        /// The worker, over all processes.
        worker: usize,
        /// The fault of the connection.
        reason: String,
    },
    /// A connection or a file failed.
    #[error("{what}: {cause}")]
    Failed {
        /// The step that failed.
        what: &'static str,
        /// The fault.
        cause: SharedCause,
    },
    /// The lease is lost: another data directory gives out.
    #[error("{0}")]
    Fenced(String),
    /// A state that this program does not lead to.
    #[error("{0}; this is a fault of the program")]
    Bug(&'static str),
}

impl EngineFailure {
    /// For a step that failed.
    pub fn failed(what: &'static str, cause: impl std::error::Error + Send + Sync + 'static) -> EngineFailure {
        EngineFailure::Failed { what, cause: SharedCause::of(cause) }
    }
}

impl From<EngineError> for EngineFailure {
    /// The failure of the engine whose sink has failed.
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Stopped(failure) => failure,
            EngineError::Store(error) => EngineFailure::Store(error),
            error => EngineFailure::failed("the sink of the ticks failed", error),
        }
    }
}

/// A reason why the engine cannot start.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartError {
    /// A thread, a socket or the network of the workers.
    #[error("{what}: {cause}")]
    System {
        /// The step that failed.
        what: String,
        /// The fault.
        cause: SharedCause,
    },
    /// The network of the workers.
    #[error("the workers cannot be connected: {0}")]
    Network(String),
    /// A worker died.
    #[error("a worker died")]
    WorkerDied,
    /// A worker cannot load its state.
    #[error(transparent)]
    Worker(Arc<OperatorError>),
    /// A worker of another process cannot load its state.
    #[error("worker {worker}: {reason}")]
    RemoteWorker {
        /// The worker, over all processes.
        worker: usize,
        /// The fault, in the words of its process.
        reason: String,
    },
    /// A process of the cluster is lost.
    #[error("process {process} is lost: {reason}")]
    ProcessLost {
        /// The process.
        process: usize,
        /// The fault of the connection.
        reason: String,
    },
    /// The processes did not connect with each other in time.
    #[error("not all processes made their connections in time")]
    Unconnected,
    /// The start was told to stop before it was done.
    #[error("it was told to stop")]
    Stopped,
    /// The coordinator does not take this process.
    #[error("the coordinator refuses: {0}")]
    Refused(String),
    /// A checkpoint cannot be loaded.
    #[error("checkpoint {number}: {fault}")]
    Checkpoint {
        /// Its number.
        number: u64,
        /// The fault.
        fault: String,
    },
    /// The event log and the history outside do not fit together, or the catalogue is not this one's.
    #[error("{0}")]
    Restore(String),
    /// It was started before.
    #[error("{0}")]
    Twice(&'static str),
}

impl StartError {
    /// For a thread, a socket or a file that cannot be had.
    pub fn system(what: impl Into<String>, cause: impl std::error::Error + Send + Sync + 'static) -> StartError {
        StartError::System { what: what.into(), cause: SharedCause::of(cause) }
    }
}

/// A cause that is shared by the clones of an error.
#[derive(Clone, Debug)]
pub struct SharedCause(Arc<dyn std::error::Error + Send + Sync>);

impl SharedCause {
    fn of(error: impl std::error::Error + Send + Sync + 'static) -> SharedCause {
        SharedCause(Arc::new(error))
    }
}

impl std::fmt::Display for SharedCause {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_store_is_not_told_as_the_end_of_the_engine() {
        let store = StoreError::Unavailable { action: "writing a shard", detail: "no space left".to_owned() };
        let error = EngineError::from(store.clone());
        assert_eq!(error.to_string(), "writing a shard failed: no space left");
        let failure = EngineFailure::from(error);
        assert_eq!(EngineError::Stopped(failure).to_string(), format!("the engine has stopped: {store}"));
    }

    #[test]
    fn an_error_says_its_cause_once() {
        let cause = io::Error::other("the address is taken");
        let error = EngineError::from(StartError::system("cannot listen on :80", cause));
        assert_eq!(error.to_string(), "the engine cannot start: cannot listen on :80: the address is taken");
        assert!(std::error::Error::source(&error).is_none(), "nobody prints the cause again");
    }
}

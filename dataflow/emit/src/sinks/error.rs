//! Why a writer of a sink ends.

use std::io;

use audience_contract::{SinkError, StoreError};

use crate::memberships::EngineStopped;

/// Why following was broken off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Engine(#[from] EngineStopped),
    #[error("a writer's thread cannot be started: {0}")]
    Thread(io::Error),
    #[error("the store has lost what it held; it is filled again")]
    Lost,
    #[error("another writer of the sink has failed")]
    Broken,
}

impl FollowError {
    /// Returns whether a retry is of no use.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, FollowError::Sink(SinkError::Fenced(_)) | FollowError::Engine(_) | FollowError::Thread(_))
    }
}

//! Why a write to a store of sizes or of profiles failed.

use audience_contract::{SinkError, StoreError};

/// Why a write to a store of sizes or of profiles failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The store that is written.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The store that is read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

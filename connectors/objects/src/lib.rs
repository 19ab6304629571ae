//! Checkpoints and history in a shared directory or an S3-compatible store.
//!
//! [`Objects::open`] takes a URL and hands out the stores of `audience_contract`. What is under the URL:
//!
//! ```text
//! owner                      which data directory it belongs to
//! checkpoints/<number>/…     one folder for each checkpoint: shards, and the manifest that makes it whole
//! history/….parquet          accepted events, for anyone's tools, and for a new data directory
//! ```
//!
//! [`Backups::open`] takes a URL under which each backup is a folder, laid out in the same way without an owner.
//!
//! Nothing relies on more than that an object is there whole or not at all, that it can be read once it is written, and
//! that it can be listed. Every object carries a checksum or is listed with one. Two processes never write under one
//! name what the other relies on.
//!
//! Calls block; inside, a small runtime of its own speaks to the store, with timeouts, and for S3 with retries.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod backups;
mod checkpoints;
mod column;
mod file;
mod history;
mod manifest;
mod objects;
mod target;

use std::sync::Arc;

use audience_contract::{CheckpointStore, History, StoreError};

pub use backups::Backups;
pub use objects::Objects;

/// A fault of a store of objects as it is opened.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// The URL names nothing that can be opened.
    #[error("{url} is no place for objects: {detail}")]
    Url {
        /// As it was given, without what may be secret.
        url: String,
        /// The fault.
        detail: String,
    },
    /// A variable of the environment is wrong; it is named.
    #[error("{0}")]
    Variable(String),
    /// The system gave no threads.
    #[error("the client of the store of objects could not be started: {0}")]
    Start(std::io::Error),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Objects {
    /// The checkpoints.
    pub fn checkpoints(self: &Arc<Self>) -> Arc<dyn CheckpointStore> {
        Arc::new(checkpoints::ObjectCheckpoints::new(self.clone()))
    }

    /// The history.
    pub fn history(self: &Arc<Self>) -> Arc<dyn History> {
        Arc::new(history::ParquetHistory::new(self.clone()))
    }
}

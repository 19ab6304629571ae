//! Segments and traits in PostgreSQL, in the schema `audience`, where people read and edit them in SQL too.
//!
//! Whatever changes them, this crate or a statement written by hand, goes through triggers that take the next version of
//! the catalogue, keep the row under it, write the audit log and notify. So every version ever can be read, and no change
//! is missed. The tables are in `migrations/`.
//!
//! Calls block; what they wait for runs on a small runtime of its own. While the server is away they return
//! [`StoreError::Unavailable`](audience_contract::StoreError::Unavailable), and work again once it is back.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod access;
mod audit;
mod body;
mod catalogue;
mod connect;
mod database;
mod inspect;
mod migrate;
mod notice;
mod rows;
mod settings;
mod webhooks;

pub use catalogue::PostgresCatalogue;
pub use inspect::{PostgresInspection, inspect};
pub use migrate::{Migration, migrate};
pub use settings::PostgresSettings;

use audience_contract::StoreError;

/// Why there is no catalogue to work with.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// A setting is wrong.
    #[error("the settings of PostgreSQL are wrong: {0}")]
    Settings(String),
    /// The certificates that the server is held to could not be read.
    #[error("the certificates for PostgreSQL cannot be read: {0}")]
    Certificates(String),
    /// The process could not make the threads or sockets that it needs.
    #[error("the runtime for PostgreSQL could not be started: {0}")]
    Runtime(std::io::Error),
    /// The server is there and does not let in who asks, or has no such database.
    #[error("{0}")]
    Rejected(String),
    /// The tables are not those that this program knows.
    #[error("the tables in PostgreSQL do not fit this program: {0}")]
    Schema(String),
    /// The server did not do what was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<std::io::Error> for PostgresError {
    fn from(error: std::io::Error) -> Self {
        PostgresError::Runtime(error)
    }
}

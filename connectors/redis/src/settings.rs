//! How Redis is reached, and what is kept under which names.

use std::fmt;
use std::time::Duration;

use redis::{Client, Connection};
use serde::Deserialize;

use crate::Error;

/// How Redis is reached, and what is kept under which names.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `redis://[user:password@]host:port/database`.
    pub url: String,
    /// What every key begins with.
    #[serde(default = "default_prefix")]
    pub prefix: String,
    /// What its progress is filed under. Of several that write to the same keys each has its own name.
    #[serde(default = "default_prefix")]
    pub writer: String,
    /// How long an answer may take, milliseconds.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
}

fn default_prefix() -> String {
    "audience".to_owned()
}

fn default_timeout() -> u64 {
    10_000
}

/// Without the address: a password may be in it.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("prefix", &self.prefix).field("writer", &self.writer).finish_non_exhaustive()
    }
}

impl Settings {
    /// With what is so by default.
    pub fn of(url: &str) -> Self {
        let (prefix, writer) = (default_prefix(), default_prefix());
        Settings { url: url.to_owned(), prefix, writer, timeout_ms: default_timeout() }
    }

    /// The memberships of a user.
    pub(crate) fn user_key(&self, user: &str) -> String {
        format!("{}:user:{user}:segments", self.prefix)
    }

    /// The users of a segment.
    pub(crate) fn segment_key(&self, segment: &str) -> String {
        format!("{}:segment:{segment}:members", self.prefix)
    }

    /// The profile of a user.
    pub(crate) fn profile_key(&self, user: &str) -> String {
        format!("{}:user:{user}:profile", self.prefix)
    }

    /// How far profiles reach.
    pub(crate) fn profiles_key(&self) -> String {
        format!("{}:profiles", self.prefix)
    }

    /// How far writers have come.
    pub(crate) fn progress_key(&self) -> String {
        format!("{}:progress", self.prefix)
    }

    /// How often this writer was opened.
    pub(crate) fn writer_key(&self) -> String {
        format!("{}:writer:{}", self.prefix, self.writer)
    }

    pub(crate) fn connect(&self, client: &Client) -> Result<Connection, Error> {
        let timeout = Duration::from_millis(self.timeout_ms);
        let connection = client.get_connection_with_timeout(timeout)?;
        connection.set_read_timeout(Some(timeout))?;
        connection.set_write_timeout(Some(timeout))?;
        Ok(connection)
    }
}

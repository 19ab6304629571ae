//! The address of Redis, and the names of keys.

use std::fmt;
use std::time::Duration;

use redis::{Client, Connection};

use crate::Error;

/// The address of Redis, and the names of keys.
#[derive(Clone)]
pub struct RedisSettings {
    /// The URL, `redis://[user:password@]host:port/database`.
    pub url: String,
    /// The prefix of every key.
    pub prefix: String,
    /// The name under which progress is kept. Each of several engines that write the same keys has its own.
    pub writer: String,
    /// Milliseconds that an answer may take.
    pub timeout_ms: u64,
    /// Milliseconds that a reader waits for users' segments.
    pub read_timeout_ms: u64,
}

/// Without the address: a password may be in it.
impl fmt::Debug for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSettings")
            .field("prefix", &self.prefix)
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

impl RedisSettings {
    /// The defaults, for a URL.
    pub fn of(url: &str) -> Self {
        let (prefix, writer) = ("audience".to_owned(), "audience".to_owned());
        RedisSettings { url: url.to_owned(), prefix, writer, timeout_ms: 10_000, read_timeout_ms: 100 }
    }

    /// The key of a user's memberships.
    pub(crate) fn user_key(&self, user: &str) -> String {
        format!("{}:user:{user}:segments", self.prefix)
    }

    /// The key of a segment's users.
    pub(crate) fn segment_key(&self, segment: &str) -> String {
        format!("{}:segment:{segment}:members", self.prefix)
    }

    /// The key of a user's profile.
    pub(crate) fn profile_key(&self, user: &str) -> String {
        format!("{}:user:{user}:profile", self.prefix)
    }

    /// The key of the position of profiles.
    pub(crate) fn profiles_key(&self) -> String {
        format!("{}:profiles", self.prefix)
    }

    /// The key of the progress of writers.
    pub(crate) fn progress_key(&self) -> String {
        format!("{}:progress", self.prefix)
    }

    /// The key of the number of times that this writer was opened.
    pub(crate) fn writer_key(&self) -> String {
        format!("{}:writer:{}", self.prefix, self.writer)
    }

    pub(crate) fn connect(&self, client: &Client) -> Result<Connection, Error> {
        connect(client, Duration::from_millis(self.timeout_ms))
    }
}

/// Connects, with so much time for that and for each answer.
pub(crate) fn connect(client: &Client, timeout: Duration) -> Result<Connection, Error> {
    let connection = client.get_connection_with_timeout(timeout)?;
    connection.set_read_timeout(Some(timeout))?;
    connection.set_write_timeout(Some(timeout))?;
    Ok(connection)
}

//! A look at a server before a start. It changes nothing.

use redis::Client;

use crate::{Error, RedisSettings};

/// A server as it stands before a start.
#[derive(Clone, Debug)]
pub struct RedisInspection {
    /// The server's version, in its own words.
    pub version: String,
    /// The server's clock, in milliseconds since 1970.
    pub now_ms: i64,
    /// True if the server is a replica, which takes no writes.
    pub is_replica: bool,
    /// The most memory that the server takes, in bytes; 0 where there is no limit.
    pub most_memory_bytes: u64,
    /// The server's way with keys once that memory is full: `noeviction`, or a policy that deletes some.
    pub eviction_policy: String,
}

/// Looks at a server. Costs one connection and two commands.
pub fn inspect(settings: &RedisSettings) -> Result<RedisInspection, Error> {
    let client = Client::open(settings.url.as_str())?;
    let mut connection = settings.connect(&client)?;
    let (info, (seconds, microseconds)): (String, (i64, i64)) =
        redis::pipe().cmd("INFO").cmd("TIME").query(&mut connection)?;
    let fact = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| *key == name).map_or("", |(_, value)| value.trim())
    };
    Ok(RedisInspection {
        version: fact("redis_version").to_owned(),
        now_ms: seconds.saturating_mul(1_000).saturating_add(microseconds / 1_000),
        is_replica: fact("role") == "slave",
        most_memory_bytes: fact("maxmemory").parse().unwrap_or(0),
        eviction_policy: fact("maxmemory_policy").to_owned(),
    })
}

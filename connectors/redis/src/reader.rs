//! Memberships read from Redis.

use std::sync::{Mutex, PoisonError};

use audience_contract::{HeldMembership, ServingStore, StoreError};
use redis::{Client, Commands, Connection};

use crate::{Error, RedisSettings};

const READING: &str = "reading memberships from Redis";
/// Connections that are kept between reads.
const KEPT: usize = 32;

/// Reads what [`RedisSink`](crate::RedisSink) writes. The server need not be there at the start.
///
/// Costs one command.
pub struct RedisReader {
    settings: RedisSettings,
    client: Client,
    /// Those that nobody uses just now.
    idle: Mutex<Vec<Connection>>,
}

impl RedisReader {
    /// One that connects when it is first asked. Fails where the address is none.
    pub fn new(settings: RedisSettings) -> Result<Self, Error> {
        let client = Client::open(settings.url.as_str())?;
        Ok(RedisReader { settings, client, idle: Mutex::default() })
    }

    fn get(&self, user_id: &str) -> Result<Vec<(String, i64)>, Error> {
        let key = self.settings.user_key(user_id);
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(mut connection) = kept
            && let Ok(held) = connection.hgetall(&key)
        {
            self.keep(connection);
            return Ok(held);
        }
        // One that was kept may have been closed on the other side.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut connection = self.settings.connect(&self.client)?;
        let held = connection.hgetall(&key)?;
        self.keep(connection);
        Ok(held)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(connection);
        }
    }
}

impl ServingStore for RedisReader {
    fn name(&self) -> &str {
        "redis"
    }

    fn segments_of(&self, user_id: &str) -> Result<Vec<HeldMembership>, StoreError> {
        let held = self.get(user_id).map_err(|error| error.into_store(READING))?;
        let mut held: Vec<HeldMembership> =
            held.into_iter().map(|(segment_id, since)| HeldMembership { segment_id, since }).collect();
        held.sort_unstable();
        Ok(held)
    }
}

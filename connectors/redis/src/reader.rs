//! Memberships read from Redis.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use audience_contract::{HeldMembership, Reach, Result, ServingError, ServingState, ServingStore, StoreError};
use redis::{Client, Commands, Connection, RedisError, RedisResult};

use crate::settings::connect;
use crate::{Error, RedisSettings};

const READING: &str = "reading memberships from Redis";
/// Connections that are kept between reads.
const KEPT: usize = 32;
/// The longest that a look at the state waits.
const LOOK: Duration = Duration::from_secs(1);

/// Reads what [`RedisSink`](crate::RedisSink) writes. The server need not be there at the start.
///
/// Costs one round trip.
pub struct RedisReader {
    settings: RedisSettings,
    client: Client,
    /// Those that nobody uses just now.
    idle: Mutex<Vec<Connection>>,
    /// The one that looks at the state.
    looking: Mutex<Option<Connection>>,
}

impl RedisReader {
    /// One that connects when it is first asked. Fails where the address is none.
    pub fn new(settings: RedisSettings) -> Result<Self, Error> {
        let client = Client::open(settings.url.as_str())?;
        Ok(RedisReader { settings, client, idle: Mutex::default(), looking: Mutex::default() })
    }

    /// Asks on a connection that was kept, or on a new one.
    fn ask<T>(&self, ask: impl Fn(&mut Connection) -> RedisResult<T>) -> Result<T, Error> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(mut connection) = kept {
            match ask(&mut connection) {
                Ok(answer) => {
                    self.keep(connection);
                    return Ok(answer);
                }
                // The time is over.
                Err(error) if is_late(&error) => return Err(error.into()),
                // It may have been closed on the other side, as may the others.
                Err(_) => self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear(),
            }
        }
        let mut connection = connect(&self.client, Duration::from_millis(self.settings.read_timeout_ms))?;
        let answer = ask(&mut connection)?;
        self.keep(connection);
        Ok(answer)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(connection);
        }
    }

    fn look(&self) -> Result<ServingState, Error> {
        let mut looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let mut connection = match looking.take() {
            Some(connection) => connection,
            None => connect(&self.client, LOOK)?,
        };
        let reach: Option<String> = connection.hget(self.settings.progress_key(), &self.settings.writer)?;
        *looking = Some(connection);
        state(reach.as_deref())
    }
}

/// Returns whether no answer came within the time.
fn is_late(error: &RedisError) -> bool {
    error.is_timeout()
}

fn state(reach: Option<&str>) -> Result<ServingState, Error> {
    let reach: Option<Reach> = reach.map(serde_json::from_str).transpose().map_err(Error::Unreadable)?;
    Ok(ServingState::of(reach.as_ref()))
}

impl ServingStore for RedisReader {
    fn name(&self) -> &str {
        "redis"
    }

    fn state(&self) -> Result<ServingState> {
        self.look().map_err(|error| error.into_store(READING))
    }

    /// The memberships and what the writers say are of one moment.
    fn segments_of(&self, user_id: &str) -> Result<Vec<HeldMembership>, ServingError> {
        let unreadable = |error: Error| -> StoreError { error.into_store(READING) };
        let (user, progress) = (self.settings.user_key(user_id), self.settings.progress_key());
        let mut both = redis::pipe();
        both.atomic().hgetall(&user).hget(&progress, &self.settings.writer);
        let (held, reach): (Vec<(String, i64)>, Option<String>) =
            self.ask(|connection| both.query(connection)).map_err(unreadable)?;
        state(reach.as_deref()).map_err(unreadable)?.check()?;
        let mut held: Vec<HeldMembership> =
            held.into_iter().map(|(segment_id, since)| HeldMembership { segment_id, since }).collect();
        held.sort_unstable();
        Ok(held)
    }

    fn are_listing(&self, user_id: &str, segments: &[String]) -> Result<Vec<bool>, ServingError> {
        if segments.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = redis::pipe();
        for segment in segments {
            all.sismember(self.settings.segment_key(segment), user_id);
        }
        let listing = self.ask(|connection| all.query(connection));
        Ok(listing.map_err(|error: Error| error.into_store(READING))?)
    }
}

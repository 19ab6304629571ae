//! Profiles of users, written to Redis.

use audience_contract::{Profile, ProfileReach, ProfileStore, SinkError};
use redis::{Client, Commands, Connection, Pipeline};

use crate::sink::escaped;
use crate::{Error, RedisSettings};

/// Field: traits, a JSON object.
const TRAITS: &str = "traits";
/// Field: computed traits, a JSON object.
const COMPUTED: &str = "computed";
/// Field: the instant that they are as of.
const AT: &str = "at";
/// Users in one round trip.
const AT_ONCE: usize = 1_000;

/// Profiles of users in Redis, each whole in one command.
///
/// Costs a command for each user, and a round trip for 1,000.
pub struct RedisProfiles {
    /// `redis-profiles:` and the writer.
    name: String,
    settings: RedisSettings,
    client: Client,
    connection: Option<Connection>,
}

impl RedisProfiles {
    /// One that connects when it is first asked. Fails where the address is none.
    pub fn new(settings: RedisSettings) -> Result<RedisProfiles, Error> {
        let client = Client::open(settings.url.as_str())?;
        let name = format!("redis-profiles:{}", settings.writer);
        Ok(RedisProfiles { name, settings, client, connection: None })
    }

    /// Runs with a connection, which is given up where it fails.
    fn run<T>(
        &mut self,
        run: impl FnOnce(&RedisSettings, &mut Connection) -> Result<T, Error>,
    ) -> Result<T, SinkError> {
        let kept = self.connection.take().map_or_else(|| self.settings.connect(&self.client), Ok);
        let done = kept.and_then(|mut connection| {
            let done = run(&self.settings, &mut connection)?;
            self.connection = Some(connection);
            Ok(done)
        });
        done.map_err(|error| error.into_sink(&self.name))
    }
}

impl ProfileStore for RedisProfiles {
    fn name(&self) -> &str {
        &self.name
    }

    fn reached(&mut self) -> Result<Option<ProfileReach>, SinkError> {
        let reach: Option<String> =
            self.run(|settings, connection| Ok(connection.hget(settings.profiles_key(), &settings.writer)?))?;
        let damaged =
            |error: serde_json::Error| SinkError::Corrupt { sink: self.name.clone(), detail: error.to_string() };
        reach.map(|text| serde_json::from_str(&text).map_err(damaged)).transpose()
    }

    fn write(&mut self, profiles: &[Profile]) -> Result<(), SinkError> {
        self.run(|settings, connection| {
            profiles.chunks(AT_ONCE).try_for_each(|some| {
                let mut pipeline = Pipeline::with_capacity(some.len());
                for profile in some {
                    let (traits, computed) =
                        (serde_json::to_string(&profile.traits)?, serde_json::to_string(&profile.computed)?);
                    let command = pipeline.cmd("HSET").arg(settings.profile_key(&profile.user_id));
                    command.arg(TRAITS).arg(traits).arg(COMPUTED).arg(computed).arg(AT).arg(profile.at).ignore();
                }
                Ok(pipeline.exec(connection)?)
            })
        })
    }

    fn erase(&mut self, user_ids: &[String]) -> Result<(), SinkError> {
        self.run(|settings, connection| {
            user_ids.chunks(AT_ONCE).try_for_each(|some| {
                let keys: Vec<String> = some.iter().map(|user| settings.profile_key(user)).collect();
                Ok(connection.unlink(keys)?)
            })
        })
    }

    fn erase_before(&mut self, at: i64) -> Result<(), SinkError> {
        self.run(|settings, connection| {
            let mut cursor = 0;
            loop {
                let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
                    .arg(cursor)
                    .arg("MATCH")
                    .arg(profiles(settings))
                    .arg("COUNT")
                    .arg(AT_ONCE)
                    .query(connection)?;
                unlink_before(connection, &keys, at)?;
                cursor = next;
                if cursor == 0 {
                    return Ok(());
                }
            }
        })
    }

    fn reach(&mut self, reach: &ProfileReach) -> Result<(), SinkError> {
        self.run(|settings, connection| {
            let reach = serde_json::to_string(reach)?;
            Ok(connection.hset(settings.profiles_key(), &settings.writer, reach)?)
        })
    }
}

/// The pattern of the keys of all users.
fn profiles(settings: &RedisSettings) -> String {
    // The prefix is nobody's id, and has no zero byte.
    escaped(&settings.profile_key("\0")).replace('\0', "*")
}

/// Deletes those of the profiles that are as of an earlier instant.
fn unlink_before(connection: &mut Connection, keys: &[String], at: i64) -> Result<(), Error> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut pipeline = Pipeline::with_capacity(keys.len());
    for key in keys {
        pipeline.hget(key, AT);
    }
    let instants: Vec<Option<i64>> = pipeline.query(connection)?;
    let is_before = |instant: &Option<i64>| instant.is_some_and(|instant| instant < at);
    let old: Vec<&String> =
        keys.iter().zip(&instants).filter(|(_, instant)| is_before(instant)).map(|(key, _)| key).collect();
    if old.is_empty() { Ok(()) } else { Ok(connection.unlink(old)?) }
}

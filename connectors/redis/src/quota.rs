//! Quotas in Redis: one hash a key, and one script that looks and takes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use audience_contract::{QuotaAnswer, QuotaPolicy, QuotaStore, Result};
use redis::{Client, Connection, ConnectionLike as _, ErrorKind, RedisError, ServerErrorKind};

use crate::settings::connect;
use crate::{Error, RedisSettings};

const TAKING: &str = "taking of a quota in Redis";
/// Connections that are kept.
const KEPT: usize = 32;

/// Sums up what was granted in the present sub-window and the twelve before, and adds to the present one where there is room.
/// `KEYS[1]`: the hash, sub-window to granted. `ARGV`: the quota, how much is taken, the length of a sub-window in
/// milliseconds. Gives: granted or not, the sum then, milliseconds until the oldest part of it counts no more.
const SCRIPT: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local length = tonumber(ARGV[3])
local present = math.floor(now / length)
local fields = redis.call('HGETALL', KEYS[1])
for at = 1, #fields, 2 do present = math.max(present, tonumber(fields[at])) end
local sum, oldest = 0, nil
for at = 1, #fields, 2 do
  local one = tonumber(fields[at])
  if one < present - 12 then
    redis.call('HDEL', KEYS[1], fields[at])
  else
    sum = sum + tonumber(fields[at + 1])
    if oldest == nil or one < oldest then oldest = one end
  end
end
local count, granted = tonumber(ARGV[2]), 0
if sum + count <= tonumber(ARGV[1]) then
  granted = 1
  sum = sum + count
  if count > 0 then
    redis.call('HINCRBY', KEYS[1], string.format('%.0f', present), count)
    redis.call('PEXPIRE', KEYS[1], 14 * length)
    if oldest == nil then oldest = present end
  end
end
local reset = 0
if oldest ~= nil then reset = math.max(0, (oldest + 13) * length - now) end
return {granted, sum, reset}
";

/// Counters in Redis under `{prefix}:quota:{key}`, which end by themselves.
///
/// Costs one round trip, and on the server what a hash of at most thirteen fields does.
pub struct RedisQuota {
    settings: RedisSettings,
    client: Client,
    /// The digest by which Redis knows the script.
    digest: Mutex<Option<String>>,
    /// Those that nobody uses just now.
    idle: Mutex<Vec<Connection>>,
}

impl RedisQuota {
    /// One that connects when it is first asked. Fails where the address is none.
    pub fn new(settings: RedisSettings) -> Result<Self, Error> {
        let client = Client::open(settings.url.as_str())?;
        Ok(RedisQuota { settings, client, digest: Mutex::default(), idle: Mutex::default() })
    }

    fn ask(&self, key: &str, count: u32, policy: QuotaPolicy) -> Result<(bool, u32, u64), Error> {
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let timeout = Duration::from_millis(self.settings.read_timeout_ms);
        let mut connection = match kept {
            // It may have been closed on the other side while nobody used it.
            Some(connection) if connection.is_open() => connection,
            _ => connect(&self.client, timeout)?,
        };
        let answer = self.run(&mut connection, key, count, policy)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(connection);
        }
        Ok(answer)
    }

    fn run(
        &self,
        connection: &mut Connection,
        key: &str,
        count: u32,
        policy: QuotaPolicy,
    ) -> Result<(bool, u32, u64), Error> {
        let key = format!("{}:quota:{key}", self.settings.prefix);
        let ask = |connection: &mut Connection, digest: &str| {
            let mut command = redis::cmd("EVALSHA");
            command.arg(digest).arg(1).arg(&key).arg(policy.most).arg(count).arg(policy.sub_window_ms());
            command.query::<(bool, u32, u64)>(connection)
        };
        let known = self.digest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(digest) = known {
            match ask(connection, &digest) {
                Err(error) if is_unknown_script(&error) => {}
                answer => return Ok(answer?),
            }
        }
        // A server that was started again has forgotten the script.
        let digest: String = redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).query(connection)?;
        let answer = ask(connection, &digest)?;
        *self.digest.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest);
        Ok(answer)
    }
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

impl QuotaStore for RedisQuota {
    fn name(&self) -> &'static str {
        "redis"
    }

    /// A connection that was lost in the middle of a call is not asked again: what it took may count already.
    fn take(&self, key: &str, count: u32, policy: QuotaPolicy) -> Result<QuotaAnswer> {
        let (is_granted, sum, reset_ms) = self.ask(key, count, policy).map_err(|error| error.into_store(TAKING))?;
        Ok(QuotaAnswer { is_granted, left: policy.most.saturating_sub(sum), reset_ms })
    }
}

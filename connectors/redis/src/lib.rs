//! Redis: [`RedisSink`] keeps memberships where whoever knows this page can read them.
//!
//! | key | holds |
//! |---|---|
//! | `audience:user:{id}:segments` | a hash: each segment of the user, and since when (epoch milliseconds) |
//! | `audience:segment:{id}:members` | a set: the users of a segment |
//! | `audience:progress` | a hash: each writer, and how far it has come (JSON) |
//! | `audience:writers` | a hash: each writer, and how often it was opened, which shuts earlier ones out |
//!
//! Changes are upserts, written in pieces; each piece is one script, which first looks whether a later writer has taken
//! over. The reach is in the last one, so that a write that was broken off is repeated whole. Readers see pieces. What
//! Redis has acknowledged is as durable as its `appendfsync` makes it; where it comes back older, it says an older reach,
//! and is brought up from there.
//!
//! One server, with replicas or without: the keys of a script do not lie in one slot of a Redis Cluster.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::fmt;
use std::time::Duration;

use audience_contract::{ChangeKind, MembershipChange, Progress, Reach, Sink, SinkError};
use redis::{Client, Commands, Connection, ErrorKind, RedisError, Script, ServerErrorKind};
use serde::Deserialize;

/// Changes in one script: it runs for about a millisecond, and Redis serves nobody else meanwhile.
const PIECE: usize = 500;
/// The reach's place in a script that leaves it as it is.
const KEEP: &str = "";
/// The reach's place in a script that forgets it.
const FORGET: &str = "forget";
/// How the script's answer begins where a later writer has taken over.
const FENCED: &str = "FENCED";

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

/// Without the address: a password may be in it.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("prefix", &self.prefix).field("writer", &self.writer).finish_non_exhaustive()
    }
}

fn default_timeout() -> u64 {
    10_000
}

impl Settings {
    /// That server, with nothing else said.
    pub fn of(url: &str) -> Settings {
        let (prefix, writer) = (default_prefix(), default_prefix());
        Settings { url: url.to_owned(), prefix, writer, timeout_ms: default_timeout() }
    }
}

/// A fault of Redis.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the client or the server said.
    #[error("Redis: {0}")]
    Redis(#[from] RedisError),
    /// What was to be written has no form.
    #[error("the progress cannot be written: {0}")]
    Unwritable(serde_json::Error),
}

impl Error {
    fn into_sink(self, writer: &str) -> SinkError {
        match &self {
            Error::Redis(error) if error.code() == Some(FENCED) => SinkError::Fenced(writer.to_owned()),
            Error::Redis(error) if is_permanent(error) => SinkError::Fatal(self.to_string()),
            Error::Redis(_) => SinkError::Transient(self.to_string()),
            Error::Unwritable(_) => SinkError::Fatal(self.to_string()),
        }
    }
}

/// Faults that stay until somebody changes something.
fn is_permanent(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed
            | ErrorKind::InvalidClientConfig
            | ErrorKind::UnexpectedReturnType
            | ErrorKind::Server(ServerErrorKind::CrossSlot | ServerErrorKind::NoPerm)
    )
}

/// The memberships in Redis.
///
/// Costs a round trip for 500 changes.
pub struct RedisSink {
    /// `redis:` and the writer.
    name: String,
    settings: Settings,
    client: Client,
    script: Script,
    open: Option<Open>,
}

struct Open {
    connection: Connection,
    /// The how-manieth opening this is.
    epoch: u64,
}

impl RedisSink {
    /// A sink that is not open yet. Fails where the address is none.
    pub fn new(settings: Settings) -> Result<RedisSink, Error> {
        let client = Client::open(settings.url.as_str())?;
        let name = format!("redis:{}", settings.writer);
        Ok(RedisSink { name, settings, client, script: Script::new(include_str!("write.lua")), open: None })
    }

    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.settings.prefix)
    }

    fn connect(&self) -> Result<(Open, Option<String>), Error> {
        let timeout = Duration::from_millis(self.settings.timeout_ms);
        let mut connection = self.client.get_connection_with_timeout(timeout)?;
        connection.set_read_timeout(Some(timeout))?;
        connection.set_write_timeout(Some(timeout))?;
        // From here on earlier writers are refused; only then is it read how far they came.
        let epoch: u64 = connection.hincr(self.key("writers"), &self.settings.writer, 1)?;
        let reach: Option<String> = connection.hget(self.key("progress"), &self.settings.writer)?;
        Ok((Open { connection, epoch }, reach))
    }

    fn put(&self, open: &mut Open, changes: &[MembershipChange], reach: &str) -> Result<(), Error> {
        let mut call = self.script.prepare_invoke();
        call.key(self.key("writers")).key(self.key("progress"));
        call.arg(&self.settings.prefix).arg(&self.settings.writer).arg(open.epoch).arg(reach);
        for change in changes {
            let entered = u8::from(change.change == ChangeKind::Entered);
            call.arg(entered).arg(&*change.user_id).arg(&*change.segment_id).arg(change.at);
        }
        Ok(call.invoke(&mut open.connection)?)
    }

    fn put_all(&self, open: &mut Open, reach: &Reach, changes: &[MembershipChange]) -> Result<(), Error> {
        let reach = serde_json::to_string(reach).map_err(Error::Unwritable)?;
        let (pieces, last) = changes.split_at(changes.len() - changes.len() % PIECE);
        for piece in pieces.chunks(PIECE) {
            self.put(open, piece, KEEP)?;
        }
        self.put(open, last, &reach)
    }

    /// Lets the users leave whose keys are there, a piece of the keys at a time.
    fn leave_all(&self, open: &mut Open, at: i64, owns: &dyn Fn(&str) -> bool) -> Result<(), Error> {
        let (before, behind) = (format!("{}:user:", self.settings.prefix), ":segments");
        let pattern = format!("{}*{behind}", escaped(&before));
        let mut cursor = 0u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(PIECE);
            let (next, keys): (u64, Vec<String>) = scan.query(&mut open.connection)?;
            for key in keys {
                let user = key.strip_prefix(&before).and_then(|rest| rest.strip_suffix(behind));
                let Some(user) = user.filter(|user| owns(user)) else { continue };
                let segments: Vec<String> = open.connection.hkeys(&key)?;
                let leave = |segment: String| MembershipChange {
                    user_id: user.into(),
                    segment_id: segment.into(),
                    change: ChangeKind::Left,
                    at,
                    version: 0,
                    cause: audience_contract::Cause::Rule,
                };
                let leaves: Vec<_> = segments.into_iter().map(leave).collect();
                self.put(open, &leaves, KEEP)?;
            }
            cursor = next;
            if cursor == 0 {
                return self.put(open, &[], FORGET);
            }
        }
    }

    /// Runs with the connection, which is given up where it fails.
    fn run(&mut self, run: impl FnOnce(&Self, &mut Open) -> Result<(), Error>) -> Result<(), SinkError> {
        let Some(mut open) = self.open.take() else {
            return Err(SinkError::Transient(format!("{} is not open", self.name)));
        };
        run(self, &mut open).map_err(|error| error.into_sink(&self.name))?;
        self.open = Some(open);
        Ok(())
    }
}

impl Sink for RedisSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn open(&mut self) -> Result<Option<Reach>, SinkError> {
        self.open = None;
        let (open, reach) = self.connect().map_err(|error| error.into_sink(&self.name))?;
        let damaged =
            |error: serde_json::Error| SinkError::Corrupt { sink: self.name.clone(), detail: error.to_string() };
        let reach = reach.map(|text| serde_json::from_str(&text).map_err(damaged)).transpose()?;
        self.open = Some(open);
        Ok(reach)
    }

    fn write(&mut self, reach: &Reach, changes: &[MembershipChange]) -> Result<(), SinkError> {
        self.run(|sink, open| sink.put_all(open, reach, changes))
    }

    /// User by user; broken off, the reach is still there.
    fn clear(&mut self, progress: Progress, owns: &dyn Fn(&str) -> bool) -> Result<(), SinkError> {
        self.run(|sink, open| sink.leave_all(open, progress.clock, owns))
    }
}

/// A text as the patterns of Redis mean it word for word.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

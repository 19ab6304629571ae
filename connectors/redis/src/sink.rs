//! Memberships written to Redis.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use audience_contract::{MembershipChange, Progress, Reach, ServingStore, Sink, SinkError};
use redis::{Client, Commands, FromRedisValue, Value};

use crate::lane::Lane;
use crate::request::Request;
use crate::{Error, RedisReader, RedisSettings, pieces};

/// Changes that are best written at once: the more, the more share a command.
const CHANGES_AT_ONCE: usize = 100_000;
/// Connections that pieces are written on: while one waits for its answer, Redis works for another. Where each write is
/// synchronized to its disk, it is so at once with those of all connections that have one.
const LANES: usize = 8;
/// Changes from which on more than one is used.
const FEW: usize = 2_000;
/// Pieces that wait for a connection.
const WAITING: usize = 8;
/// Keys, or members of one, that are read before they are cleared.
const CLEAR_AT_ONCE: usize = 1_000;

/// The memberships in Redis.
///
/// Costs a command for each user and each segment that changes, and a round trip for 1,000 changes.
pub struct RedisSink {
    /// `redis:` and the writer.
    name: String,
    settings: RedisSettings,
    client: Client,
    open: Option<OpenSink>,
    /// Users whose records were not there before the last write.
    created: Vec<String>,
}

struct OpenSink {
    /// One at first, the others where there is much to write.
    lanes: Vec<Lane>,
    /// The how-manieth opening this is.
    epoch: i64,
}

impl RedisSink {
    /// A sink that is not open yet. Fails where the address is none.
    pub fn new(settings: RedisSettings) -> Result<RedisSink, Error> {
        let client = Client::open(settings.url.as_str())?;
        let name = format!("redis:{}", settings.writer);
        Ok(RedisSink { name, settings, client, open: None, created: Vec::new() })
    }

    fn connect(&self) -> Result<(OpenSink, Option<String>), Error> {
        let mut connection = self.settings.connect(&self.client)?;
        // From here on earlier writers are refused; only then is it read how far they came.
        let epoch: i64 = connection.incr(self.settings.writer_key(), 1)?;
        let reach: Option<String> = connection.hget(self.settings.progress_key(), &self.settings.writer)?;
        let lane = Lane::new(connection, self.settings.writer_key(), epoch)?;
        Ok((OpenSink { lanes: vec![lane], epoch }, reach))
    }

    fn put_all(&self, open: &mut OpenSink, changes: &[MembershipChange], reach: Request) -> Result<(), Error> {
        let mut last = Request::default();
        if changes.len() <= FEW {
            // With the reach in the same transaction where they are one piece.
            let mut waiting: Option<Request> = None;
            let mut fault = None;
            pieces::each(&self.settings, changes, &mut |piece| {
                fault = waiting.replace(piece).and_then(|piece| open.lanes[0].commit(&piece).err());
                fault.is_none()
            });
            if let Some(fault) = fault {
                return Err(fault);
            }
            last = waiting.unwrap_or_default();
        } else {
            self.put_many(open, changes)?;
        }
        open.lanes[0].commit(last.append(&reach))
    }

    /// Writes pieces on all lanes while they are made.
    fn put_many(&self, open: &mut OpenSink, changes: &[MembershipChange]) -> Result<(), Error> {
        while open.lanes.len() < LANES {
            let connection = self.settings.connect(&self.client)?;
            open.lanes.push(Lane::new(connection, self.settings.writer_key(), open.epoch)?);
        }
        let (give, take) = sync_channel(WAITING);
        let take = Arc::new(Mutex::new(take));
        thread::scope(|scope| {
            let lanes = open.lanes.iter_mut().map(|lane| (lane, take.clone()));
            let lanes: Vec<_> = lanes.map(|(lane, take)| scope.spawn(move || commit_all(lane, &take))).collect();
            drop(take);
            // Nobody takes them any more only where every lane has failed, and then they say why.
            pieces::each(&self.settings, changes, &mut |piece| give.send(piece).is_ok());
            drop(give);
            let ended = lanes.into_iter().map(|lane| lane.join().unwrap_or(Err(Error::Answer("a piece"))));
            ended.fold(Ok(()), Result::and)
        })
    }

    /// The users of some changes who have no record. Costs a round trip, and another where there are any.
    fn missing(&self, lane: &mut Lane, changes: &[MembershipChange]) -> Result<Vec<String>, Error> {
        let users: BTreeSet<&str> = changes.iter().map(|change| &*change.user_id).collect();
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<String> = users.iter().map(|user| self.settings.user_key(user)).collect();
        let mut all = Request::default();
        all.command(1 + keys.len()).part("EXISTS").parts(&keys);
        if matches!(lane.ask(&all)?.as_slice(), [Value::Int(found)] if *found == keys.len() as i64) {
            return Ok(Vec::new());
        }
        let mut each = Request::default();
        for key in &keys {
            each.whole(&["EXISTS", key]);
        }
        let found = lane.ask(&each)?;
        let is_missing = |found: &Value| *found == Value::Int(0);
        Ok(users
            .into_iter()
            .zip(&found)
            .filter(|(_, found)| is_missing(found))
            .map(|(user, _)| user.to_owned())
            .collect())
    }

    fn reach(&self, reach: &Reach) -> Result<Request, Error> {
        let reach = serde_json::to_string(reach)?;
        let mut request = Request::default();
        request.whole(&["HSET", &self.settings.progress_key(), &self.settings.writer, &reach]);
        Ok(request)
    }

    /// Runs with the connections, which are given up where it fails.
    fn run(&mut self, run: impl FnOnce(&Self, &mut OpenSink) -> Result<(), Error>) -> Result<(), SinkError> {
        let Some(mut open) = self.open.take() else {
            return Err(SinkError::Transient(format!("{} is not open", self.name)));
        };
        let result = run(self, &mut open);
        if matches!(result, Err(Error::Refused { .. })) {
            // What was carried out beside it may be the reach. Whoever goes on must not go on from there, but begin anew. Where
            // this fails too, Redis has gone away.
            let _ = self.reach(&Reach::nowhere()).and_then(|reach| open.lanes[0].commit(&reach));
        }
        result.map_err(|error| error.into_sink(&self.name))?;
        self.open = Some(open);
        Ok(())
    }

    /// Users and segments are gone through each by themselves: a write that was broken off may have left either.
    fn clear_all(&self, open: &mut OpenSink, owns: &dyn Fn(&str) -> bool) -> Result<(), Error> {
        let lane = &mut open.lanes[0];
        let (users, segments) = (self.settings.user_key("\0"), self.settings.segment_key("\0"));
        each_key(lane, &users, &mut |lane, found| {
            let mut owned = found.iter().filter(|(_, user)| owns(user)).peekable();
            if owned.peek().is_none() {
                return Ok(());
            }
            let mut piece = Request::default();
            let keys: Vec<&str> = owned.map(|(key, _)| key.as_str()).collect();
            piece.command(1 + keys.len()).part("UNLINK").parts(keys);
            lane.commit(&piece)
        })?;
        each_key(lane, &segments, &mut |lane, found| {
            found.iter().try_for_each(|(key, _)| remove_members(lane, key, owns))
        })?;
        let mut forget = Request::default();
        forget.whole(&["HDEL", &self.settings.progress_key(), &self.settings.writer]);
        lane.commit(&forget)
    }
}

impl Sink for RedisSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn changes_at_once(&self) -> usize {
        CHANGES_AT_ONCE
    }

    fn is_transactional(&self) -> bool {
        false
    }

    fn keeps_history(&self) -> bool {
        false
    }

    fn store(&self) -> Option<Box<dyn ServingStore>> {
        Some(Box::new(RedisReader::new(self.settings.clone()).ok()?))
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

    fn take_created(&mut self) -> Vec<String> {
        std::mem::take(&mut self.created)
    }

    fn write(&mut self, reach: &Reach, changes: &[MembershipChange]) -> Result<(), SinkError> {
        let mut created = Vec::new();
        self.run(|sink, open| {
            if changes.len() <= FEW {
                created = sink.missing(&mut open.lanes[0], changes)?;
            }
            sink.put_all(open, changes, sink.reach(reach)?)
        })?;
        self.created = created;
        Ok(())
    }

    /// Key by key; broken off, the reach is still there.
    fn clear(&mut self, _: Progress, owns: &dyn Fn(&str) -> bool) -> Result<(), SinkError> {
        self.run(|sink, open| sink.clear_all(open, owns))
    }
}

/// Writes pieces as they come, up to the first fault.
fn commit_all(lane: &mut Lane, pieces: &Mutex<Receiver<Request>>) -> Result<(), Error> {
    loop {
        let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(piece) = next else { return Ok(()) };
        lane.commit(&piece)?;
    }
}

type Visit<'a> = dyn FnMut(&mut Lane, &[(String, String)]) -> Result<(), Error> + 'a;

/// Visits the keys of a form in which a zero byte stands for an id, each with its id, some at a time.
fn each_key(lane: &mut Lane, form: &str, visit: &mut Visit<'_>) -> Result<(), Error> {
    let Some((before, behind)) = form.split_once('\0') else { return Ok(()) };
    let pattern = format!("{}*{}", escaped(before), escaped(behind));
    let mut cursor = "0".to_owned();
    loop {
        let (next, keys) = scan(lane, &["SCAN", &cursor, "MATCH", &pattern, "COUNT", &CLEAR_AT_ONCE.to_string()])?;
        let id = |key: &String| key.strip_prefix(before)?.strip_suffix(behind).map(str::to_owned);
        let found: Vec<(String, String)> = keys.into_iter().filter_map(|key| id(&key).map(|id| (key, id))).collect();
        visit(lane, &found)?;
        cursor = next;
        if cursor == "0" {
            return Ok(());
        }
    }
}

fn remove_members(lane: &mut Lane, key: &str, owns: &dyn Fn(&str) -> bool) -> Result<(), Error> {
    let mut cursor = "0".to_owned();
    loop {
        let found = scan(lane, &["SSCAN", key, &cursor, "COUNT", &CLEAR_AT_ONCE.to_string()]);
        if matches!(&found, Err(Error::Redis(error)) if error.code() == Some("WRONGTYPE")) {
            // Whoever put it there, it is in the way.
            return lane.commit(Request::default().whole(&["UNLINK", key]));
        }
        let (next, members) = found?;
        let owned: Vec<&String> = members.iter().filter(|user| owns(user)).collect();
        if !owned.is_empty() {
            let mut piece = Request::default();
            piece.command(2 + owned.len()).part("SREM").part(key).parts(owned);
            lane.commit(&piece)?;
        }
        cursor = next;
        if cursor == "0" {
            return Ok(());
        }
    }
}

/// The cursor to continue at, and the keys that were found.
fn scan(lane: &mut Lane, command: &[&str]) -> Result<(String, Vec<String>), Error> {
    let mut request = Request::default();
    let mut answers = lane.ask(request.whole(command))?;
    let answer = answers.pop().unwrap_or(Value::Nil);
    FromRedisValue::from_redis_value(answer).map_err(|_| Error::Answer("a scan"))
}

/// A text as the patterns of Redis mean it word for word.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

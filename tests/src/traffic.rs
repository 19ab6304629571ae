//! Writes to a running program that may die at any moment, and an account of what must be there afterwards.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::record::{EventRef, RecordKind, set_sequence};
use audience_rules::value::ValueRef;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::ledger::places;
use crate::random::Random;
use crate::serve::{pause, wall_clock};

/// The program's address now; none while it is down.
#[derive(Default)]
pub struct ProgramAddress {
    client: Mutex<Option<Client>>,
    is_stopping: AtomicBool,
    is_given_up: AtomicBool,
    /// True if the program may say that it is unavailable: it does so while it misses a process.
    may_be_unavailable: AtomicBool,
    edits: AtomicU64,
}

impl ProgramAddress {
    /// The program is there now, or is down.
    pub fn set(&self, client: Option<Client>) {
        *self.client.lock() = client;
    }

    /// From now on an answer that the program is unavailable counts as one that got lost.
    pub fn tolerate_unavailable(&self) {
        self.may_be_unavailable.store(true, Ordering::Release);
    }

    /// Writers finish the requests in flight and begin no new ones.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
    }

    /// Everything ends.
    pub fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Release);
    }

    /// Returns whether something has failed.
    pub fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Acquire)
    }

    /// The number of edits that were begun.
    pub fn edits(&self) -> u64 {
        self.edits.load(Ordering::Acquire)
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Waits until the program is there.
    fn client(&self) -> Result<Client, String> {
        while !self.is_given_up() {
            let client = *self.client.lock();
            if let Some(client) = client {
                return Ok(client);
            }
            pause(5);
        }
        Err("given up".to_owned())
    }

    /// Asks once; `None` where the answer got lost. A busy program is asked again.
    fn ask(&self, method: &str, path: &str, media: &str, body: &str) -> Result<Option<Answer>, String> {
        loop {
            match self.client()?.send(method, path, media, body.as_bytes()) {
                Ok(answer) if answer.status == 429 => pause(50),
                Ok(answer) if answer.status == 503 && self.may_be_unavailable.load(Ordering::Acquire) => {
                    pause(50);
                    return Ok(None);
                }
                // As where nothing listens yet.
                Ok(answer) if answer.status == 503 && answer.code() == "starting" => {
                    pause(5);
                    return Ok(None);
                }
                Ok(answer) if answer.status >= 500 => {
                    return Err(format!("{method} {path}: {} {}: {body}", answer.status, answer.text()));
                }
                Ok(answer) => return Ok(Some(answer)),
                Err(_) => {
                    pause(5);
                    return Ok(None);
                }
            }
        }
    }
}

/// The prefixes of the ids of users who are erased now and then: of users, and of those merged into them.
const ERASED_PREFIXES: [&str; 2] = ["e", "b"];

/// An event that was sent.
#[derive(Clone, Debug)]
struct SentEvent {
    json: String,
    /// It names a user who is erased now and then.
    may_be_erased: bool,
    attempts: u64,
    acknowledged: u64,
}

/// Every event that was sent, by its number.
#[derive(Default)]
pub struct Account(Mutex<BTreeMap<u64, SentEvent>>);

impl Account {
    fn attempt(&self, events: &[(u64, String)]) {
        let mut sent = self.0.lock();
        for (number, json) in events {
            let may_be_erased = ERASED_PREFIXES.iter().any(|prefix| json.contains(&format!("Id\":\"{prefix}")));
            let new = SentEvent { json: json.clone(), may_be_erased, attempts: 0, acknowledged: 0 };
            sent.entry(*number).or_insert(new).attempts += 1;
        }
    }

    fn acknowledge(&self, events: &[(u64, String)]) {
        let mut sent = self.0.lock();
        for (number, _) in events {
            if let Some(sent) = sent.get_mut(number) {
                sent.acknowledged += 1;
            }
        }
    }

    /// The number of events that were sent.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Returns whether none was.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks a log: each event is there as often as it was acknowledged, or oftener where an answer got lost; and as it
    /// was sent. Those of users who are erased now and then may be gone.
    pub fn check(&self, log: &[u8]) -> Result<(), String> {
        let sent = self.0.lock();
        let mut found: BTreeMap<u64, u64> = BTreeMap::new();
        let mut decoder = EventDecoder::new();
        for (place, event) in (0..).zip(places(log)) {
            if event.sequence() != place {
                return Err(format!("the event at {place} has the number {}", event.sequence()));
            }
            if event.kind() == RecordKind::Blank || event.kind() == RecordKind::Erasure {
                continue;
            }
            let number = number_of(&event).ok_or_else(|| format!("the event {place} was never sent"))?;
            let known = sent.get(&number).ok_or_else(|| format!("the event {place} was never sent"))?;
            let mut expected = Vec::new();
            let defaults = EventDefaults { accepted_at: event.accepted_at() };
            let decoded = decoder.decode(known.json.as_bytes(), &defaults, &mut expected);
            decoded.map_err(|fault| format!("{}: {fault}", known.json))?;
            set_sequence(&mut expected, place);
            // An erasure takes the id of the erased user from what somebody else sent.
            let is_as_sent = expected == event.bytes() || known.may_be_erased && alone(&expected) == event.bytes();
            if !is_as_sent {
                return Err(format!("the event {place} is not as it was sent: {}", known.json));
            }
            *found.entry(number).or_default() += 1;
        }
        for (number, sent) in sent.iter() {
            let times = found.get(number).copied().unwrap_or(0);
            let least = if sent.may_be_erased { 0 } else { sent.acknowledged };
            if times < least || times > sent.attempts {
                return Err(format!("it is in the log {times} times: {sent:?}"));
            }
        }
        Ok(())
    }
}

/// A record without its other id.
fn alone(record: &[u8]) -> Vec<u8> {
    let mut alone = Vec::new();
    if let Some((event, _)) = EventRef::read(record) {
        event.write_alone(&mut alone);
    }
    alone
}

fn number_of(event: &EventRef<'_>) -> Option<u64> {
    let ValueRef::Object(properties) = event.properties() else { return None };
    match properties.get("n")? {
        ValueRef::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

/// Sends events until told to stop. Each has a number of its own; numbers begin at `first`.
pub struct EventTraffic<'a> {
    /// The way to the program.
    pub link: &'a ProgramAddress,
    /// The requests that were sent.
    pub account: &'a Account,
    /// The source of random choices.
    pub random: Random,
    /// The next number.
    pub next: u64,
}

impl EventTraffic<'_> {
    /// Writes until told to stop.
    pub fn run(mut self) -> Result<(), String> {
        while !self.link.is_stopping() {
            if self.random.percent(4) {
                self.erase()?;
            }
            self.request()?;
            pause(self.random.between(5, 40));
        }
        Ok(())
    }

    /// Erases a user by one of their ids; not again where the answer gets lost.
    fn erase(&mut self) -> Result<(), String> {
        let (prefix, last) = *self.random.pick(&[("e", 2), ("e", 2), ("b", 7)]);
        let path = format!("/api/users/{prefix}{}", self.random.between(0, last));
        match self.link.ask("DELETE", &path, "application/json", "")? {
            Some(answer) if answer.status != 204 => Err(format!("DELETE {path}: {} {}", answer.status, answer.text())),
            _ => Ok(()),
        }
    }

    fn request(&mut self) -> Result<(), String> {
        let (form, most) = *self.random.pick(&[("one", 1), ("one", 1), ("list", 6), ("batch", 4), ("lines", 12)]);
        // What has message ids may be repeated; what has none is sent once.
        let has_messages = self.random.percent(60);
        let count = self.random.between(1, most);
        let events: Vec<(u64, String)> = (0..count).map(|_| self.event(has_messages)).collect();
        let stranger = (form == "list" && self.random.percent(10)).then_some("{\"userId\":\"u1\"}");
        let texts: Vec<&str> = events.iter().map(|(_, json)| json.as_str()).chain(stranger).collect();
        let (media, body) = match form {
            "one" => ("application/json", texts.concat()),
            "list" => ("application/json", format!("[{}]", texts.join(","))),
            "batch" => ("application/json", format!("{{\"batch\":[{}]}}", texts.join(","))),
            _ => ("application/x-ndjson", texts.join("\n")),
        };
        let mut again = has_messages && self.random.percent(10);
        loop {
            self.account.attempt(&events);
            match self.link.ask("POST", "/api/events", media, &body)? {
                Some(answer) if answer.status == 202 => {
                    let accepted = answer.json()["accepted"].as_u64();
                    if accepted != Some(count) {
                        return Err(format!("of {count} events were accepted {accepted:?}: {body}"));
                    }
                    self.account.acknowledge(&events);
                    if !std::mem::take(&mut again) {
                        return Ok(());
                    }
                }
                Some(answer) => return Err(format!("{} {}: {body}", answer.status, answer.text())),
                None if has_messages => {}
                None => return Ok(()),
            }
        }
    }

    fn event(&mut self, has_message: bool) -> (u64, String) {
        let number = self.next;
        self.next += 1;
        let random = &mut self.random;
        let (user, anonymous) = match random.percent(15) {
            true => (format!("e{}", random.between(0, 2)), format!("b{}", random.between(0, 7))),
            false => (format!("u{}", random.between(0, 23)), format!("a{}", random.between(0, 60))),
        };
        let mut event = json!({"properties": {"n": number, "amount": random.between(0, 4000) as f64 / 100.0}});
        match random.weighted(&[80, 10, 4, 3, 3]) {
            0 => {
                event["userId"] = user.into();
                event["eventType"] = (*random.pick(&["view", "view", "buy", "click"])).into();
            }
            1 => {
                event["userId"] = user.into();
                event["eventType"] = "identify".into();
                let plan: Value =
                    if random.percent(80) { (*random.pick(&["free", "pro"])).into() } else { Value::Null };
                event["traits"] = json!({"plan": plan, "age": random.between(20, 40)});
            }
            2 => {
                event["anonymousId"] = anonymous.into();
                event["eventType"] = "view".into();
            }
            3 => {
                event["userId"] = user.into();
                event["previousId"] = anonymous.into();
                event["eventType"] = "alias".into();
            }
            _ => {
                event["userId"] = user.into();
                event["anonymousId"] = anonymous.into();
                event["eventType"] = "identify".into();
            }
        }
        if let Some(timestamp) = timestamp(random) {
            event["timestamp"] = timestamp.into();
        }
        if has_message {
            event["messageId"] = format!("m{number}").into();
        }
        (number, event.to_string())
    }
}

/// Mostly about now; some late, some of the future.
fn timestamp(random: &mut Random) -> Option<i64> {
    let now = wall_clock();
    let ago = match random.weighted(&[45, 25, 12, 12, 4, 2]) {
        0 => return None,
        1 => random.between(0, 3_000) as i64,
        2 => random.between(3_000, 60_000) as i64,
        3 => -(random.between(100, 6_000) as i64),
        4 => random.between(1, 30) as i64 * 86_400_000,
        _ => -86_400_000,
    };
    Some(now - ago)
}

/// The trace of an edit that was answered: the name that the segment has since, and its status; or that it is gone.
pub type Standing = Option<(String, &'static str)>;

/// Edits segments and traits until told to stop; alone, so that it knows what must be there.
pub struct EditTraffic<'a> {
    /// The way to the program.
    pub link: &'a ProgramAddress,
    /// The source of random choices.
    pub random: Random,
    /// The expected trace, by segment.
    pub standings: BTreeMap<String, Standing>,
}

impl EditTraffic<'_> {
    /// Edits until told to stop; gives what must be there.
    pub fn run(mut self) -> Result<BTreeMap<String, Standing>, String> {
        let mut number = 0;
        while !self.link.is_stopping() {
            number += 1;
            self.step(number)?;
            pause(self.random.between(20, 250));
        }
        Ok(self.standings)
    }

    /// Asks until there is an answer.
    fn surely(&self, method: &str, path: &str, body: &str) -> Result<Answer, String> {
        loop {
            self.link.edits.fetch_add(1, Ordering::AcqRel);
            if let Some(answer) = self.link.ask(method, path, "application/json", body)? {
                return Ok(answer);
            }
        }
    }

    fn step(&mut self, number: u64) -> Result<(), String> {
        let id = format!("s{}", self.random.between(0, 9));
        let list = format!("l{}", self.random.between(0, 1));
        match self.random.weighted(&[50, 10, 8, 12, 10, 6, 4]) {
            0 => {
                let body = json!({"name": format!("edit {number}"), "rules": self.rules()});
                self.put(&id, &body)
            }
            1 => {
                let body = json!({"name": format!("edit {number}"), "type": "static", "members": self.members()});
                self.put(&list, &body)
            }
            2 => self.surely("PUT", &format!("/api/segments/{list}/members"), &self.members().to_string()).map(drop),
            3 => self.transition(&id, "deactivate", "INACTIVE"),
            4 => self.transition(&id, "activate", "ACTIVE"),
            5 => {
                let answer = self.surely("DELETE", &format!("/api/segments/{id}"), "")?;
                if matches!(answer.status, 204 | 404) {
                    self.standings.insert(id, None);
                }
                Ok(())
            }
            _ => {
                let window = self.duration();
                let body =
                    json!({"event": self.event_type(), "measure": {"fn": "sum", "of": "amount"}, "within": window});
                self.surely("PUT", "/api/traits/spentLately", &body.to_string()).map(drop)
            }
        }
    }

    fn put(&mut self, id: &str, body: &Value) -> Result<(), String> {
        let answer = self.surely("PUT", &format!("/api/segments/{id}"), &body.to_string())?;
        match answer.status {
            200 | 201 => {
                let name = body["name"].as_str().unwrap_or_default().to_owned();
                let status = self.standings.get(id).and_then(|known| known.as_ref()).map_or("ACTIVE", |known| known.1);
                self.standings.insert(id.to_owned(), Some((name, status)));
                Ok(())
            }
            // It refers to what is not there, or to itself.
            400 if body["rules"].to_string().contains("segment") => Ok(()),
            status => Err(format!("{status} {}: {body}", answer.text())),
        }
    }

    fn transition(&mut self, id: &str, word: &str, status: &'static str) -> Result<(), String> {
        let answer = self.surely("POST", &format!("/api/segments/{id}/{word}"), "")?;
        if answer.status == 200
            && let Some(Some(known)) = self.standings.get_mut(id)
        {
            known.1 = status;
        }
        Ok(())
    }

    fn members(&self) -> Value {
        let mut random = self.random.clone();
        (0..random.between(0, 8))
            .map(|_| format!("{}{}", random.pick(&["u", "a", "e", "b"]), random.between(0, 30)))
            .collect()
    }

    fn duration(&mut self) -> String {
        format!("{}s", self.random.between(2, 6))
    }

    fn event_type(&mut self) -> &'static str {
        self.random.pick::<&str>(&["view", "buy", "click", "*"])
    }

    fn rules(&mut self) -> Value {
        let (event, within) = (self.event_type(), self.duration());
        let number = self.random.between(1, 6);
        match self.random.between(0, 13) {
            0 => json!({"event": event, "within": within}),
            1 => json!({"logic": "NOT", "conditions": [{"event": event, "within": within}]}),
            2 => json!({"event": event, "operator": "gte", "value": number, "within": within}),
            3 => {
                json!({"event": event, "measure": {"fn": "sum", "of": "amount"}, "operator": "gt", "value": 20 * number})
            }
            4 => json!({"sequence": [{"event": "view"}, {"event": "buy", "maxGap": "3s"}], "within": "6s"}),
            5 => json!({"rank": {"by": {"event": event, "measure": {"fn": "sum", "of": "amount"}}}, "top": number}),
            6 => json!({"rank": {"by": {"event": event, "within": within}}, "percent": 10 * number}),
            7 => json!({"field": "plan", "operator": "eq", "value": "pro"}),
            8 => json!({"field": "age", "operator": "gt", "value": 20 + 3 * number}),
            9 => json!({"conditions": [{"segment": format!("s{}", self.random.between(0, 9))}, {"event": event}]}),
            10 => json!({"logic": "OR", "conditions": [{"segment": format!("l{}", self.random.between(0, 1))},
                {"field": "spentLately", "operator": "gt", "value": 10 * number}]}),
            11 => json!({"event": event, "measure": {"fn": "since_last"}, "operator": "lt", "value": within}),
            12 => json!({"event": event, "within": {"ago": ["8s", within]}}),
            _ => json!({"event": event, "where": {"field": "amount", "operator": "gte", "value": 6 * number},
                "measure": {"fn": "last", "of": "amount"}, "operator": "lt", "value": 30, "within": within}),
        }
    }
}

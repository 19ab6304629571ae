//! Sources and sinks of the running platform, both in memory and failing often: each message is taken once, each change is
//! given out once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use audience_contract::{
    Batch, DeadLetter, DeadLetters, Lag, MembershipChange, Message, Progress, Reach, Share, Sink, SinkError, Source,
    SourceError, SourcePosition,
};
use audience_engine::service::{PlatformStores, Service, ShareReader};
use audience_tests::given_out::{folded, given_out};
use audience_tests::ledger::Members;
use audience_tests::platform::{copy, create_rule, members, send, start, stores, wait_beyond, wait_until};
use audience_tests::random::Random;
use audience_tests::serve::pause;
use parking_lot::Mutex;
use serde_json::{Value, json};

fn id(user: u64) -> String {
    format!("u{user:06}")
}

fn buy(user: u64) -> Value {
    json!({"userId": id(user), "eventType": "buy"})
}

fn segments(service: &Service) {
    create_rule(service, "once", &json!({"event": "buy"}));
    create_rule(service, "twice", &json!({"event": "buy", "operator": "gte", "value": 2}));
    create_rule(service, "odd", &json!({"event": "buy", "operator": "in", "value": [1, 3, 5]}));
}

fn memberships(service: &Service) -> Members {
    let of = |id: &str| (id.to_owned(), members(service, id).into_iter().collect::<BTreeSet<_>>());
    ["once", "twice", "odd"].map(of).into_iter().filter(|(_, members)| !members.is_empty()).collect()
}

/// The content of a medium that takes all or nothing.
#[derive(Default)]
struct MemoryMedium {
    reach: Option<Reach>,
    changes: Vec<MembershipChange>,
    opened: u64,
    writes: u64,
    clears: u64,
    /// The chance that a call fails, in percent.
    faults: u64,
    /// From one write to the next.
    interval: Duration,
}

struct MemorySink {
    medium: Arc<Mutex<MemoryMedium>>,
    random: Random,
    is_open: bool,
}

impl MemorySink {
    fn over(medium: &Arc<Mutex<MemoryMedium>>, seed: u64) -> Box<MemorySink> {
        Box::new(MemorySink { medium: medium.clone(), random: Random::new(seed), is_open: false })
    }

    fn fault(&mut self) -> Result<(), SinkError> {
        let percent = self.medium.lock().faults;
        if self.random.percent(percent) {
            self.is_open = false;
            return Err(SinkError::Transient("it does not answer".into()));
        }
        Ok(())
    }
}

impl Sink for MemorySink {
    fn name(&self) -> &str {
        "memory"
    }

    /// So few that a backlog is many writes.
    fn changes_at_once(&self) -> usize {
        200
    }

    fn interval(&self) -> Duration {
        self.medium.lock().interval
    }

    fn is_transactional(&self) -> bool {
        true
    }

    fn open(&mut self) -> Result<Option<Reach>, SinkError> {
        self.fault()?;
        self.is_open = true;
        let mut medium = self.medium.lock();
        medium.opened += 1;
        Ok(medium.reach.clone())
    }

    fn write(&mut self, reach: &Reach, changes: &[MembershipChange]) -> Result<(), SinkError> {
        assert!(self.is_open, "a sink that failed is opened first");
        self.fault()?;
        {
            let mut medium = self.medium.lock();
            medium.reach = Some(reach.clone());
            medium.changes.extend_from_slice(changes);
            medium.writes += 1;
        }
        // It is written, and nobody hears of it.
        self.fault()
    }

    fn clear(&mut self, _progress: Progress, _owns: &dyn Fn(&str) -> bool) -> Result<(), SinkError> {
        let mut medium = self.medium.lock();
        medium.changes.clear();
        medium.reach = None;
        medium.clears += 1;
        Ok(())
    }
}

#[test]
fn a_failing_sink_gets_each_change_once() {
    let directory = tempfile::tempdir().unwrap();
    let stores = stores(directory.path());
    let medium = Arc::new(Mutex::new(MemoryMedium { faults: 20, ..MemoryMedium::default() }));
    for (run, users) in [(0, 0..2_000), (1, 1_000..3_000)] {
        let service = start(stores.clone(), 2);
        service.emit_to(MemorySink::over(&medium, run)).unwrap();
        if run == 0 {
            segments(&service);
        }
        for user in users {
            send(&service, [buy(user), buy(user % 7)]);
        }
        wait_until("everybody", || {
            memberships(&service).get("once").map_or(0, BTreeSet::len) == [2_000, 3_000][run as usize]
        });
        if run == 1 {
            medium.lock().faults = 0;
        }
        service.stop();
    }
    let medium = medium.lock();
    assert!(medium.opened > 4 && medium.writes > 10, "opened {} times, {} writes", medium.opened, medium.writes);
    assert_eq!(medium.changes, given_out(&stores));
    let newest = stores.changes.progress().unwrap().unwrap();
    let Some(Reach::All(reached)) = medium.reach else { panic!("it is at {:?}", medium.reach) };
    assert_eq!(Progress { run: 0, ..reached }, newest, "what ends tells how far it came");
}

/// Changes before the next write is due share one; a stop does not wait for it.
#[test]
fn writes_are_as_far_apart_as_the_sink_asks() {
    let directory = tempfile::tempdir().unwrap();
    let stores = stores(directory.path());
    let slow = MemoryMedium { interval: Duration::from_secs(86_400), ..MemoryMedium::default() };
    let medium = Arc::new(Mutex::new(slow));
    let service = start(stores.clone(), 2);
    service.emit_to(MemorySink::over(&medium, 1)).unwrap();
    segments(&service);
    for user in 0..50 {
        send(&service, [buy(user)]);
        wait_until("it is a member", || {
            memberships(&service).get("once").map_or(0, BTreeSet::len) == user as usize + 1
        });
        wait_until("the first write", || medium.lock().writes > 0);
    }
    service.stop();
    let medium = medium.lock();
    assert!(medium.writes <= 3, "the first change, all others at the end, and how far it came: {}", medium.writes);
    assert_eq!(medium.changes, given_out(&stores));
}

/// A sink that is new when the change log no longer has everything, that has been away for too long, or that follows another
/// history, which is ahead, gets everybody as of one moment, in pieces, while the stream flows and pieces fail.
#[test]
fn a_sink_that_comes_late_gets_everybody() {
    for (seed, was_at) in [(1, None), (2, Some(1)), (3, None), (4, Some(1 << 40))] {
        let directory = tempfile::tempdir().unwrap();
        let stores = stores(directory.path());
        let service = start(stores.clone(), 2);
        segments(&service);
        let medium = Arc::new(Mutex::new(MemoryMedium::default()));
        if let Some(tick) = was_at {
            let change = MembershipChange { user_id: "gone".into(), ..given_out_once(&service, &stores) };
            medium.lock().changes.push(change);
            medium.lock().reach = Some(Reach::All(Progress { tick, ..Progress::default() }));
        }
        for part in 0..5 {
            send(&service, (part * 5_000..(part + 1) * 5_000).map(buy));
        }
        wait_until("everybody", || memberships(&service).get("once").map_or(0, BTreeSet::len) == 25_000);
        pause(1_200);
        let newest = stores.changes.progress().unwrap().unwrap();
        stores.changes.forget(newest.tick + 1).unwrap();
        medium.lock().faults = 25;
        service.emit_to(MemorySink::over(&medium, seed)).unwrap();
        let mut random = Random::new(seed);
        for _ in 0..200 {
            send(&service, (0..20).map(|_| buy(random.between(0, 26_000))));
            pause(5);
        }
        medium.lock().faults = 0;
        let expected = || memberships(&service);
        wait_until("equality", || {
            let before = expected();
            let found = folded(&medium.lock().changes);
            before == found && before == expected()
        });
        assert!(medium.lock().opened > 1);
        service.stop();
    }
}

/// Gives a sink to a directory, behind these events of it. What it then holds is what the directory gives out; gives whether it
/// was begun anew.
fn follow_in(data: &Path, medium: &Arc<Mutex<MemoryMedium>>, users: std::ops::Range<u64>) -> bool {
    let is_new = !data.exists();
    let stores = stores(data);
    let service = start(stores.clone(), 2);
    if is_new {
        segments(&service);
    }
    for user in users {
        send(&service, [buy(user)]);
        wait_until("the user has bought", || {
            memberships(&service).get("once").is_some_and(|once| once.contains(&id(user)))
        });
    }
    // What is ahead of a directory shows by that.
    let reached = medium.lock().reach.as_ref().map_or(0, |reach| reach.progress().tick);
    wait_beyond(&stores, reached);
    let before = medium.lock().clears;
    service.emit_to(MemorySink::over(medium, 1)).expect("a thread");
    wait_until("it is given out", || memberships(&service) == folded(&medium.lock().changes));
    service.stop();
    assert_eq!(memberships(&service), folded(&medium.lock().changes));
    medium.lock().clears > before
}

/// Ticks of different directories have the same numbers, and say different things: a sink that goes from one to the other, back,
/// or to a copy that both had gone on from, holds each time what the directory gives out that it is given to.
#[test]
fn a_sink_of_another_directory_is_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let medium = Arc::new(Mutex::new(MemoryMedium::default()));
    let [one, other, copied] = ["one", "other", "copied"].map(|name| directory.path().join(name));
    assert!(!follow_in(&one, &medium, 0..50));
    copy(&one, &copied).unwrap();
    assert!(!follow_in(&one, &medium, 50..60));
    assert!(follow_in(&other, &medium, 1_000..1_100));
    assert!(follow_in(&one, &medium, 60..150));
    assert!(follow_in(&copied, &medium, 2_000..2_200));
    assert!(!follow_in(&copied, &medium, 0..0));
}

fn given_out_once(service: &Service, stores: &PlatformStores) -> MembershipChange {
    send(service, std::iter::once(buy(0)));
    wait_until("a change", || !given_out(stores).is_empty());
    given_out(stores).remove(0)
}

/// How many partitions the messages are dealt over, in turn.
const PARTITIONS: u32 = 5;

/// Messages in partitions; what is read of them is forgotten with the reader.
struct MemorySource {
    messages: Arc<Vec<Vec<u8>>>,
    /// The offset at which each partition begins that was never read.
    first: u64,
    next: BTreeMap<u32, u64>,
    /// Partitions whose position is to be told.
    untold: Vec<u32>,
    random: Random,
}

impl MemorySource {
    fn position(&self, partition: u32) -> SourcePosition {
        SourcePosition { source: "memory".into(), partition, next_offset: self.next[&partition] }
    }

    fn take(&mut self, partition: u32, count: u64, batch: &mut Batch) {
        let Some(next) = self.next.get_mut(&partition) else { return };
        for _ in 0..count {
            let place = u64::from(PARTITIONS) * *next + u64::from(partition);
            let Some(value) = self.messages.get(place as usize) else { break };
            batch.messages.push(Message { partition, offset: *next, value: value.clone(), ..Message::default() });
            *next += 1;
        }
    }
}

fn memory_reader(messages: &Arc<Vec<Vec<u8>>>, first: u64, seed: u64) -> ShareReader {
    let (messages, next, random) = (messages.clone(), BTreeMap::new(), Random::new(seed));
    let source = MemorySource { messages, first, next, untold: Vec::new(), random };
    ShareReader { source: Box::new(source), dead_letters: Box::new(Letters::default()) }
}

impl Source for MemorySource {
    fn name(&self) -> &str {
        "memory"
    }

    fn open(&mut self, positions: &[SourcePosition], share: Share) -> Result<(), SourceError> {
        let own = |partition| positions.iter().find(|own| own.source == "memory" && own.partition == partition);
        // A partition beside others that were read is new.
        let first = if positions.is_empty() { self.first } else { 0 };
        let next = |partition| (partition, own(partition).map_or(first, |own| own.next_offset));
        self.next = (0..PARTITIONS).filter(|partition| share.takes(*partition)).map(next).collect();
        self.untold = self.next.keys().copied().collect();
        Ok(())
    }

    fn poll(&mut self, _patience: Duration) -> Result<Batch, SourceError> {
        match self.random.between(0, 20) {
            0 => return Err(SourceError::Transient("away".into())),
            1 => return Err(SourceError::Fatal("gone".into())),
            _ => {}
        }
        let (partition, count) = (self.random.between(0, u64::from(PARTITIONS) - 1) as u32, self.random.between(0, 40));
        let mut batch = Batch::default();
        self.take(partition, count, &mut batch);
        let mut moved = std::mem::take(&mut self.untold);
        moved.extend(batch.messages.first().map(|message| message.partition));
        moved.sort_unstable();
        moved.dedup();
        batch.positions = moved.into_iter().map(|partition| self.position(partition)).collect();
        if batch.messages.is_empty() {
            pause(1);
        }
        Ok(batch)
    }

    fn acknowledge(&mut self, _positions: &[SourcePosition]) {}

    fn lag(&self) -> Vec<Lag> {
        let behind = |next: &u64| (self.messages.len() as u64 / u64::from(PARTITIONS)).saturating_sub(*next);
        self.next.iter().map(|(partition, next)| Lag { partition: *partition, messages: behind(next) }).collect()
    }
}

#[derive(Clone, Default)]
struct Letters(Arc<Mutex<BTreeSet<(u32, u64, String)>>>);

impl DeadLetters for Letters {
    fn put(&mut self, letters: &[DeadLetter<'_>]) -> Result<(), SourceError> {
        for letter in letters {
            self.0.lock().insert((letter.message.partition, letter.message.offset, letter.code.to_owned()));
        }
        Ok(())
    }
}

#[test]
fn each_message_of_a_failing_source_is_taken_once() {
    let directory = tempfile::tempdir().unwrap();
    let stores = stores(directory.path());
    let message = |number: u64| match number % 100 {
        7 => b"no event".to_vec(),
        _ => json!({"userId": format!("u{}", number % 50), "eventType": "buy"}).to_string().into_bytes(),
    };
    let messages = Arc::new((0..6_000).map(message).collect::<Vec<_>>());
    let letters = Letters::default();
    for run in 0..3 {
        let service = start(stores.clone(), 2);
        // One reader, fewer than partitions, more than partitions.
        let reader = |index| ShareReader {
            dead_letters: Box::new(letters.clone()),
            ..memory_reader(&messages, 0, 10 * run as u64 + index)
        };
        service.take_from((0..[1, 3, 7][run as usize]).map(reader).collect()).unwrap();
        wait_until("progress", || stores.events.end() >= [1_500, 3_000, 5_940][run as usize]);
        if run == 2 {
            wait_until("all letters", || letters.0.lock().len() == 60);
            let counts = (0..50)
                .map(|user| service.platform().users.user(&format!("u{user}")).unwrap().event_count)
                .sum::<u64>();
            assert_eq!((counts, stores.events.end()), (5_940, 5_940));
            let metrics = service.platform().operations.metrics();
            assert!(metrics.contains(r#"source_lag_messages{source="memory",partition="0"} 0"#), "{metrics}");
            assert!(metrics.contains(r#"reason="malformed_json""#), "{metrics}");
        }
        service.stop();
    }
    assert!(letters.0.lock().iter().all(|(partition, offset, code)| {
        (u64::from(PARTITIONS) * offset + u64::from(*partition)) % 100 == 7 && code == "malformed_json"
    }));
}

/// With `latest`, the first of several readers to be there does not make the others' partitions new ones.
#[test]
fn several_readers_begin_where_the_source_was_at_one_instant() {
    let message = |number: u64| json!({"userId": format!("u{number}"), "eventType": "buy"}).to_string().into_bytes();
    let messages = Arc::new((0..6_000).map(message).collect::<Vec<_>>());
    for seed in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        let stores = stores(directory.path());
        let service = start(stores.clone(), 2);
        service.take_from((0..4).map(|index| memory_reader(&messages, 700, 10 * seed + index)).collect()).unwrap();
        wait_until("all events", || stores.events.end() >= 2_500);
        wait_until("no lag", || {
            let metrics = service.platform().operations.metrics();
            (0..PARTITIONS)
                .all(|one| metrics.contains(&format!(r#"source_lag_messages{{source="memory",partition="{one}"}} 0"#)))
        });
        assert_eq!(stores.events.end(), 2_500, "with seed {seed}");
        service.stop();
    }
}

//! A data directory that is lost is made anew from what is kept outside of it: nothing that was kept is missing, nothing
//! counts twice, and memberships are the law's.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeSet;
use std::fs;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use audience_contract::{
    Batch, DeadLetter, DeadLetters, History, Lag, MembershipChange, Message, Progress, Reach, Share, Sink, SinkError,
    Source, SourceError, SourcePosition, StoreError,
};
use audience_engine::durability::{LogLimits, Offsite};
use audience_engine::engine::EngineOptions;
use audience_engine::service::{PlatformStores, Service, ServiceOptions};
use audience_engine::standby::Pairing;
use audience_objects::Objects;
use audience_protocol::{AuditItem, AuditQuery, MembersChange, MembersMode, PageLimit, PlatformError};
use audience_rules::record::records;
use audience_tests::given_out::folded;
use audience_tests::ledger::{Ledger, Members, members_at, same};
use audience_tests::platform::{create, create_rule, members, send, stores, wait_until};
use audience_tests::random::Random;
use audience_tests::serve::{pause, wall_clock};
use parking_lot::Mutex;
use serde_json::{Value, json};

const SEGMENTS: [&str; 6] = ["twice", "many", "idle", "top", "pro", "list"];

/// Takes what is at `outside` over, as a process on another machine would.
fn outside(outside: &Path, owner: &str) -> Arc<Objects> {
    let objects = Objects::open(&format!("file://{}", outside.display()), &[]).unwrap();
    objects.own(owner).unwrap();
    objects.write_as(owner);
    objects
}

fn start(data: &Path, objects: &Arc<Objects>, file_age: Duration, workers: usize) -> Arc<Service> {
    start_from(data, objects, objects.history(), file_age, workers)
}

/// The same with another way to the history.
fn start_from(
    data: &Path,
    objects: &Arc<Objects>,
    history: Arc<dyn History>,
    file_age: Duration,
    workers: usize,
) -> Arc<Service> {
    let stores = PlatformStores { checkpoints: objects.checkpoints(), ..stores(data) };
    let limits = LogLimits::default();
    let offsite = Offsite { history, file_events: 100, file_age, keeps_catalogue: true, limits };
    let engine = EngineOptions { workers, ..EngineOptions::default() };
    let options = ServiceOptions {
        engine,
        cluster: None,
        checkpoint_interval: Duration::from_secs(3600),
        start: Arc::default(),
        placeholders: Arc::default(),
        offsite: Some(offsite),
        pairing: Pairing::default(),
    };
    Service::start(stores, &options).unwrap()
}

fn segments(service: &Service) {
    create_rule(service, "twice", &json!({"event": "buy", "operator": "gte", "value": 2}));
    create_rule(service, "idle", &json!({"logic": "NOT", "conditions": [{"event": "buy"}]}));
    create_rule(
        service,
        "top",
        &json!({"rank": {"by": {"event": "buy", "measure": {"fn": "sum", "of": "n"}}}, "top": 5}),
    );
    let many = json!({"event": "buy", "measure": {"fn": "sum", "of": "n"}, "operator": "gt", "value": 6});
    create_rule(service, "many", &many);
    create_rule(service, "pro", &json!({"field": "plan", "operator": "eq", "value": "pro"}));
    create(service, json!({"id": "list", "name": "l", "type": "static", "members": ["a1", "u2", "nobody"]}));
    let members = vec!["a2".into(), "u3".into()];
    let change = MembersChange { mode: MembersMode::Replace, members, is_dry_run: false, note: None };
    service.platform().segments.change_members("list", change, None, "test").unwrap();
}

/// Events of few users under few message ids: they repeat each other, the more so once users are merged. Some users are
/// never merged, so that nothing but what was noted of them tells a repeated message.
fn events(random: &mut Random, count: usize) -> Vec<Value> {
    let event = |random: &mut Random| {
        let (user, other) = (format!("u{}", random.between(0, 19)), format!("a{}", random.between(0, 9)));
        let message = format!("m{}", random.between(0, 60));
        match random.weighted(&[40, 15, 15, 4, 6, 20]) {
            0 => {
                json!({"userId": user, "eventType": "buy", "messageId": message, "properties": {"n": random.between(0, 9)}})
            }
            1 => json!({"anonymousId": other, "eventType": "buy", "messageId": message, "properties": {"n": 1.5}}),
            2 => json!({"userId": user, "eventType": "view", "context": {"b": 1, "a": [null, "é"]}}),
            5 => json!({"userId": format!("x{}", random.between(0, 4)), "eventType": "buy", "messageId": message,
                "properties": {"n": 0.1}}),
            3 => json!({"userId": user, "previousId": other, "eventType": "alias"}),
            _ => json!({"userId": user, "anonymousId": other, "eventType": "identify", "messageId": message,
                "traits": {"plan": *random.pick(&["free", "pro"])}}),
        }
    };
    (0..count).map(|_| event(random)).collect()
}

fn served(service: &Service) -> Members {
    let of = |id: &str| (id.to_owned(), members(service, id).into_iter().collect::<BTreeSet<_>>());
    SEGMENTS.map(of).into_iter().filter(|(_, members)| !members.is_empty()).collect()
}

/// Stops, and holds what was served to what everything stored says.
fn stop_and_check(service: Arc<Service>, data: &Path) -> Ledger {
    let end = wall_clock();
    wait_until("everything", || {
        !service
            .platform()
            .operations
            .metrics()
            .lines()
            .any(|line| line.strip_prefix("audience_source_lag_events ").is_some_and(|lag| lag != "0"))
    });
    pause(300);
    let members = served(&service);
    service.stop();
    drop(service);
    let ledger = Ledger::read(data).unwrap();
    let mut expected = members_at(&ledger.newest_world().unwrap(), end + 1_000);
    expected.retain(|id, _| SEGMENTS.contains(&id.as_str()));
    same("it serves", &members, &expected).unwrap();
    ledger
}

fn erase(service: &Service, id: &str) {
    match service.platform().users.erase_user(id, "test") {
        Ok(()) | Err(PlatformError::NotFound { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

fn audit(service: &Service) -> Vec<AuditItem> {
    let limit = PageLimit::new(PageLimit::MOST).unwrap();
    let (mut rows, mut before) = (Vec::new(), None);
    loop {
        let page = service.platform().catalogue.audit(&AuditQuery { limit, before, ..AuditQuery::default() }).unwrap();
        rows.extend(page.items);
        let Some(cursor) = page.next_cursor else { return rows };
        before = Some(cursor.parse().unwrap());
    }
}

#[test]
fn a_lost_data_directory_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("outside");
    let (mut random, mut versions) = (Random::new(11), 0);
    for round in 0..3 {
        let data = directory.path().join(format!("data-{round}"));
        let objects = outside(&store, &format!("owner-{round}"));
        let service = start(&data, &objects, Duration::from_millis(50), 1 + round);
        if round == 0 {
            segments(&service);
        } else {
            assert_eq!(
                service.platform().segments.segment_versions("list").unwrap().len(),
                versions,
                "every version is kept"
            );
            create_rule(&service, &format!("new-{round}"), &json!({"event": "view"}));
        }
        for part in 0..4 {
            send(&service, events(&mut random, 150));
            if part == 1 {
                erase(&service, "u7");
                service.checkpoint().unwrap();
            }
            if part == 2 {
                // Noted, and nothing of it is gone yet.
                erase(&service, "u8");
            }
        }
        versions = service.platform().segments.segment_versions("list").unwrap().len();
        assert!(versions >= 2);
        let audit = audit(&service);
        assert!(audit.iter().any(|row| row.kind == "user") && audit.iter().any(|row| row.kind == "members"));
        let ledger = stop_and_check(service, &data);
        let before = served_after(&data, &ledger);
        fs::remove_dir_all(&data).unwrap();
        // Everything was kept as it ended, so nothing is missing.
        let again = start(&data, &objects, Duration::from_secs(3600), 2);
        assert_eq!(served(&again), before);
        assert_eq!(self::audit(&again), audit, "who did what is kept too");
        let restored = stop_and_check(again, &data);
        assert!(restored.events == ledger.events, "record for record");
    }
}

/// A history that breaks off in the middle, so many times.
struct BreakingHistory {
    history: Arc<dyn History>,
    breaks: AtomicU32,
}

impl History for BreakingHistory {
    fn end(&self) -> Result<u64, StoreError> {
        self.history.end()
    }

    fn positions(&self) -> Result<(u64, Vec<SourcePosition>), StoreError> {
        self.history.positions()
    }

    fn append(&self, records: &[u8], positions: Option<&[SourcePosition]>) -> Result<(), StoreError> {
        self.history.append(records, positions)
    }

    fn scan(&self, range: Range<u64>, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<(), StoreError> {
        let half = range.start + (range.end - range.start) / 2;
        if self.breaks.load(Ordering::Relaxed) == 0 || half == range.start {
            return self.history.scan(range, visit);
        }
        self.breaks.fetch_sub(1, Ordering::Relaxed);
        self.history.scan(range.start..half, visit)?;
        Err(StoreError::Unavailable { action: "reading history", detail: "the connection is lost".to_owned() })
    }

    fn visit(&self, sequences: &[u64], visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<(), StoreError> {
        self.history.visit(sequences, visit)
    }

    fn erase(&self, sequences: &[u64], parted: &[u64]) -> Result<(), StoreError> {
        self.history.erase(sequences, parted)
    }

    fn truncate(&self, end: u64) -> Result<(), StoreError> {
        self.history.truncate(end)
    }
}

#[test]
fn a_restore_goes_on_where_the_history_breaks_off_in_its_middle() {
    let directory = tempfile::tempdir().unwrap();
    let (store, data) = (directory.path().join("outside"), directory.path().join("data"));
    let objects = outside(&store, "owner");
    let service = start(&data, &objects, Duration::from_millis(50), 2);
    segments(&service);
    send(&service, events(&mut Random::new(23), 600));
    let ledger = stop_and_check(service, &data);
    let before = served_after(&data, &ledger);
    fs::remove_dir_all(&data).unwrap();

    let breaking = Arc::new(BreakingHistory { history: objects.history(), breaks: AtomicU32::new(3) });
    let again = start_from(&data, &objects, breaking.clone(), Duration::from_secs(3600), 2);
    assert_eq!(breaking.breaks.load(Ordering::Relaxed), 0, "it broke off as often as it was to");
    assert_eq!(served(&again), before);
    let restored = stop_and_check(again, &data);
    assert!(restored.events == ledger.events, "record for record");
}

/// The members that everything stored says.
fn served_after(data: &Path, ledger: &Ledger) -> Members {
    assert!(data.exists());
    let all = members_at(&ledger.newest_world().unwrap(), wall_clock() + 1_000);
    all.into_iter().filter(|(id, _)| SEGMENTS.contains(&id.as_str())).collect()
}

/// A log of messages, one partition, of which so many are there by now.
#[derive(Clone)]
struct MemoryTopic(Arc<Mutex<Vec<Value>>>);

struct TopicReader {
    topic: MemoryTopic,
    next: u64,
}

impl Source for TopicReader {
    fn name(&self) -> &str {
        "topic"
    }

    fn open(&mut self, positions: &[SourcePosition], _: Share) -> Result<(), SourceError> {
        self.next = positions.first().map_or(0, |position| position.next_offset);
        Ok(())
    }

    fn poll(&mut self, patience: Duration) -> Result<Batch, SourceError> {
        let found: Vec<Value> = self.topic.0.lock().iter().skip(self.next as usize).take(37).cloned().collect();
        if found.is_empty() {
            pause(patience.as_millis().min(5) as u64);
            return Ok(Batch::default());
        }
        let message = |(offset, value): (u64, Value)| Message {
            offset,
            value: value.to_string().into_bytes(),
            ..Message::default()
        };
        let messages: Vec<Message> = (self.next..).zip(found).map(message).collect();
        self.next += messages.len() as u64;
        let position = SourcePosition { source: "topic".to_owned(), partition: 0, next_offset: self.next };
        Ok(Batch { messages, positions: vec![position], ..Batch::default() })
    }

    fn acknowledge(&mut self, _: &[SourcePosition]) {}

    fn lag(&self) -> Vec<Lag> {
        Vec::new()
    }
}

struct NoLetters;

impl DeadLetters for NoLetters {
    fn put(&mut self, letters: &[DeadLetter<'_>]) -> Result<(), SourceError> {
        panic!("{letters:?}")
    }
}

/// The content of a medium that takes all or nothing, from one writer at a time.
#[derive(Default)]
struct HeldOnce {
    reach: Option<Reach>,
    changes: Vec<MembershipChange>,
    writer: u64,
}

/// A writer to it.
#[derive(Clone, Default)]
struct TopicWriter {
    held: Arc<Mutex<HeldOnce>>,
    writer: u64,
}

impl Sink for TopicWriter {
    fn name(&self) -> &str {
        "medium"
    }

    fn is_transactional(&self) -> bool {
        true
    }

    fn open(&mut self) -> Result<Option<Reach>, SinkError> {
        let mut held = self.held.lock();
        held.writer = held.writer.max(self.writer);
        if held.writer > self.writer { Err(SinkError::Fenced("medium".into())) } else { Ok(held.reach.clone()) }
    }

    fn write(&mut self, reach: &Reach, changes: &[MembershipChange]) -> Result<(), SinkError> {
        let mut held = self.held.lock();
        if held.writer > self.writer {
            return Err(SinkError::Fenced("medium".into()));
        }
        held.reach = Some(reach.clone());
        held.changes.extend_from_slice(changes);
        Ok(())
    }

    fn clear(&mut self, _: Progress, _: &dyn Fn(&str) -> bool) -> Result<(), SinkError> {
        let mut held = self.held.lock();
        (held.reach, held.changes) = (None, Vec::new());
        Ok(())
    }
}

/// While a process goes on, another one takes over on an empty directory: it reads on where the history ends, and the
/// earlier one harms nothing any more.
#[test]
fn each_message_of_a_source_counts_once_across_the_loss() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("outside");
    let (topic, medium) = (MemoryTopic(Arc::default()), TopicWriter::default());
    let buy =
        |number: u64| json!({"userId": format!("u{}", number % 50), "eventType": "buy", "properties": {"n": number}});
    let mut number = 0;
    let mut more = |count: u64| {
        topic.0.lock().extend((number..number + count).map(buy));
        number += count;
    };
    let mut earlier: Vec<Arc<Service>> = Vec::new();
    for round in 0..4 {
        let objects = outside(&store, &format!("owner-{round}"));
        let data = directory.path().join(format!("data-{round}"));
        let service = start(&data, &objects, Duration::from_millis(20), 2);
        if round == 0 {
            segments(&service);
        }
        let reader = TopicReader { topic: topic.clone(), next: 0 };
        let reader =
            audience_engine::service::ShareReader { source: Box::new(reader), dead_letters: Box::new(NoLetters) };
        service.take_from(vec![reader]).unwrap();
        service.emit_to(Box::new(TopicWriter { writer: round, ..medium.clone() })).unwrap();
        for part in 0..3 {
            more(400 + 100 * round);
            pause(40 * part);
            // Of some rounds a checkpoint is ahead of the history, of others far behind it.
            if part == round {
                service.checkpoint().unwrap();
            }
        }
        let all = topic.0.lock().len() as u64;
        if round < 3 {
            earlier.push(service);
            continue;
        }
        let counted = || {
            (0..50)
                .map(|user| service.platform().users.user(&format!("u{user}")).map_or(0, |view| view.event_count))
                .sum::<u64>()
        };
        wait_until("every message", || counted() >= all);
        let newest = |service: &Service| served(service);
        wait_until("the sink", || folded(&medium.held.lock().changes) == newest(&service));
        assert_eq!(counted(), all, "none is there twice");
        stop_and_check(service, &data);
        earlier.iter().for_each(|service| service.stop());
        drop(std::mem::take(&mut earlier));
        // Those before have not written behind the last one's back.
        let again = start(&directory.path().join("again"), &objects, Duration::from_secs(3600), 2);
        assert_eq!(
            (0..50).map(|user| again.platform().users.user(&format!("u{user}")).unwrap().event_count).sum::<u64>(),
            all
        );
        again.stop();
    }
}

/// The ids that the history names.
fn kept_ids(objects: &Arc<Objects>) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let scanned = objects.history().scan(0..u64::MAX, &mut |run| {
        for record in records(run) {
            ids.extend([Some(record.user()), record.other()].into_iter().flatten().map(str::to_owned));
        }
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    ids
}

#[test]
fn who_is_erased_is_in_the_history_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let (store, data) = (directory.path().join("outside"), directory.path().join("data"));
    let objects = outside(&store, "owner");
    let service = start(&data, &objects, Duration::ZERO, 2);
    create(&service, json!({"id": "list", "name": "l", "type": "static", "members": ["erased", "ann"]}));
    let bought = |id: &str| json!({"userId": id, "eventType": "buy"});
    send(&service, (0..150).map(|number| bought(["erased", "ann", "bob"][number % 3])));
    send(&service, [json!({"userId": "erased", "previousId": "other", "eventType": "alias"}), bought("other")]);
    wait_until("the history", || objects.history().end().unwrap() == 152);
    service.checkpoint().unwrap();
    assert!(kept_ids(&objects).is_superset(&["erased", "other"].map(str::to_owned).into()));
    service.platform().users.erase_user("other", "test").unwrap();
    // This one is in no file yet when the others are rewritten, perhaps.
    send(&service, [bought("ann")]);
    service.checkpoint().unwrap();
    wait_until("the history", || objects.history().end().unwrap() == 154);
    assert_eq!(kept_ids(&objects), ["ann", "bob"].map(str::to_owned).into());
    service.stop();
    drop(service);
    let service = start(&directory.path().join("anew"), &objects, Duration::from_secs(3600), 3);
    assert!(matches!(service.platform().users.user("erased"), Err(PlatformError::NotFound { .. })));
    assert_eq!(
        (members(&service, "list"), service.platform().users.user("ann").unwrap().event_count),
        (vec!["ann".to_owned()], 51)
    );
    service.stop();
}

#[test]
fn an_older_copy_of_a_data_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (store, data) = (directory.path().join("outside"), directory.path().join("data"));
    let objects = outside(&store, "owner");
    let service = start(&data, &objects, Duration::ZERO, 1);
    send(&service, [json!({"userId": "u", "eventType": "buy"})]);
    service.stop();
    drop(service);
    let copy = directory.path().join("copy");
    let copied = std::process::Command::new("cp").arg("-r").arg(&data).arg(&copy).status().unwrap();
    assert!(copied.success());
    let service = start(&data, &objects, Duration::ZERO, 1);
    send(&service, [json!({"userId": "u", "eventType": "buy"})]);
    service.stop();
    drop(service);
    let stores = PlatformStores { checkpoints: objects.checkpoints(), ..stores(&copy) };
    let offsite = Offsite {
        history: objects.history(),
        file_events: 1,
        file_age: Duration::ZERO,
        keeps_catalogue: true,
        limits: LogLimits::default(),
    };
    let refused = audience_engine::durability::restore(&stores, &offsite, &Default::default());
    assert!(refused.is_err_and(|error| error.to_string().contains("it is an older copy")));
}

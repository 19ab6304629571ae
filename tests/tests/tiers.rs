//! Old events are in the history alone, and everything is as if they were in the data directory: edits over all of history,
//! merges, erasures, repeated messages, restarts, and a lost data directory.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use audience_engine::durability::{LogLimits, Offsite};
use audience_engine::engine::EngineOptions;
use audience_engine::service::{PlatformStores, Service, ServiceOptions};
use audience_engine::standby::Pairing;
use audience_objects::Objects;
use audience_rules::record::records;
use audience_tests::ledger::{Ledger, Members, members_at, same};
use audience_tests::platform::{create_rule, members, send, stores, wait_until};
use audience_tests::random::Random;
use audience_tests::serve::wall_clock;
use serde_json::{Value, json};

/// Events of a user of whom no rule asks: enough that those before them are forgotten.
const FILLER: usize = 70_000;

fn start(data: &Path, objects: &Arc<Objects>, workers: usize) -> Arc<Service> {
    let stores = PlatformStores { checkpoints: objects.checkpoints(), ..stores(data) };
    let limits = LogLimits { age: Some(Duration::ZERO), bytes: None };
    let (file_events, file_age) = (20_000, Duration::from_millis(20));
    let offsite = Offsite { history: objects.history(), file_events, file_age, keeps_catalogue: true, limits };
    let options = ServiceOptions {
        engine: EngineOptions { workers, ..EngineOptions::default() },
        cluster: None,
        checkpoint_interval: Duration::from_secs(3600),
        start: Arc::default(),
        placeholders: Arc::default(),
        offsite: Some(offsite),
        pairing: Pairing::default(),
    };
    Service::start(stores, &options).unwrap()
}

/// Takes what is outside over.
fn outside(store: &Path, owner: &str) -> Arc<Objects> {
    let objects = Objects::open(&format!("file://{}", store.display()), &[]).unwrap();
    objects.own(owner).unwrap();
    objects.write_as(owner);
    objects
}

fn metric(service: &Service, name: &str) -> u64 {
    let text = service.platform().operations.metrics();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok()).unwrap_or_default()
}

/// Few users under few message ids, so that most events repeat others once users are merged.
fn events(random: &mut Random) -> Vec<Value> {
    let event = |random: &mut Random| {
        let (user, other) = (format!("u{}", random.between(0, 19)), format!("a{}", random.between(0, 9)));
        let message = format!("m{}", random.between(0, 80));
        match random.weighted(&[45, 20, 15, 4, 6]) {
            0 => {
                json!({"userId": user, "eventType": "buy", "messageId": message, "properties": {"n": random.between(0, 9)}})
            }
            1 => json!({"anonymousId": other, "eventType": "buy", "messageId": message, "properties": {"n": 1.5}}),
            2 => json!({"userId": user, "eventType": "view"}),
            3 => json!({"userId": user, "previousId": other, "eventType": "alias"}),
            _ => {
                json!({"userId": user, "anonymousId": other, "eventType": "identify", "traits": {"plan": *random.pick(&["free", "pro"])}})
            }
        }
    };
    (0..200).map(|_| event(random)).collect()
}

fn fill(service: &Service) {
    for _ in 0..FILLER / 10_000 {
        send(service, (0..10_000).map(|_| json!({"userId": "filler", "eventType": "noise"})));
    }
}

/// Lets older events go from the data directory.
fn forget(service: &Service) -> u64 {
    wait_until("the history", || metric(service, "audience_history_lag_events") == 0);
    service.checkpoint().unwrap();
    metric(service, "audience_history_alone_events")
}

fn served(service: &Service, segments: &[&str]) -> Members {
    let of = |id: &&str| (id.to_string(), members(service, id).into_iter().collect::<BTreeSet<_>>());
    segments.iter().map(of).filter(|(_, members)| !members.is_empty()).collect()
}

/// Stops, once everything is processed; gives what is stored.
fn stop_and_read(service: Arc<Service>, data: &Path, objects: &Arc<Objects>) -> Ledger {
    wait_until("the history", || metric(&service, "audience_history_lag_events") == 0);
    service.stop();
    drop(service);
    Ledger::read_with(data, &*objects.history()).unwrap()
}

/// The members by the law, over all that is stored.
fn expected(ledger: &Ledger) -> Members {
    members_at(&ledger.newest_world().unwrap(), wall_clock() + 1_000)
}

fn erase(service: &Service, id: &str) {
    service.platform().users.erase_user(id, "test").unwrap();
}

#[test]
fn edits_merges_and_erasures_after_old_events_went_are_those_over_the_whole_log() {
    let directory = tempfile::tempdir().unwrap();
    let (store, data) = (directory.path().join("outside"), directory.path().join("data"));
    let (objects, mut random) = (outside(&store, "one"), Random::new(77));
    let service = start(&data, &objects, 2);
    create_rule(&service, "twice", &json!({"event": "buy", "operator": "gte", "value": 2}));
    let sum =
        |value: u64| json!({"event": "buy", "measure": {"fn": "sum", "of": "n"}, "operator": "gt", "value": value});
    create_rule(&service, "many", &sum(60));
    send(&service, events(&mut random));
    fill(&service);
    send(&service, events(&mut random));
    assert_eq!(metric(&service, "audience_history_alone_events"), 0);
    let floor = forget(&service);
    assert!(floor > 60_000, "old events went: {floor}");
    // Of measures that nobody computed, of traits, and of users who had events before and after.
    create_rule(&service, "seen", &json!({"event": "view", "operator": "gte", "value": 3}));
    create_rule(&service, "more", &sum(90));
    create_rule(&service, "pro", &json!({"field": "plan", "operator": "eq", "value": "pro"}));
    let segments = ["twice", "many", "seen", "more", "pro"];
    // Merges read old events, and old messages are repeated.
    send(
        &service,
        (0..10).map(|n| json!({"userId": format!("u{n}"), "previousId": format!("a{n}"), "eventType": "alias"})),
    );
    send(&service, events(&mut random));
    erase(&service, "u7");
    forget(&service);
    send(&service, events(&mut random));
    let ledger = stop_and_read(service, &data, &objects);
    let before = expected(&ledger);
    same("the changes say", &ledger.folded().unwrap(), &before).unwrap();
    assert!(before.len() == segments.len(), "{before:?}");
    assert!(
        records(&ledger.events).all(|event| event.sequence() >= floor || event.user() != "u7"),
        "it is erased outside"
    );

    let service = start(&data, &objects, 3);
    assert_eq!(served(&service, &segments), before);
    fill(&service);
    let higher = forget(&service);
    assert!(higher > floor + 60_000, "the floor moves on: {higher}");
    create_rule(&service, "late", &sum(75));
    let segments = ["twice", "many", "seen", "more", "pro", "late"];
    let ledger = stop_and_read(service, &data, &objects);
    let before = expected(&ledger);
    same("the changes say", &ledger.folded().unwrap(), &before).unwrap();

    fs::remove_dir_all(&data).unwrap();
    let service = start(&data, &objects, 2);
    assert_eq!(served(&service, &segments), before, "after the loss");
    let restored = stop_and_read(service, &data, &objects);
    assert!(restored.events == ledger.events, "record for record");
}

#[test]
fn a_start_without_the_history_is_refused_once_events_are_there_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (store, data) = (directory.path().join("outside"), directory.path().join("data"));
    let objects = outside(&store, "one");
    let service = start(&data, &objects, 1);
    fill(&service);
    fill(&service);
    assert!(forget(&service) > 0);
    service.stop();
    drop(service);
    let options = ServiceOptions {
        engine: EngineOptions { workers: 1, ..EngineOptions::default() },
        cluster: None,
        checkpoint_interval: Duration::from_secs(3600),
        start: Arc::default(),
        placeholders: Arc::default(),
        offsite: None,
        pairing: Pairing::default(),
    };
    let refused = Service::start(stores(&data), &options).err().unwrap().to_string();
    assert!(refused.contains("the URL of checkpoints"), "{refused}");
}

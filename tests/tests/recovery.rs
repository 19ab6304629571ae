//! The running platform, stopped and started from an older checkpoint: what lies between must count just once.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use audience_contract::{EventLog, Progress};
use audience_engine::durability::Manifest;
use audience_engine::service::Service;
use audience_protocol::TimezoneInput;
use audience_rules::event::{EventDecoder, EventDefaults};
use audience_tests::platform::{create_rule, members, send, start, stores, wait_until};
use audience_tests::serve::{pause, wall_clock};
use serde_json::{Value, json};

/// Stops, which takes a checkpoint, and deletes that one: the next start has only those before it.
fn stop_without_last_checkpoint(service: Arc<Service>, data: &Path) {
    service.stop();
    drop(service);
    let found = fs::read_dir(data.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path());
    fs::remove_dir_all(found.max().unwrap()).unwrap();
}

/// An event dated after now stands in the checkpoint as one that waits. It has happened when a rule brings a measure that
/// the checkpoint lacks: history brings the event to that measure, and nothing else may.
#[test]
fn what_waited_in_a_checkpoint_counts_once_for_a_measure_that_is_newer() {
    let directory = tempfile::tempdir().unwrap();
    let service = start(stores(directory.path()), 2);
    send(&service, [json!({"userId": "u", "eventType": "buy", "timestamp": wall_clock() + 1_000})]);
    pause(300);
    service.checkpoint().unwrap();
    pause(1_500);
    create_rule(&service, "once", &json!({"event": "buy"}));
    create_rule(&service, "twice", &json!({"event": "buy", "operator": "gte", "value": 2}));
    assert_eq!((members(&service, "once"), members(&service, "twice")), (vec!["u".to_owned()], vec![]));
    stop_without_last_checkpoint(service, directory.path());
    let service = start(stores(directory.path()), 2);
    assert_eq!((members(&service, "once"), members(&service, "twice")), (vec!["u".to_owned()], vec![]));
    service.stop();
}

/// A worker of whose users none stands in the checkpoint computes the same measures as the others: who comes to it behind the
/// checkpoint is replayed into them, also where a measure is newer and history is read for that one.
#[test]
fn users_behind_a_checkpoint_count_on_workers_that_have_nobody_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let service = start(stores(directory.path()), 8);
    create_rule(&service, "bought", &json!({"event": "buy"}));
    send(&service, [json!({"userId": "first", "eventType": "buy"})]);
    wait_until("the first is a member", || members(&service, "bought") == ["first"]);
    service.checkpoint().unwrap();
    create_rule(&service, "looked", &json!({"event": "look", "operator": "gte", "value": 0}));
    let users: Vec<String> = (10..50).map(|number| format!("later-{number}")).collect();
    send(&service, users.iter().map(|user| json!({"userId": user, "eventType": "buy"})));
    let all: Vec<String> = std::iter::once("first".to_owned()).chain(users).collect();
    let is_all = |service: &Service| members(service, "bought") == all && members(service, "looked") == all;
    wait_until("all are members", || is_all(&service));
    stop_without_last_checkpoint(service, directory.path());
    let service = start(stores(directory.path()), 8);
    assert_eq!((members(&service, "bought"), members(&service, "looked")), (all.clone(), all.clone()));
    service.stop();
}

/// The last checkpoint of a run is one that the next can go on from, also where nobody is in most of it.
#[test]
fn a_stop_leaves_a_checkpoint_that_is_not_ahead_of_what_was_given_out() {
    let directory = tempfile::tempdir().unwrap();
    for users in ["", "u"] {
        let service = start(stores(directory.path()), 2);
        if !users.is_empty() {
            send(&service, [json!({"userId": users, "eventType": "buy"})]);
            pause(300);
        }
        service.stop();
        drop(service);
        let stores = stores(directory.path());
        let (newest, progress) = (stores.checkpoints.found().unwrap()[0], stores.changes.progress().unwrap().unwrap());
        let manifest = Manifest::decode(&stores.checkpoints.manifest(newest).unwrap()).unwrap();
        assert!(manifest.is_within(progress), "{:?}, at {progress:?}", manifest.greatest);
    }
}

/// A run that reads the log behind the progress gives out that it has read it before its clock gets there. Killed between
/// the two, what it read counts in the next run, once.
#[test]
fn what_was_read_and_was_still_behind_the_clock_counts_once() {
    let directory = tempfile::tempdir().unwrap();
    let service = start(stores(directory.path()), 2);
    create_rule(&service, "once", &json!({"event": "buy"}));
    create_rule(&service, "twice", &json!({"event": "buy", "operator": "gte", "value": 2}));
    stop_without_last_checkpoint(service, directory.path());
    let given = {
        let stores = stores(directory.path());
        append(&*stores.events, wall_clock());
        let given = stores.changes.progress().unwrap().unwrap();
        let read = Progress { tick: given.tick + 1, sequence: stores.events.end(), ..given };
        stores.changes.commit(read, &[]).unwrap();
        read
    };
    let service = start(stores(directory.path()), 2);
    assert_eq!((members(&service, "once"), members(&service, "twice")), (vec!["u".to_owned()], vec![]));
    service.stop();
    drop(service);
    let now = stores(directory.path()).changes.progress().unwrap().unwrap();
    assert!(now.clock > given.clock && now.sequence == given.sequence, "{now:?}");
}

/// Rules of the second page, none of which changes by time alone here.
fn second_page() -> [(&'static str, Value); 5] {
    let of_toys = json!({"field": "item.kind", "operator": "eq", "value": "toy"});
    [
        ("toys", json!({"event": "order", "each": "lines", "where": of_toys, "operator": "gte", "value": 2})),
        ("kept", json!({"event": "order", "unless": {"event": "cancelled", "same": "order"}})),
        ("days", json!({"event": "order", "measure": {"fn": "days"}, "operator": "gte", "value": 2})),
        ("stayed", json!({"sequence": [{"event": "order"}, {"not": {"event": "cancelled"}}], "same": "order"})),
        ("as-often", json!({"left": {"event": "cancelled"}, "operator": "eq", "right": {"event": "order"}})),
    ]
}

/// Orders, lines, late cancellations and an edit of the platform's zone, before and after a checkpoint: a start from there,
/// with another number of workers, finds what was.
#[test]
fn questions_and_the_zone_outlive_a_restart_from_an_older_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let service = start(stores(directory.path()), 3);
    second_page().iter().for_each(|(id, rules)| create_rule(&service, id, rules));
    let order = |user: &str, number: u32, at: &str, kinds: [&str; 2]| {
        let lines = kinds.map(|kind| json!({"kind": kind}));
        json!({"userId": user, "eventType": "order", "timestamp": at, "properties": {"order": number, "lines": lines}})
    };
    let cancelled =
        |user: &str, number: u32| json!({"userId": user, "eventType": "cancelled", "properties": {"order": number}});
    let (late, later) = ("2026-06-10T21:30:00Z", "2026-06-10T22:30:00Z");
    send(&service, [order("a", 1, late, ["toy", "book"]), order("b", 2, late, ["book", "book"])]);
    send(&service, [order("c", 3, later, ["toy", "toy"]), cancelled("c", 3)]);
    wait_until("the first orders", || {
        members(&service, "as-often") == ["c"] && members(&service, "kept") == ["a", "b"]
    });
    service.checkpoint().unwrap();
    let berlin = TimezoneInput { timezone: "Europe/Berlin".to_owned(), note: None };
    service.platform().catalogue.set_timezone(berlin, None, "ann").unwrap();
    send(&service, [order("a", 4, later, ["book", "toy"]), order("b", 5, later, ["book", "book"]), cancelled("b", 2)]);
    send(&service, [cancelled("b", 5), json!({"previousId": "c", "userId": "a", "eventType": "alias"})]);
    let expected = [("toys", vec!["a"]), ("kept", vec!["a"]), ("days", vec!["a", "b"]), ("stayed", vec!["a"])];
    let expected: Vec<_> = expected.into_iter().chain([("as-often", vec!["b"])]).collect();
    let found = |service: &Service| expected.iter().all(|(id, users)| members(service, id) == *users);
    wait_until("the orders of before and after", || found(&service));
    stop_without_last_checkpoint(service, directory.path());
    for workers in [1, 4] {
        let service = start(stores(directory.path()), workers);
        let zone = service.platform().catalogue.timezone().unwrap();
        assert_eq!((&*zone.timezone, zone.version), ("Europe/Berlin", 1));
        for (id, users) in &expected {
            assert_eq!(members(&service, id), *users, "{id} of {workers} workers");
        }
        service.stop();
    }
}

/// Accepts an event of `u` at that instant, and no more.
fn append(log: &dyn EventLog, accepted_at: i64) {
    let mut records = Vec::new();
    let event = json!({"userId": "u", "eventType": "buy", "timestamp": accepted_at});
    let defaults = EventDefaults { accepted_at };
    EventDecoder::new().decode(event.to_string().as_bytes(), &defaults, &mut records).unwrap();
    log.append(&mut records).unwrap();
}

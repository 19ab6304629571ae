//! The real program stopped while a server that it is joined to halts: connections stay, and nothing is answered. It ends in
//! time, and what was not given out is when it goes on.
//!
//! The servers must be those of `scripts/services`, which it pauses.

#[allow(dead_code, reason = "each test uses a part")]
mod between;
mod database;
mod servers;
mod topics;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use audience_tests::platform::wait_until;
use audience_tests::serve::{pause, wall_clock};
use serde_json::{Value, json};

use between::{PARTITIONS, folded, in_redis, metric, served, settle, setup};
use database::TestDatabase;
use servers::{Paused, StopSending, send};
use topics::committed;

const USERS: u64 = 50;
/// How long an end may take: Kubernetes kills after 30 s.
const END: Duration = Duration::from_secs(25);

#[test]
fn it_ends_in_time_while_a_server_halts() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = format!("pause-test-{}.", wall_clock());
    let database = TestDatabase::create();
    let mut setup = setup(directory.path(), &prefix);
    setup.flags.extend(["--postgres".to_owned(), database.url.clone()]);
    let topic = format!("{prefix}user-events");
    let running = setup.start();
    let buyers = json!({"name": "buyers", "rules": {"event": "buy", "operator": "gte", "value": 3}}).to_string();
    assert!(running.client().put("/api/segments/buyers", &buyers).unwrap().status < 300);
    let is_stopping = AtomicBool::new(false);
    let (running, sent) = std::thread::scope(|scope| {
        let mut running = running;
        let _stop = StopSending(&is_stopping);
        let sender = scope.spawn(|| send(&topic, USERS, 3, &is_stopping));
        for service in ["kafka", "redis", "postgres"] {
            // Offsets are noted at the brokers every second: by then some are under way.
            let read = metric(running.client(), "audience_source_messages_total");
            let is_read = || metric(running.client(), "audience_source_messages_total") >= read + 1_000;
            wait_until("events are read", is_read);
            let paused = Paused::begin(service);
            pause(1_500);
            let begun = Instant::now();
            running.stop();
            let took = begun.elapsed();
            eprintln!("{service} halts: ended after {took:?}");
            drop(paused);
            assert!(took < END, "{service} halts: it took {took:?}");
            running = setup.start();
        }
        is_stopping.store(true, Ordering::Release);
        (running, sender.join().unwrap())
    });
    settle(&running);
    let bought =
        |user: &str| sent.iter().filter(|event| event["userId"] == user && event["eventType"] == "buy").count();
    let expected = (0..USERS).map(|user| format!("u{user}")).filter(|user| bought(user) >= 3).collect();
    let expected = [("buyers".to_owned(), expected)].into();
    assert_eq!(served(running.client(), &["buyers"]), expected, "served");
    running.stop();
    let all = committed(&format!("{prefix}user-segments"), PARTITIONS);
    let all: Vec<Value> = all.iter().map(|(_, change)| serde_json::from_slice(change).unwrap()).collect();
    assert_eq!(folded(&all), expected, "by the topic");
    assert_eq!(in_redis(&prefix, USERS), expected, "in Redis");
}

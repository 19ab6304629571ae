//! A standby that takes over between topics: who reads what is committed sees each membership enter and leave in turn.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod between;
mod topics;

use std::fs::create_dir_all;
use std::path::Path;
use std::time::Duration;

use audience_tests::serve::{Served, Setup, pause, wall_clock};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};

use between::{PARTITIONS, folded, in_redis, metric, served, settle, setup};
use topics::{client, committed};

const USERS: u64 = 200;
/// Events from one promotion to the next.
const EVENTS: u64 = 3_000;
/// Events of each user are enough to come in, and later ones to leave.
const RULES: [(&str, &str); 2] = [
    ("buyers", r#"{"event":"buy","operator":"gte","value":3}"#),
    ("few", r#"{"event":"buy","operator":"between","value":[2,20]}"#),
];

/// A process of the pair on the same topics.
fn one(directory: &Path, prefix: &str, name: &str, primary: Option<&Served>) -> Setup {
    let own = directory.join(name);
    create_dir_all(&own).unwrap();
    let mut setup = setup(&own, prefix);
    let lease = format!("file://{}", directory.join("lease").display());
    setup.flags.extend(["--lease".to_owned(), lease, "--standby-promotion".to_owned(), "automatic".to_owned()]);
    setup.flags.extend(primary.iter().map(|primary| format!("--standby-of=http://{}", primary.address)));
    setup
}

fn send(producer: &BaseProducer, topic: &str, from: u64) {
    for number in from..from + EVENTS {
        let user = format!("u{}", number * number % USERS);
        let event = json!({"userId": user, "eventType": "buy"}).to_string();
        while producer.send(BaseRecord::to(topic).key(&user).payload(&event)).is_err() {
            producer.poll(Duration::from_millis(10));
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(30)).unwrap();
}

#[test]
fn sinks_go_on_after_a_promotion_and_nothing_is_missing_or_twice_between_the_topics() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = format!("standby-test-{}.", wall_clock());
    let topic = format!("{prefix}user-events");
    let producer: BaseProducer = client().create().unwrap();
    let mut primary = one(directory.path(), &prefix, "0", None).start();
    for (id, rules) in RULES {
        let segment = format!(r#"{{"name":"{id}","rules":{rules}}}"#);
        let answer = primary.client().put(&format!("/api/segments/{id}"), &segment).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    for round in 1..=2 {
        let mut standby = one(directory.path(), &prefix, &round.to_string(), Some(&primary)).spawn();
        while metric(primary.client(), "audience_standby_followed") != 1 {
            pause(50);
        }
        send(&producer, &topic, (round - 1) * EVENTS);
        // In the middle of them.
        pause(150);
        primary.kill();
        standby.wait_ready().unwrap();
        primary = standby;
    }
    settle(&primary);
    let count = |user: u64| primary.client().get(&format!("/api/users/u{user}")).unwrap().json()["eventCount"].as_u64();
    assert_eq!((0..USERS).filter_map(count).sum::<u64>(), 2 * EVENTS, "each event counts once");
    let members = served(primary.client(), &RULES.map(|(id, _)| id));
    assert!(!members["buyers"].is_empty(), "{members:?}");
    let said = primary.said();
    assert!(!said.contains("restarts from scratch"), "{said}");
    primary.stop();
    let all = committed(&format!("{prefix}user-segments"), PARTITIONS);
    let all: Vec<Value> = all.iter().map(|(_, change)| serde_json::from_slice(change).unwrap()).collect();
    assert_eq!(folded(&all), members);
    assert_eq!(in_redis(&prefix, USERS), members);
}

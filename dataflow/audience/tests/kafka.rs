//! The real program at a real Kafka and Redis, killed now and then: events from one topic, membership changes to another.
//! Who reads what is committed there sees each membership enter and leave in turn, and ends where everybody is.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod between;
mod topics;

use std::fs;
use std::path::Path;
use std::time::Duration;

use audience_tests::client::Client;
use audience_tests::random::Random;
use audience_tests::serve::{pause, wall_clock};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

use between::{PARTITIONS, folded, in_redis, served, settle, setup};
use topics::{client, committed};

const USERS: u64 = 200;
const KILLS: u64 = 6;
/// The failpoints at which the program ends by itself, by the number of the kill: a transaction is filled and not committed,
/// one is committed and no follower knows, and a source's records are durable and not acknowledged.
const FAILPOINTS: [(u64, &str); 3] = [(1, "kafka_noted:3"), (3, "kafka_committed:3"), (4, "source_appended:1")];

/// Sends events of that many users in a random order; the last is no event.
fn send(producer: &BaseProducer, topic: &str, random: &mut Random, events: u64) {
    for _ in 0..events {
        let user = format!("u{}", random.between(0, USERS - 1));
        let kind = *random.pick(&["buy", "buy", "view"]);
        let event = json!({"userId": user, "eventType": kind, "properties": {"amount": random.between(1, 50)}});
        let event = event.to_string();
        while producer.send(BaseRecord::to(topic).key(&user).payload(&event)).is_err() {
            producer.poll(Duration::from_millis(10));
        }
    }
    producer.send(BaseRecord::to(topic).key("x").payload("no event")).unwrap();
    producer.flush(Duration::from_secs(30)).unwrap();
}

fn put(client: Client, id: &str, rules: &Value) {
    let answer = client.put(&format!("/api/segments/{id}"), &json!({"name": id, "rules": rules}).to_string()).unwrap();
    assert!(answer.status < 300, "{}", answer.text());
}

/// Says in the settings how many writers and readers there are.
fn deal(folder: &Path, writers: u64, readers: u64) {
    let file = folder.join("audience.toml");
    let text = fs::read_to_string(&file).unwrap();
    let others = text.lines().filter(|line| !line.starts_with("writers") && !line.starts_with("readers"));
    let kafka = format!("[kafka]\nwriters = {writers}\nreaders = {readers}");
    let lines: Vec<&str> = others.map(|line| if line == "[kafka]" { kafka.as_str() } else { line }).collect();
    assert!(lines.contains(&kafka.as_str()), "{text}");
    fs::write(&file, lines.join("\n")).unwrap();
}

/// Brokers that were just started answer the first commit of offsets late, and are not away for that.
#[test]
fn a_first_start_warns_of_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let setup = setup(directory.path(), &format!("kafka-first-{}.", wall_clock()));
    let served = setup.start();
    pause(5_000);
    let said = served.said();
    let complaint = said.lines().find(|line| line.contains(" WARN ") || line.contains(" ERROR "));
    assert_eq!(complaint, None, "{said}");
    served.stop();
}

#[test]
fn killed_between_topics_it_loses_and_repeats_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = format!("kafka-test-{}.", wall_clock());
    let mut setup = setup(directory.path(), &prefix);
    let (events, changes) = (format!("{prefix}user-events"), format!("{prefix}user-segments"));
    let producer: BaseProducer = client().create().unwrap();
    let mut random = Random::new(7);
    let mut served_by = setup.start();
    put(served_by.client(), "buyers", &json!({"event": "buy", "operator": "gte", "value": 3}));
    put(served_by.client(), "idle", &json!({"logic": "NOT", "conditions": [{"event": "buy", "within": "2s"}]}));
    for kill in 0..KILLS {
        send(&producer, &events, &mut random, 700);
        let rich =
            json!({"event": "buy", "measure": {"fn": "sum", "of": "amount"}, "operator": "gt", "value": 100 * kill});
        if setup.variables.is_empty() {
            put(served_by.client(), "rich", &rich);
            pause(random.between(0, 1_500));
            served_by.kill();
        } else {
            served_by.wait();
            assert!(served_by.said().contains("is reached"), "{}", served_by.said());
        }
        let failpoint = FAILPOINTS.iter().find(|(of, _)| *of == kill + 1);
        setup.variables = failpoint.iter().map(|(_, at)| ("AUDIENCE_FAILPOINT".to_owned(), (*at).to_owned())).collect();
        // Other readers and writers each time, who find what those before were in the middle of.
        deal(directory.path(), random.between(1, 5), random.between(1, PARTITIONS as u64 + 2));
        served_by = if failpoint.is_some() { setup.spawn() } else { setup.start() };
    }
    send(&producer, &events, &mut random, 10);
    settle(&served_by);
    // Whoever bought lately has left again.
    pause(2_500);
    settle(&served_by);
    let members = served(served_by.client(), &["buyers", "rich", "idle"]);
    assert!(members["buyers"].len() > 100 && members["idle"].len() > 190, "{members:?}");
    let counts = (0..USERS).map(|user| {
        let answer = served_by.client().get(&format!("/api/users/u{user}")).unwrap();
        answer.json()["eventCount"].as_u64().unwrap_or(0)
    });
    assert_eq!(counts.sum::<u64>(), KILLS * 700 + 10, "each event counts once");
    served_by.stop();
    let all = committed(&changes, PARTITIONS);
    let all: Vec<Value> = all.iter().map(|(_, change)| serde_json::from_slice(change).unwrap()).collect();
    assert_eq!(folded(&all), members);
    assert_eq!(in_redis(&prefix, USERS), members);
    let letters = committed(&format!("{prefix}user-events-dlq"), 1);
    assert!(letters.iter().all(|(_, letter)| letter == b"no event"));
    // One may be there twice: see `DeadLetters`.
    assert!(letters.len() as u64 > KILLS, "{} letters", letters.len());
}

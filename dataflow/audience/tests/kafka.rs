//! The real program at a real Kafka and Redis, killed now and then: events from one topic, membership changes to another.
//! Who reads what is committed there sees each membership enter and leave in turn, and ends where everybody is.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::random::Random;
use audience_tests::serve::{Served, Setup, pause, wall_clock};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::{Value, json};

const PARTITIONS: i32 = 3;
const USERS: u64 = 200;
const KILLS: u64 = 6;

type Members = BTreeMap<String, BTreeSet<String>>;

/// A setting of the environment that `scripts/services` makes.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: this test needs real services, start them with: eval \"$(scripts/services start)\"")
    })
}

fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", variable("AUDIENCE_TEST_KAFKA"));
    config
}

/// Settings under topics that no other run has.
fn setup(directory: &Path, prefix: &str) -> Setup {
    let file = directory.join("audience.toml");
    let brokers = variable("AUDIENCE_TEST_KAFKA");
    let text = format!("[kafka]\nbrokers = \"{brokers}\"\npartitions = {PARTITIONS}\ntopic_prefix = \"{prefix}\"\n");
    let redis = variable("AUDIENCE_TEST_REDIS");
    let text = format!("{text}[redis]\nurl = \"{redis}\"\nprefix = \"{prefix}\"\n");
    std::fs::write(&file, text).unwrap();
    let flags = vec!["--config".to_owned(), file.display().to_string()];
    Setup { flags, ..Setup::within(program!(), directory) }
}

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

/// Every value that is committed in a topic of so many partitions.
fn committed(topic: &str, partitions: i32) -> Vec<Vec<u8>> {
    let consumer: BaseConsumer = client()
        .set("group.id", "test")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    (0..partitions).for_each(|partition| list.add_partition_offset(topic, partition, Offset::Beginning).unwrap());
    consumer.assign(&list).unwrap();
    let (mut found, mut ended) = (Vec::new(), BTreeSet::new());
    while (ended.len() as i32) < partitions {
        match consumer.poll(Duration::from_secs(20)).expect("the broker answers") {
            Ok(message) => found.push(message.payload().unwrap().to_vec()),
            Err(rdkafka::error::KafkaError::PartitionEOF(partition)) => {
                ended.insert(partition);
            }
            Err(error) => panic!("{error}"),
        }
    }
    found
}

/// Who is in what by what Redis has of users.
fn in_redis(prefix: &str) -> Members {
    let mut connection = redis::Client::open(variable("AUDIENCE_TEST_REDIS")).unwrap().get_connection().unwrap();
    let mut members = Members::new();
    for user in (0..USERS).map(|user| format!("u{user}")) {
        let segments: Vec<String> =
            redis::cmd("HKEYS").arg(format!("{prefix}:user:{user}:segments")).query(&mut connection).unwrap();
        for segment in segments {
            members.entry(segment).or_default().insert(user.clone());
        }
    }
    members
}

/// Who is in what by these changes; each must change something.
fn folded(changes: &[Value]) -> Members {
    let mut members = Members::new();
    for change in changes {
        let text = |name: &str| change[name].as_str().unwrap().to_owned();
        let segment = members.entry(text("segmentId")).or_default();
        let is_new = match change["change"].as_str() {
            Some("entered") => segment.insert(text("userId")),
            _ => segment.remove(&text("userId")),
        };
        assert!(is_new, "{change} changes nothing");
    }
    members.retain(|_, members| !members.is_empty());
    members
}

fn served(client: Client) -> Members {
    let of = |id: &str| (id.to_owned(), client.members(id).unwrap().unwrap_or_default().into_iter().collect());
    ["buyers", "rich", "idle"]
        .map(of)
        .into_iter()
        .filter(|(_, members): &(_, BTreeSet<_>)| !members.is_empty())
        .collect()
}

fn put(client: Client, id: &str, rules: &Value) {
    let answer = client.put(&format!("/api/segments/{id}"), &json!({"name": id, "rules": rules}).to_string()).unwrap();
    assert!(answer.status < 300, "{}", answer.text());
}

fn metric(client: Client, name: &str) -> u64 {
    let text = client.get("/metrics").unwrap().text();
    let values = text
        .lines()
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum::<f64>() as u64
}

/// Waits until everything that was sent is served and given out.
fn settle(served: &Served) {
    let mut quiet = 0;
    for _ in 0..3_000 {
        let client = served.client();
        let waits = ["audience_source_lag_messages", "audience_source_lag_events", "audience_sink_lag_ticks{"];
        // Ticks without a change are not written to a sink at once.
        let lag: Vec<u64> = waits.iter().map(|name| metric(client, name)).collect();
        quiet = if lag[0] == 0 && lag[1] == 0 { quiet + 1 } else { 0 };
        if quiet > 60 {
            return;
        }
        pause(20);
    }
    panic!("it does not come to rest: {}", served.client().get("/metrics").unwrap().text());
}

#[test]
fn killed_between_topics_it_loses_and_repeats_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = format!("kafka-test-{}.", wall_clock());
    let setup = setup(directory.path(), &prefix);
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
        put(served_by.client(), "rich", &rich);
        pause(random.between(0, 1_500));
        served_by.kill();
        served_by = setup.start();
    }
    send(&producer, &events, &mut random, 10);
    settle(&served_by);
    // Whoever bought lately has left again.
    pause(2_500);
    settle(&served_by);
    let members = served(served_by.client());
    assert!(members["buyers"].len() > 100 && members["idle"].len() > 190, "{members:?}");
    let counts = (0..USERS).map(|user| {
        let answer = served_by.client().get(&format!("/api/users/u{user}")).unwrap();
        answer.json()["eventCount"].as_u64().unwrap_or(0)
    });
    assert_eq!(counts.sum::<u64>(), KILLS * 700 + 10, "each event counts once");
    served_by.stop();
    let all = committed(&changes, PARTITIONS);
    let all: Vec<Value> = all.iter().map(|change| serde_json::from_slice(change).unwrap()).collect();
    assert_eq!(folded(&all), members);
    assert_eq!(in_redis(&prefix), members);
    let letters = committed(&format!("{prefix}user-events-dlq"), 1);
    assert!(letters.iter().all(|letter| letter == b"no event"));
    // One may be there twice: see `DeadLetters`.
    assert!(letters.len() as u64 > KILLS, "{} letters", letters.len());
}

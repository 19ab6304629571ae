//! The topics of a run of the program, and who is in what by what it says, in each place.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

/// Partitions of the topics of a test.
pub const PARTITIONS: i32 = 3;

/// Who is in what.
pub type Members = BTreeMap<String, BTreeSet<String>>;

/// A setting of the environment that `scripts/services` makes.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: this test needs real services, start them with: eval \"$(scripts/services start)\"")
    })
}

/// How the broker is reached.
pub fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", variable("AUDIENCE_TEST_KAFKA"));
    config
}

/// Settings under topics that no other run has.
pub fn setup(directory: &Path, prefix: &str) -> Setup {
    let file = directory.join("audience.toml");
    let brokers = variable("AUDIENCE_TEST_KAFKA");
    let text = format!("[kafka]\nbrokers = \"{brokers}\"\npartitions = {PARTITIONS}\ntopic_prefix = \"{prefix}\"\n");
    let redis = variable("AUDIENCE_TEST_REDIS");
    let text = format!("{text}[redis]\nurl = \"{redis}\"\nprefix = \"{prefix}\"\n");
    std::fs::write(&file, text).unwrap();
    let flags = vec!["--config".to_owned(), file.display().to_string()];
    Setup { flags, ..Setup::within(program!(), directory) }
}

/// Every value that is committed in a topic of so many partitions.
pub fn committed(topic: &str, partitions: i32) -> Vec<Vec<u8>> {
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

/// Who is in what by what Redis has of these users.
pub fn in_redis(prefix: &str, users: u64) -> Members {
    let mut connection = redis::Client::open(variable("AUDIENCE_TEST_REDIS")).unwrap().get_connection().unwrap();
    let mut members = Members::new();
    for user in (0..users).map(|user| format!("u{user}")) {
        let segments: Vec<String> =
            redis::cmd("HKEYS").arg(format!("{prefix}:user:{user}:segments")).query(&mut connection).unwrap();
        for segment in segments {
            members.entry(segment).or_default().insert(user.clone());
        }
    }
    members
}

/// Who is in what by these changes; each must change something.
pub fn folded(changes: &[Value]) -> Members {
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

/// Who is in these segments by what is served.
pub fn served(client: Client, segments: &[&str]) -> Members {
    let of = |id: &&str| ((*id).to_owned(), client.members(id).unwrap().unwrap_or_default().into_iter().collect());
    segments.iter().map(of).filter(|(_, members): &(_, BTreeSet<_>)| !members.is_empty()).collect()
}

/// The sum of a figure over all labels.
pub fn metric(client: Client, name: &str) -> u64 {
    let text = client.get("/metrics").unwrap().text();
    let values = text
        .lines()
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum::<f64>() as u64
}

/// Waits until everything that was sent is served and given out.
pub fn settle(served: &Served) {
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

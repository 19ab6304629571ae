//! Parts that the tests against a real broker share.
#![allow(dead_code, reason = "each test uses a part")]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use audience_contract::suite::{Feed, SuiteMembers};
use audience_contract::{Batch, Header, Source, SourceError};
use audience_kafka::topics::{self, Topic};
use audience_kafka::{Connection, SinkSettings};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// How long something may take that is sure to come.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// A setting of the environment that `scripts/services` makes.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: this test needs real services, start them with: eval \"$(scripts/services start)\"")
    })
}

pub(crate) fn connection() -> Connection {
    // Partitions that are added are found soon.
    Connection::to(&variable("AUDIENCE_TEST_KAFKA")).with("topic.metadata.refresh.interval.ms", "500")
}

/// A name that no other test has, nor an earlier run of this one.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let started = std::fs::metadata("/proc/self").unwrap().modified().unwrap();
    let started = started.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    format!("{name}-{started}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Makes a topic of events, and gives its name.
pub(crate) fn topic(name: &str, partitions: u32) -> String {
    let name = unique(name);
    topics::ensure(&connection(), &[Topic::user_events(partitions).named(&name)]).unwrap();
    name
}

/// Makes topics of changes and of progress.
pub(crate) fn sink_settings(name: &str, partitions: u32) -> SinkSettings {
    let settings = SinkSettings {
        topic: unique(name),
        progress_topic: unique(&format!("{name}-progress")),
        writer: unique(&format!("{name}-writer")),
        ..SinkSettings::of(connection())
    };
    let changes = Topic::user_segments(partitions).named(&settings.topic);
    let progress = Topic::user_segments_progress().named(&settings.progress_topic);
    topics::ensure(&connection(), &[changes, progress]).unwrap();
    settings
}

fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", variable("AUDIENCE_TEST_KAFKA"));
    config
}

/// A producer with these settings.
pub(crate) fn producer(settings: &[(&str, &str)]) -> BaseProducer {
    let mut config = client();
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config.create().unwrap()
}

/// A topic that tests write to.
pub(crate) struct Broker {
    pub topic: String,
    producer: BaseProducer,
}

impl Broker {
    pub(crate) fn new(topic: &str) -> Broker {
        Broker::with(topic, &[])
    }

    pub(crate) fn with(topic: &str, settings: &[(&str, &str)]) -> Broker {
        Broker { topic: topic.to_owned(), producer: producer(settings) }
    }

    /// Sends without waiting.
    pub(crate) fn send(&self, partition: u32, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) {
        let mut record: BaseRecord<'_, [u8], [u8], ()> = BaseRecord::to(&self.topic).partition(partition as i32);
        record.key = key;
        record.payload = value;
        if !headers.is_empty() {
            let all = headers.iter().fold(OwnedHeaders::new(), |all, header| {
                all.insert(rdkafka::message::Header { key: &header.name, value: header.value.as_ref() })
            });
            record = record.headers(all);
        }
        while let Err((error, back)) = self.producer.send::<[u8], [u8]>(record) {
            assert_eq!(error.rdkafka_error_code(), Some(rdkafka::error::RDKafkaErrorCode::QueueFull), "{error}");
            record = back;
            self.producer.poll(Duration::from_millis(20));
        }
    }

    /// Waits until everything is delivered. Not by the client's own `flush`, which looks only every 100 ms.
    pub(crate) fn flush(&self) {
        let deadline = Instant::now() + LIMIT;
        while self.producer.in_flight_count() > 0 {
            assert!(Instant::now() < deadline, "messages were not delivered");
            self.producer.poll(Duration::from_millis(1));
        }
    }
}

impl Feed for Broker {
    fn put(&mut self, partition: u32, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) {
        self.send(partition, key, value, headers);
        self.flush();
    }

    fn grow(&mut self, partitions: u32) {
        let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
        let new = NewPartitions::new(&self.topic, partitions as usize);
        futures_executor::block_on(admin.create_partitions([&new], &AdminOptions::new())).unwrap()[0].clone().unwrap();
        // A producer finds them by itself, but not at once.
        let deadline = Instant::now() + LIMIT;
        loop {
            let metadata = self.producer.client().fetch_metadata(Some(&self.topic), LIMIT).unwrap();
            if metadata.topics()[0].partitions().len() == partitions as usize {
                return;
            }
            assert!(Instant::now() < deadline, "partitions were not added");
        }
    }

    fn remove(&mut self, partition: u32, below: u64) {
        let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition as i32, Offset::Offset(below as i64)).unwrap();
        futures_executor::block_on(admin.delete_records(&list, &AdminOptions::new())).unwrap();
    }
}

/// Every message of a topic, partition by partition, as a reader with that isolation finds them now.
pub(crate) fn read_all(topic: &str, isolation: &str) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = client()
        .set("group.id", "audience-tests")
        .set("isolation.level", isolation)
        .set("fetch.wait.max.ms", "10")
        .set("enable.partition.eof", "true")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), LIMIT).unwrap();
    let mut found = Vec::new();
    for partition in metadata.topics()[0].partitions() {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let deadline = Instant::now() + LIMIT;
        loop {
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(message)) => found.push(message.detach()),
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                _ => assert!(Instant::now() < deadline, "{topic} could not be read"),
            }
        }
    }
    found
}

/// The sum of the committed changes of a topic; checks that those of a membership come in turns.
pub(crate) fn fold(topic: &str) -> SuiteMembers {
    let mut members = BTreeSet::new();
    for message in read_all(topic, "read_committed") {
        let change: serde_json::Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        let text = |name: &str| change[name].as_str().unwrap().to_owned();
        assert_eq!(message.key().unwrap(), text("userId").as_bytes(), "a change is filed under its user");
        let membership = (text("userId"), text("segmentId"));
        match text("change").as_str() {
            "entered" => assert!(members.insert(membership), "{change} and was a member"),
            "left" => assert!(members.remove(&membership), "{change} and was no member"),
            other => panic!("{other}"),
        }
    }
    members
}

/// Polls until `enough` is content with what came, through faults that pass.
pub(crate) fn poll_until(source: &mut dyn Source, mut enough: impl FnMut(&Batch) -> bool) {
    let deadline = Instant::now() + LIMIT;
    loop {
        assert!(Instant::now() < deadline, "it did not come");
        match source.poll(Duration::from_millis(200)) {
            Ok(batch) if enough(&batch) => return,
            Ok(_) | Err(SourceError::Transient(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

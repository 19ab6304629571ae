//! Events into the one topic, and the changes out of the other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use audience_bench::report::Times;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::traffic::{Traffic, probe_sent_at, write_probe};
use crate::{now, pause};

/// Events handed over before the clock is looked at.
const BURST: u64 = 64;
/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(600);

/// Puts events into the topic of events.
pub struct Producing {
    producer: BaseProducer,
    topic: String,
    /// The number of the next event.
    pub next: u64,
    /// Probes that were sent.
    pub probes: u64,
}

/// The events that are to be sent.
#[derive(Clone, Copy)]
pub struct SendPlan {
    /// Events a second; none for as many as are taken.
    pub rate: Option<u64>,
    /// Events in all.
    pub count: u64,
    /// Every so-manieth is a probe; none where 0.
    pub probe_every: u64,
}

impl Producing {
    /// Connects.
    pub fn new(brokers: &str, topic: &str) -> anyhow::Result<Producing> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("compression.type", "lz4")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "5")
            .set("batch.size", "500000")
            .set("queue.buffering.max.messages", "500000")
            .set("queue.buffering.max.kbytes", "262144")
            .create()?;
        Ok(Producing { producer, topic: topic.to_owned(), next: 0, probes: 0 })
    }

    /// The topic of events.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Sends, and waits until the brokers have all; gives how long it took.
    pub fn send(&mut self, traffic: Traffic, plan: SendPlan) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for sent in 0..plan.count {
            if sent % BURST == 0 {
                if let Some(rate) = plan.rate {
                    let due = begun + Duration::from_nanos(sent * 1_000_000_000 / rate.max(1));
                    pause(due.saturating_duration_since(Instant::now()));
                }
                self.producer.poll(Duration::ZERO);
            }
            if plan.probe_every > 0 && sent % plan.probe_every == 0 {
                write_probe(self.probes, now(), &mut key, &mut value);
                self.probes += 1;
            } else {
                traffic.write(self.next, now(), &mut key, &mut value);
                self.next += 1;
            }
            self.hand_over(&key, &value)?;
        }
        self.producer.flush(PATIENCE).context("flushing events")?;
        Ok(begun.elapsed())
    }

    fn hand_over(&self, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
        let mut record = BaseRecord::to(&self.topic).key(key).payload(value);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(Duration::from_millis(5));
                }
                Err((error, _)) => return Err(error).context("sending events"),
            }
        }
    }
}

/// The changes read from the topic.
#[derive(Default)]
pub struct ReadChanges {
    /// Changes.
    pub changes: AtomicU64,
    /// The latency of each probe, from the moment it was made until it was read, committed.
    pub probes: Mutex<Times>,
    is_over: AtomicBool,
}

impl ReadChanges {
    /// The times noted so far, which are begun anew.
    pub fn take_probes(&self) -> Times {
        std::mem::take(&mut *self.probes.lock())
    }

    /// Ends [`follow`].
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }
}

/// Waits until the server has made topics.
pub(crate) fn wait_for_topics(brokers: &str, topics: &[&str]) -> anyhow::Result<()> {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let begun = Instant::now();
    loop {
        let metadata = consumer.fetch_metadata(None, Duration::from_secs(30))?;
        let is_there =
            |name: &&str| metadata.topics().iter().any(|found| found.name() == *name && !found.partitions().is_empty());
        if topics.iter().all(is_there) {
            return Ok(());
        }
        anyhow::ensure!(begun.elapsed() < PATIENCE, "{topics:?} are not made");
        pause(Duration::from_millis(100));
    }
}

/// Reads the topic of changes from its end on, as far as it is committed, until told to end.
pub(crate) fn follow(brokers: &str, topic: &str, seen: &ReadChanges) -> anyhow::Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        // As a consumer for which it is urgent sets it.
        .set("fetch.wait.max.ms", "5")
        .set("queued.max.messages.kbytes", "65536")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(30))?;
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        let (_, end) = consumer.fetch_watermarks(topic, partition.id(), Duration::from_secs(30))?;
        list.add_partition_offset(topic, partition.id(), Offset::Offset(end))?;
    }
    consumer.assign(&list)?;
    while !seen.is_over.load(Ordering::Acquire) {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                eprintln!("   reading changes: {error}");
                continue;
            }
        };
        seen.changes.fetch_add(1, Ordering::Relaxed);
        if let Some(sent) = message.key().and_then(probe_sent_at) {
            let took = u64::try_from(now() - sent).unwrap_or(0);
            seen.probes.lock().add(Duration::from_millis(took));
        }
    }
    Ok(())
}

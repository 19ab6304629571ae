//! The reports of librdkafka beside messages: the partitions, their ends, and faults.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;
use serde::Deserialize;

use crate::brokers::{self, Brokers};

/// Keeps what a consumer tells of one topic.
pub(crate) struct Watch {
    topic: String,
    seen: Mutex<TopicState>,
    /// The reachability of the brokers.
    pub brokers: Brokers,
}

#[derive(Default)]
struct TopicState {
    /// The end of each partition; `None` where it is not known.
    ends: BTreeMap<u32, Option<u64>>,
    /// There are more partitions than when this was last asked.
    has_grown: bool,
}

/// The part of the statistics that matters here.
#[derive(Deserialize)]
struct Statistics {
    topics: BTreeMap<String, WatchedTopic>,
}

#[derive(Deserialize)]
struct WatchedTopic {
    partitions: BTreeMap<String, Partition>,
}

#[derive(Deserialize)]
struct Partition {
    /// Behind the last message that is not in an unfinished transaction; negative where it is not known.
    ls_offset: i64,
}

impl Watch {
    /// Watches one topic.
    pub(crate) fn new(topic: &str) -> Watch {
        Watch { topic: topic.to_owned(), seen: Mutex::default(), brokers: Brokers::default() }
    }

    /// The topic.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// The end of a partition as last seen.
    pub(crate) fn end(&self, partition: u32) -> Option<u64> {
        self.seen.lock().ends.get(&partition).copied().flatten()
    }

    /// The partitions there are, as last seen.
    pub(crate) fn partitions(&self) -> Vec<u32> {
        self.seen.lock().ends.keys().copied().collect()
    }

    /// Returns whether partitions were added since the last call.
    pub(crate) fn take_grown(&self) -> bool {
        std::mem::take(&mut self.seen.lock().has_grown)
    }
}

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, about: &str, line: &str) {
        brokers::write_down(level, about, line);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        let Ok(statistics) = serde_json::from_slice::<Statistics>(statistics) else {
            tracing::warn!("The statistics of librdkafka cannot be read, and the lag is unknown");
            return;
        };
        let Some(topic) = statistics.topics.get(&self.topic) else { return };
        let mut seen = self.seen.lock();
        for (partition, state) in &topic.partitions {
            // Partition -1 stands for messages that have none yet.
            let Ok(partition) = partition.parse::<u32>() else { continue };
            let end = u64::try_from(state.ls_offset).ok();
            if seen.ends.insert(partition, end).is_none() {
                seen.has_grown = true;
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.brokers.tell(Some(&self.topic), &error, reason);
    }
}

impl ConsumerContext for Watch {
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(topic = self.topic, %error, "The offsets could not be committed at the broker; only tools read them");
        }
    }

    fn pre_rebalance(&self, _: &BaseConsumer<Self>, _: &rdkafka::consumer::Rebalance<'_>) {
        tracing::warn!(
            topic = self.topic,
            "Kafka asked for a rebalance of partitions, which the source assigns itself"
        );
    }
}

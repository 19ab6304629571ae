//! Topics of real brokers.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// A setting of the environment that `scripts/services` makes.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: this test needs real services, start them with: eval \"$(scripts/services start)\"")
    })
}

/// The address of the broker.
pub(crate) fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", variable("AUDIENCE_TEST_KAFKA"));
    config
}

/// Every message that is committed in a topic of so many partitions: its key and its value. One that is being made anew has none
/// yet.
pub(crate) fn committed(topic: &str, partitions: i32) -> Vec<(Vec<u8>, Vec<u8>)> {
    let consumer: BaseConsumer = client()
        .set("group.id", "test")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        // How soon a topic that is not there is told.
        .set("topic.metadata.propagation.max.ms", "1000")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    (0..partitions).for_each(|partition| list.add_partition_offset(topic, partition, Offset::Beginning).unwrap());
    consumer.assign(&list).unwrap();
    let (mut found, mut ended) = (Vec::new(), BTreeSet::new());
    while (ended.len() as i32) < partitions {
        match consumer.poll(Duration::from_secs(20)).expect("the broker answers") {
            Ok(message) => {
                found.push((message.key().unwrap_or_default().to_vec(), message.payload().unwrap().to_vec()));
            }
            Err(KafkaError::PartitionEOF(partition)) => {
                ended.insert(partition);
            }
            Err(error) if is_missing(&error) => return found,
            Err(error) => panic!("{error}"),
        }
    }
    found
}

fn is_missing(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode::{UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
    error
        .rdkafka_error_code()
        .is_some_and(|code| [UnknownPartition, UnknownTopic, UnknownTopicOrPartition].contains(&code))
}

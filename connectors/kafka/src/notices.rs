//! Waiting for new messages of a topic of one partition, whatever they say.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::brokers::Quiet;
use crate::settings::Connection;
use crate::{Error, Result};

/// Waits for messages that come from now on. One that is missed while the brokers are away is missed for good, so that whoever
/// waits looks now and then without one too.
pub struct Notices {
    consumer: BaseConsumer<Quiet>,
}

impl Notices {
    /// Connects. Waits neither for the brokers nor for the topic.
    pub fn new(connection: &Connection, topic: &str) -> Result<Notices> {
        let fixed =
            [("enable.auto.commit", "false"), ("group.id", "audience-notices"), ("auto.offset.reset", "latest")];
        let config = connection.config(&[("fetch.wait.max.ms", "1000")], &fixed)?;
        let consumer: BaseConsumer<Quiet> =
            config.create_with_context(Quiet).map_err(Error::client("making a consumer"))?;
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(topic, 0, Offset::End).map_err(Error::client("naming the topic"))?;
        // Not as one of a group: everybody is told everything.
        consumer.assign(&place).map_err(Error::client("assigning the topic"))?;
        Ok(Notices { consumer })
    }

    /// Waits for a message, at most so long, and takes in those that came with it; gives whether there was one.
    pub fn wait(&self, patience: Duration) -> Result<bool> {
        let first = self.consumer.poll(patience).transpose().map_err(Error::client("waiting for a notice"))?;
        if first.is_none() {
            return Ok(false);
        }
        while let Some(Ok(_)) = self.consumer.poll(Duration::ZERO) {}
        Ok(true)
    }
}

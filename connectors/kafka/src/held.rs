//! Reading back what was committed to a topic.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::brokers::Quiet;
use crate::settings::Connection;
use crate::{Error, Result};

/// Between looks at whether transactions of others have ended.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The time that one poll waits.
const POLL: Duration = Duration::from_millis(200);

/// The committed messages of a topic.
pub(crate) struct Committed<'a> {
    connection: &'a Connection,
    topic: &'a str,
    consumer: BaseConsumer<Quiet>,
    /// Sees the ends of partitions with what is not committed yet.
    everything: BaseConsumer<Quiet>,
}

impl<'a> Committed<'a> {
    /// Connects.
    pub(crate) fn new(connection: &'a Connection, topic: &'a str) -> Result<Committed<'a>> {
        // What is there already is not to wait for more.
        let defaults = [("group.id", "audience"), ("fetch.wait.max.ms", "10")];
        let make = |isolation: &str| {
            let fixed = [
                ("isolation.level", isolation),
                ("enable.auto.commit", "false"),
                ("auto.offset.reset", "error"),
                ("enable.partition.eof", "true"),
            ];

            let config: ClientConfig = connection.config(&defaults, &fixed)?;
            config.create_with_context(Quiet).map_err(Error::client("making a consumer"))
        };
        let consumer = make("read_committed")?;
        Ok(Committed { connection, topic, consumer, everything: make("read_uncommitted")? })
    }

    /// The partitions of the topic.
    pub(crate) fn partitions(&self) -> Result<Vec<i32>> {
        let metadata = self.connection.ask(|call| self.consumer.fetch_metadata(Some(self.topic), call));
        let metadata = metadata.map_err(Error::client("asking for the partitions"))?;
        let found = metadata.topics().iter().find(|found| found.name() == self.topic);
        if let Some(reason) = found.and_then(|found| found.error()) {
            return Err(Error::Topic { topic: self.topic.to_owned(), reason: reason.into() });
        }
        Ok(found.map(|found| found.partitions().iter().map(|partition| partition.id()).collect()).unwrap_or_default())
    }

    /// Visits every committed message of a partition that was written before the call, in order. Waits for transactions
    /// that are under way: what they commit may be older than what is visible.
    pub(crate) fn read(&self, partition: i32, visit: &mut dyn FnMut(&BorrowedMessage<'_>)) -> Result<()> {
        let (low, end) = self.bounds(&self.everything, partition)?;
        if low >= end {
            return Ok(());
        }
        let deadline = Instant::now() + self.connection.timeout();
        while self.bounds(&self.consumer, partition)?.1 < end {
            if Instant::now() >= deadline || self.connection.is_ending() {
                return Err(Error::TooLong(format!("a transaction of another writer to {}", self.topic)));
            }
            // The broker does not tell that another writer's transaction has ended.
            std::thread::park_timeout(LOOK_AGAIN);
        }
        self.visit(&self.consumer, partition, low, visit)
    }

    /// Visits all that is committed of all partitions, or all there is.
    pub(crate) fn read_all(&self, is_committed: bool, visit: &mut dyn FnMut(&BorrowedMessage<'_>)) -> Result<()> {
        for partition in self.partitions()? {
            if is_committed {
                self.read(partition, visit)?;
            } else {
                self.read_everything(partition, visit)?;
            }
        }
        Ok(())
    }

    /// Visits every message of a partition that was written before the call, in order, also those of transactions that are under
    /// way or were undone.
    fn read_everything(&self, partition: i32, visit: &mut dyn FnMut(&BorrowedMessage<'_>)) -> Result<()> {
        let (low, end) = self.bounds(&self.everything, partition)?;
        if low >= end { Ok(()) } else { self.visit(&self.everything, partition, low, visit) }
    }

    /// Visits what that consumer sees of a partition, up to its end.
    fn visit(
        &self,
        consumer: &BaseConsumer<Quiet>,
        partition: i32,
        from: i64,
        visit: &mut dyn FnMut(&BorrowedMessage<'_>),
    ) -> Result<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(self.topic, partition, Offset::Offset(from))
            .map_err(Error::client("naming an offset"))?;
        consumer.assign(&list).map_err(Error::client("assigning a partition"))?;
        let mut heard = Instant::now();
        loop {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    visit(&message);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) => {
                    let error = Error::client("reading back")(error);
                    if error.is_permanent() || self.is_silent(heard) {
                        return Err(error);
                    }
                }
                None if !self.is_silent(heard) => {}
                None => return Err(Error::TooLong(format!("reading {} back", self.topic))),
            }
        }
    }

    /// Returns whether the wait is over, since nothing came.
    fn is_silent(&self, heard: Instant) -> bool {
        heard.elapsed() >= self.connection.timeout() || (self.connection.is_ending() && heard.elapsed() >= POLL)
    }

    fn bounds(&self, consumer: &BaseConsumer<Quiet>, partition: i32) -> Result<(i64, i64)> {
        let bounds = self.connection.ask(|call| consumer.fetch_watermarks(self.topic, partition, call));
        bounds.map_err(Error::client("asking for offsets"))
    }
}

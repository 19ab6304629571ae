//! The topics, as they are made where they are missing. One that is there is left as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use serde::Deserialize;

use crate::brokers::Quiet;
use crate::settings::Connection;
use crate::{Error, Result};

/// Events.
pub const USER_EVENTS: &str = "user-events";
/// Messages that were no events.
pub const USER_EVENTS_DLQ: &str = "user-events-dlq";
/// Changes of segments.
pub const SEGMENT_UPDATES: &str = "segment-updates";
/// Membership changes.
pub const USER_SEGMENTS: &str = "user-segments";
/// The topic of the progress of writers of membership changes.
pub const USER_SEGMENTS_PROGRESS: &str = "user-segments-progress";

/// The settings with which a topic is created.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Into how many partitions it is cut.
    pub partitions: u32,
    /// On how many brokers each is kept; the cluster's own default where nothing is said.
    #[serde(default)]
    pub replicas: Option<u32>,
    /// Settings of the topic, by Kafka's names.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
}

impl Topic {
    fn new(name: &str, partitions: u32, config: &[(&str, &str)]) -> Topic {
        let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Topic { name: name.to_owned(), partitions, replicas: None, config }
    }

    /// Events: kept for a week. They are taken into the event log, which keeps them; the topic needs to hold out for as
    /// long as nobody may be reading.
    pub fn user_events(partitions: u32) -> Topic {
        Topic::new(USER_EVENTS, partitions, &[("cleanup.policy", "delete"), ("retention.ms", "604800000")])
    }

    /// Changes of segments: the last of each segment is kept for good, all of them for a day at least. In one partition, so that
    /// they stay in order.
    pub fn segment_updates() -> Topic {
        let config = [
            ("cleanup.policy", "compact"),
            ("min.compaction.lag.ms", "86400000"),
            ("segment.ms", "604800000"),
            ("segment.bytes", "16777216"),
        ];
        Topic::new(SEGMENT_UPDATES, 1, &config)
    }

    /// Dead letters: kept for 30 days, for people to look at; a message as large as the events' topic takes it fits
    /// with what is said beside it.
    pub fn user_events_dlq() -> Topic {
        let config = [("cleanup.policy", "delete"), ("retention.ms", "2592000000"), ("max.message.bytes", "2097152")];
        Topic::new(USER_EVENTS_DLQ, 1, &config)
    }

    /// Membership changes: kept for good, for the memberships are what the changes add up to from the first on. Not
    /// compacted: messages are filed under the user, and of a user with two segments compaction would keep one change.
    /// Who needs only what is new sets `retention.ms`.
    pub fn user_segments(partitions: u32) -> Topic {
        let config = [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
        Topic::new(USER_SEGMENTS, partitions, &config)
    }

    /// Progress: compacted, for of each writer only the newest counts, and that for good. In one partition and in small
    /// segments that are soon compacted, so that it is read in a moment at a start.
    pub fn user_segments_progress() -> Topic {
        let config =
            [("cleanup.policy", "compact"), ("segment.bytes", "16777216"), ("min.cleanable.dirty.ratio", "0.1")];
        Topic::new(USER_SEGMENTS_PROGRESS, 1, &config)
    }

    /// The same topic under another name.
    pub fn named(mut self, name: &str) -> Topic {
        name.clone_into(&mut self.name);
        self
    }
}

/// Makes those topics that are missing, and waits until all of them can be used; gives the names of those that it made.
/// Repeating it changes nothing.
pub fn ensure(connection: &Connection, topics: &[Topic]) -> Result<Vec<String>> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let config = connection.config(&[], &[])?;
    let admin: AdminClient<Quiet> = config.create_with_context(Quiet).map_err(Error::client("connecting"))?;
    let timeout = connection.timeout();
    let deadline = Instant::now() + timeout;
    let missing = missing(&admin, connection, topics)?;
    let new = topics.iter().filter(|topic| missing.contains(topic.name.as_str())).map(|topic| {
        let replicas = topic.replicas.map_or(-1, |replicas| i32::try_from(replicas).unwrap_or(i32::MAX));
        let partitions = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
        let new = NewTopic::new(&topic.name, partitions, TopicReplication::Fixed(replicas));
        topic.config.iter().fold(new, |new, (key, value)| new.set(key, value))
    });
    let new: Vec<NewTopic<'_>> = new.collect();
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let options = AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout));
    let made = futures_executor::block_on(admin.create_topics(&new, &options));
    let mut names = Vec::new();
    for result in made.map_err(Error::client("making topics"))? {
        match result {
            Ok(name) => names.push(name),
            // Somebody was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, reason)) => return Err(Error::Topic { topic, reason }),
        }
    }
    while !self::missing(&admin, connection, topics)?.is_empty() {
        if Instant::now() >= deadline || connection.is_ending() {
            return Err(Error::TooLong("making topics".to_owned()));
        }
        // A broker answers before all brokers know the topic, and none of them tells.
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    Ok(names)
}

/// A cluster as it stands before a start.
#[derive(Clone, Debug)]
pub struct KafkaInspection {
    /// The number of brokers that the cluster names.
    pub brokers: usize,
    /// The topics that were asked for and are there, by name.
    pub topics: BTreeMap<String, TopicInspection>,
}

/// A topic that is there.
#[derive(Clone, Copy, Debug)]
pub struct TopicInspection {
    /// Its partitions.
    pub partitions: usize,
    /// The partitions that have no leader, and take nothing.
    pub without_leader: usize,
    /// The replicas of the partition that has the fewest.
    pub least_replicas: usize,
}

/// Looks at a cluster and the topics of these names. Makes nothing. Costs one question to the brokers.
pub fn inspect(connection: &Connection, names: &[String]) -> Result<KafkaInspection> {
    let config = connection.config(&[], &[])?;
    let admin: AdminClient<Quiet> = config.create_with_context(Quiet).map_err(Error::client("connecting"))?;
    let metadata = connection.ask(|call| admin.inner().fetch_metadata(None, call));
    let metadata = metadata.map_err(Error::client("asking for the topics"))?;
    let asked_for = metadata.topics().iter().filter(|topic| names.iter().any(|name| name == topic.name()));
    let topics = asked_for.filter(|topic| topic.error().is_none()).map(|topic| {
        let partitions = topic.partitions();
        let inspection = TopicInspection {
            partitions: partitions.len(),
            without_leader: partitions.iter().filter(|partition| partition.leader() < 0).count(),
            least_replicas: partitions.iter().map(|partition| partition.replicas().len()).min().unwrap_or(0),
        };
        (topic.name().to_owned(), inspection)
    });
    Ok(KafkaInspection { brokers: metadata.brokers().len(), topics: topics.collect() })
}

/// Those of the topics that are not there, or not with a leader for every partition.
fn missing<'a>(admin: &AdminClient<Quiet>, connection: &Connection, topics: &'a [Topic]) -> Result<BTreeSet<&'a str>> {
    let metadata = connection.ask(|call| admin.inner().fetch_metadata(None, call));
    let metadata = metadata.map_err(Error::client("asking for the topics"))?;
    let is_there = |name: &str| {
        metadata.topics().iter().any(|found| {
            found.name() == name
                && found.error().is_none()
                && !found.partitions().is_empty()
                && found.partitions().iter().all(|partition| partition.leader() >= 0)
        })
    };
    Ok(topics.iter().map(|topic| topic.name.as_str()).filter(|name| !is_there(name)).collect())
}

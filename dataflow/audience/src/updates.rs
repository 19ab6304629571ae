//! Changes of segments in the topic `segment-updates`: written, and followed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use audience_catalogue::{SegmentUpdate, SegmentUpdates};
use audience_kafka::topics::{self, Topic};
use audience_kafka::{Error, Notices, TopicProducer};

use crate::connectors;
use crate::settings::{KAFKA_SETTINGS, KafkaSettings};

/// The wait for a message at a time, and the pause after a fault.
const PATIENCE: Duration = Duration::from_secs(1);

/// A writer of changes of segments to Kafka.
pub(crate) struct Updates {
    producer: TopicProducer,
    settings: KafkaSettings,
    topic: Topic,
    /// True if the topic is known to be there.
    is_there: AtomicBool,
}

impl Updates {
    /// Creates the client; the brokers need not answer yet.
    pub(crate) fn new(settings: &KafkaSettings) -> anyhow::Result<Updates> {
        let topic = connectors::topic(settings, Topic::segment_updates());
        let producer = TopicProducer::new(&settings.connection(), &topic.name).context(KAFKA_SETTINGS)?;
        Ok(Updates { producer, settings: settings.clone(), topic, is_there: AtomicBool::new(false) })
    }

    fn ensure(&self) -> Result<(), Error> {
        if !self.is_there.load(Ordering::Acquire) {
            topics::ensure(&self.settings.connection(), std::slice::from_ref(&self.topic))?;
            self.is_there.store(true, Ordering::Release);
        }
        Ok(())
    }
}

impl SegmentUpdates for Updates {
    fn send(&self, updates: &[SegmentUpdate]) -> Result<(), String> {
        let message = |update: &SegmentUpdate| serde_json::to_vec(update).map_err(|error| error.to_string());
        let messages = updates.iter().map(|update| Ok((update.segment_id.as_str(), message(update)?)));
        let messages: Vec<(&str, Vec<u8>)> = messages.collect::<Result<_, String>>()?;
        self.ensure().and_then(|()| self.producer.put(&messages)).map_err(|error| error.to_string())
    }
}

/// Calls `look` whenever a change of a segment is written, until the process ends. Creates a missing topic.
pub(crate) fn follow(settings: &KafkaSettings, look: impl Fn() + Send + 'static) -> anyhow::Result<()> {
    let topic = connectors::topic(settings, Topic::segment_updates());
    let connection = settings.connection();
    let run = move || {
        // The catalogue is polled in any case.
        let unheard = |error: Error| {
            tracing::debug!(%error, "Changes of segments cannot be read, and the reader retries");
            std::thread::park_timeout(PATIENCE);
        };
        let open = || {
            topics::ensure(&connection, std::slice::from_ref(&topic))?;
            Notices::new(&connection, &topic.name)
        };
        let notices = loop {
            match open() {
                Ok(notices) => break notices,
                Err(error) => unheard(error),
            }
        };
        loop {
            match notices.wait(PATIENCE) {
                Ok(true) => look(),
                Ok(false) => {}
                Err(error) => unheard(error),
            }
        }
    };
    std::thread::Builder::new().name("segment-updates-in".to_owned()).spawn(run)?;
    Ok(())
}

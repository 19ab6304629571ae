//! Notices, of which one that is lost does no harm.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use crate::settings::Connection;
use crate::{Error, Result};

/// How long the end waits for what was sent.
const LAST: Duration = Duration::from_secs(2);

/// Keeps why the last notice was not delivered, if it was not.
#[derive(Clone, Default)]
struct Fault(Arc<Mutex<Option<String>>>);

impl ClientContext for Fault {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "Kafka");
    }
}

impl ProducerContext for Fault {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let fault = result.as_ref().err().map(|(error, _)| error.to_string());
        if let Some(fault) = &fault {
            tracing::warn!(fault, "a notice was not delivered");
        }
        *self.0.lock() = fault;
    }
}

/// Sends notices to a topic, and does not wait for them.
pub struct Notices {
    producer: ThreadedProducer<Fault>,
    topic: String,
    fault: Fault,
}

impl Notices {
    /// Connects. Does not wait for the brokers.
    pub fn new(connection: &Connection, topic: &str) -> Result<Notices> {
        let defaults = [("message.timeout.ms", "60000"), ("linger.ms", "0")];
        let config = connection.config(&defaults, &[("enable.idempotence", "true"), ("acks", "all")])?;
        let fault = Fault::default();
        let producer = config.create_with_context(fault.clone()).map_err(Error::client("making a producer"))?;
        Ok(Notices { producer, topic: topic.to_owned(), fault })
    }

    /// Sends one, filed under that key.
    pub fn send(&self, key: &str, value: &[u8]) {
        if let Err((error, _)) = self.producer.send(BaseRecord::to(&self.topic).key(key).payload(value)) {
            tracing::warn!(%error, "a notice was not sent");
            *self.fault.0.lock() = Some(error.to_string());
        }
    }

    /// Why the last one was not delivered, if it was not.
    pub fn fault(&self) -> Option<String> {
        self.fault.0.lock().clone()
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        if let Err(error) = self.producer.flush(LAST) {
            tracing::warn!(%error, "notices were not delivered");
        }
    }
}

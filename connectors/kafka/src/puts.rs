//! Messages put into a topic by many at once: events of clients, changes of segments.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};

use crate::brokers::{self, Brokers, CUT_OFF};
use crate::settings::Connection;
use crate::{Error, Result, trace};

/// While the buffer of librdkafka is full, how long is waited between attempts.
const FULL_WAIT: Duration = Duration::from_millis(5);
/// The time after which an overdue delivery is given up here too.
const OVERDUE: Duration = Duration::from_secs(2);
/// The default time for which librdkafka retries a delivery.
const DELIVERY_MS: &str = "10000";

/// The state of messages that were sent together.
struct PutDeliveries {
    state: Mutex<(usize, Option<KafkaError>)>,
    changed: Condvar,
}

impl PutDeliveries {
    fn done(&self, fault: Option<KafkaError>) {
        let mut state = self.state.lock();
        state.0 -= 1;
        state.1 = state.1.take().or(fault);
        if state.0 == 0 {
            self.changed.notify_all();
        }
    }
}

/// Tells those who wait what became of their messages.
struct Acknowledgements {
    topic: String,
    brokers: Brokers,
}

impl ClientContext for Acknowledgements {
    fn log(&self, level: RDKafkaLogLevel, about: &str, line: &str) {
        brokers::write_down(level, about, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.brokers.tell(Some(&self.topic), &error, reason);
    }
}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = Arc<PutDeliveries>;

    fn delivery(&self, result: &DeliveryResult<'_>, deliveries: Arc<PutDeliveries>) {
        deliveries.done(result.as_ref().err().map(|(error, _)| error.clone()));
    }
}

/// Puts messages into a topic, each filed under its key. May be shared by any number of threads, whose events then travel
/// together; one thread of its own asks what was delivered.
pub struct TopicProducer {
    config: ClientConfig,
    producer: RwLock<Arc<ThreadedProducer<Acknowledgements>>>,
    /// Since when nothing is delivered and nothing answered by this client, if so.
    failing_since: Mutex<Option<Instant>>,
    topic: String,
    timeout: Duration,
}

impl TopicProducer {
    /// Connects. Does not wait for the brokers.
    pub fn new(connection: &Connection, topic: &str) -> Result<TopicProducer> {
        let defaults = [
            ("message.timeout.ms", DELIVERY_MS),
            ("queue.buffering.max.kbytes", "131072"),
            ("compression.type", "lz4"),
            ("linger.ms", "2"),
        ];
        let fixed = [("enable.idempotence", "true"), ("acks", "all")];
        let config = connection.config(&defaults, &fixed)?;
        let delivery = config.get("message.timeout.ms").or(config.get("delivery.timeout.ms")).unwrap_or(DELIVERY_MS);
        let timeout = delivery.parse().map(Duration::from_millis).map_err(|_| {
            let fault = KafkaError::ClientCreation(format!("message.timeout.ms is {delivery:?}, which is no number"));
            Error::Client { action: "making a producer", fault }
        })?;
        let producer = RwLock::new(client(&config, topic)?);
        Ok(TopicProducer { config, producer, failing_since: Mutex::default(), topic: topic.to_owned(), timeout })
    }

    /// Keeps whether brokers answer. Where they have not for a while a new client takes over: it may be the fault of the one that is
    /// there, which looks for no broker again once it was told of none (librdkafka's issue 5301).
    fn heard<T>(&self, answer: Result<T>) -> Result<T> {
        let mut failing_since = self.failing_since.lock();
        if answer.is_ok() {
            *failing_since = None;
            self.client().context().brokers.answered(Some(&self.topic));
        } else if failing_since.get_or_insert_with(Instant::now).elapsed() >= CUT_OFF {
            *failing_since = None;
            match client(&self.config, &self.topic) {
                Ok(anew) => *self.producer.write() = anew,
                Err(error) => {
                    tracing::warn!(topic = self.topic, %error, "The Kafka producer cannot be replaced, and stays")
                }
            }
        }
        answer
    }

    fn client(&self) -> Arc<ThreadedProducer<Acknowledgements>> {
        self.producer.read().clone()
    }

    /// Puts messages (key and value each); returns when every broker that must have them has them. After an error some may
    /// be there, and some may yet come.
    pub fn put(&self, messages: &[(&str, Vec<u8>)]) -> Result<()> {
        self.heard(self.try_put(messages))
    }

    fn try_put(&self, messages: &[(&str, Vec<u8>)]) -> Result<()> {
        let producer = self.client();
        let deadline = Instant::now() + self.timeout;
        let deliveries = Arc::new(PutDeliveries { state: Mutex::new((messages.len(), None)), changed: Condvar::new() });
        let headers = trace::headers();
        for (key, value) in messages {
            self.send(&producer, (key, value, headers.clone()), (&deliveries, deadline))?;
        }
        let mut state = deliveries.state.lock();
        while state.0 > 0 {
            if deliveries.changed.wait_until(&mut state, deadline + OVERDUE).timed_out() {
                return Err(Error::TooLong("the delivery of messages".to_owned()));
            }
        }
        if let Some(fault) = state.1.take() {
            return Err(Error::Client { action: "delivering messages", fault });
        }
        Ok(())
    }

    fn send(
        &self,
        producer: &ThreadedProducer<Acknowledgements>,
        (key, value, headers): (&str, &[u8], Option<OwnedHeaders>),
        (deliveries, deadline): (&Arc<PutDeliveries>, Instant),
    ) -> Result<()> {
        let mut record = BaseRecord::with_opaque_to(&self.topic, deliveries.clone()).key(key).payload(value);
        record.headers = headers;
        loop {
            match producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, back)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    if Instant::now() >= deadline {
                        return Err(Error::TooLong("room for messages".to_owned()));
                    }
                    record = back;
                    // The client does not tell that its queue has room.
                    std::thread::park_timeout(FULL_WAIT);
                }
                Err((fault, _)) => return Err(Error::Client { action: "sending messages", fault }),
            }
        }
    }

    /// Asks the brokers for the topic, which tells whether they are there.
    pub fn check(&self, patience: Duration) -> Result<()> {
        let metadata = self.client().client().fetch_metadata(Some(&self.topic), patience);
        let metadata = self.heard(metadata.map_err(Error::client("asking for the topic")))?;
        let fault = metadata.topics().iter().find_map(|topic| topic.error());
        match fault {
            None => Ok(()),
            Some(error) => Err(Error::Topic { topic: self.topic.clone(), reason: error.into() }),
        }
    }
}

fn client(config: &ClientConfig, topic: &str) -> Result<Arc<ThreadedProducer<Acknowledgements>>> {
    let acknowledgements = Acknowledgements { topic: topic.to_owned(), brokers: Brokers::default() };
    let producer = config.create_with_context(acknowledgements);
    producer.map(Arc::new).map_err(Error::client("making a producer"))
}

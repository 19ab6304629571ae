//! Sending: what a producer could not deliver is kept until it is asked for.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, ToBytes};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use crate::brokers::{self, Brokers};
use crate::settings::Connection;
use crate::{Error, Result};

/// While the buffer of librdkafka is full, how long is waited for deliveries between looks at how full it is.
const FULL_WAIT: Duration = Duration::from_millis(2);
/// The wait for deliveries between two checks for missing ones.
const DELIVERY_WAIT: Duration = Duration::from_micros(250);

/// While brokers may be away, how long is waited for them at most before what waits for them is given up.
const AWAY: Duration = Duration::from_secs(3);

/// Keeps the numbers of records that were not delivered, and why.
#[derive(Default)]
pub(crate) struct Deliveries {
    failed: Mutex<Vec<(usize, KafkaError)>>,
    brokers: Brokers,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, about: &str, line: &str) {
        brokers::write_down(level, about, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.brokers.tell(None, &error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        if let Err((error, _)) = result {
            self.failed.lock().push((number, error.clone()));
        }
    }
}

/// A producer that waits for what it sent.
pub(crate) struct Sender {
    producer: BaseProducer<Deliveries>,
    connection: Connection,
}

impl Sender {
    /// Connects with these defaults and fixed settings.
    pub(crate) fn new(connection: &Connection, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> Result<Sender> {
        let config = connection.config(defaults, fixed)?;
        let producer = config.create_with_context(Deliveries::default());
        let producer = producer.map_err(Error::client("making a producer"))?;
        Ok(Sender { producer, connection: connection.clone() })
    }

    /// The producer itself, for transactions.
    pub(crate) fn producer(&self) -> &BaseProducer<Deliveries> {
        &self.producer
    }

    /// Asks something of the brokers that may be asked again; given up where they are away.
    pub(crate) fn ask(
        &self,
        mut question: impl FnMut(&BaseProducer<Deliveries>, Duration) -> KafkaResult<()>,
    ) -> KafkaResult<()> {
        let begun = Instant::now();
        self.connection.ask(|call| {
            let answer = question(&self.producer, call);
            self.serve();
            if answer.as_ref().is_err_and(is_retriable) && self.is_overdue(begun) {
                return Err(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown));
            }
            answer
        })
    }

    /// Why no broker can be reached, if none can; asks them where they may be away.
    pub(crate) fn away(&self) -> Option<KafkaError> {
        self.serve();
        self.producer.context().brokers.away(None, self.producer.client())
    }

    /// Returns whether the wait since `begun` is in vain.
    fn is_overdue(&self, begun: Instant) -> bool {
        let is_long = self.producer.context().brokers.doubted().is_some_and(|doubted| doubted >= AWAY);
        begun.elapsed() >= AWAY && (self.connection.is_ending() || (is_long && self.away().is_some()))
    }

    /// Hands a record over. Where the buffer is full, waits until half of what is in it is delivered: filled up with every
    /// answer, which is of one partition, it would be sent in smaller and smaller requests.
    pub(crate) fn send<K, V>(&self, mut record: BaseRecord<'_, K, V, usize>) -> Result<()>
    where
        K: ToBytes + ?Sized,
        V: ToBytes + ?Sized,
    {
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, back))
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
                        && self.producer.in_flight_count() > 0 =>
                {
                    self.drain(self.producer.in_flight_count() / 2, FULL_WAIT, "sending")?;
                    record = back;
                }
                // Where the buffer is empty and nonetheless full, no record has room in it.
                Err((fault, _)) => return Err(Error::Client { action: "sending", fault }),
            }
        }
    }

    /// Waits until no more than so many are under way, looking that often.
    fn drain(&self, most: i32, every: Duration, action: &str) -> Result<()> {
        let begun = Instant::now();
        while self.producer.in_flight_count() > most {
            if begun.elapsed() >= self.connection.timeout() || self.is_overdue(begun) {
                return Err(Error::TooLong(action.to_owned()));
            }
            self.pause(every);
        }
        Ok(())
    }

    /// Serves what came back meanwhile, without waiting. One `poll` serves one answer of a broker, which is of one partition.
    pub(crate) fn serve(&self) {
        let mut before = i32::MAX;
        while self.producer.in_flight_count() < before {
            before = self.producer.in_flight_count();
            self.producer.poll(Duration::ZERO);
        }
    }

    /// Waits, and serves what came back meanwhile. Not by a `poll` that waits: the last millisecond of it is a busy loop.
    fn pause(&self, time: Duration) {
        std::thread::park_timeout(time);
        self.serve();
    }

    /// Waits until everything is delivered or given up; gives what was given up.
    ///
    /// Not by `flush`, which looks only every 100 ms.
    pub(crate) fn wait(&self) -> Result<Vec<(usize, KafkaError)>> {
        self.drain(0, DELIVERY_WAIT, "the delivery of what was sent")?;
        Ok(std::mem::take(&mut *self.producer.context().failed.lock()))
    }
}

fn is_retriable(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Transaction(error) if error.is_retriable())
}

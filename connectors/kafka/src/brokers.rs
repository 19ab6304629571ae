//! Whether any broker is reached. librdkafka tells at once when one is lost, and never that one is back.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// How long is waited for an answer that tells whether brokers are there.
const ANSWER: Duration = Duration::from_secs(1);

/// Since when brokers may be away.
#[derive(Default)]
pub struct Brokers(Mutex<Option<Instant>>);

impl Brokers {
    /// Notes what librdkafka tells; whether it was that brokers may be away.
    pub fn heard(&self, error: &KafkaError) -> bool {
        use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure};
        let is_away = matches!(error.rdkafka_error_code(), Some(AllBrokersDown | BrokerTransportFailure));
        if is_away {
            self.0.lock().get_or_insert_with(Instant::now);
        }
        is_away
    }

    /// For how long brokers may have been away, if they may be.
    pub fn doubted(&self) -> Option<Duration> {
        self.0.lock().map(|since| since.elapsed())
    }

    /// Why no broker can be reached, if none can. Asks them only where they may be away: one that closed a connection that
    /// nobody used is not.
    pub fn away<C: ClientContext>(&self, client: &Client<C>) -> Option<KafkaError> {
        self.doubted()?;
        match client.fetch_metadata(None, ANSWER) {
            Ok(_) => {
                *self.0.lock() = None;
                None
            }
            Err(error) => Some(error),
        }
    }
}

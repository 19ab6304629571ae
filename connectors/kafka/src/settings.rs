//! The connection to brokers, and the reactions of a source that has no offset to read on from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use serde::Deserialize;

use crate::{Error, Result};

/// The longest call that waits for the brokers: between two it is looked whether all is to end.
const CALL: Duration = Duration::from_secs(2);

/// The address of the brokers, and settings of the client.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Some brokers, `host:port` separated by commas; the others are learnt from them.
    pub brokers: String,
    /// Settings of librdkafka, by its names: `security.protocol`, `ssl.ca.location`, `sasl.mechanisms`, …
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// Milliseconds that one question to the brokers may take.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
    /// Tells whether the process ends and nothing is to be waited for.
    #[serde(skip)]
    pub ending: Ending,
}

/// Tells whether the process ends and nothing is to be waited for; by default it never does.
#[derive(Clone, Default)]
pub struct Ending(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

/// Without the values of properties: passwords are among them.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let properties: Vec<&String> = self.properties.keys().collect();
        f.debug_struct("Connection").field("brokers", &self.brokers).field("properties", &properties).finish()
    }
}

fn default_timeout() -> u64 {
    30_000
}

impl Connection {
    /// A connection to these brokers with default settings.
    pub fn to(brokers: &str) -> Connection {
        let (properties, timeout_ms) = (BTreeMap::new(), default_timeout());
        Connection { brokers: brokers.to_owned(), properties, timeout_ms, ending: Ending::default() }
    }

    /// Adds a setting of librdkafka.
    pub fn with(mut self, key: &str, value: &str) -> Connection {
        self.properties.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Gives up a question to the brokers within seconds once `is_ending`.
    pub fn until(mut self, is_ending: impl Fn() -> bool + Send + Sync + 'static) -> Connection {
        self.ending = Ending(Some(Arc::new(is_ending)));
        self
    }

    /// Returns whether the process ends and nothing is to be waited for.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.0.as_ref().is_some_and(|is_ending| is_ending())
    }

    /// Asks in short calls, each with the time that it may take, until there is an answer, or it took too long, or all ends:
    /// librdkafka does not cut a call short.
    pub(crate) fn ask<T>(&self, mut question: impl FnMut(Duration) -> KafkaResult<T>) -> KafkaResult<T> {
        let deadline = Instant::now() + self.timeout();
        loop {
            let begun = Instant::now();
            let rest = deadline.saturating_duration_since(begun);
            let call = CALL.min(rest);
            match question(call) {
                Err(error)
                    if matches!(
                        error.rdkafka_error_code(),
                        Some(RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::BrokerTransportFailure)
                    ) && begun.elapsed() >= call
                        && rest > call
                        && !self.is_ending() => {}
                answer => return answer,
            }
        }
    }

    /// Checks that a client can be made of these settings. librdkafka itself would retry impossible addresses for ever.
    pub fn check(&self) -> Result<()> {
        let brokers: Vec<&str> = self.brokers.split(',').map(str::trim).filter(|broker| !broker.is_empty()).collect();
        if brokers.is_empty() {
            return Err(Error::Broker(self.brokers.clone()));
        }
        if let Some(broker) = brokers.into_iter().find(|broker| !is_broker(broker)) {
            return Err(Error::Broker(broker.to_owned()));
        }
        let config = self.config(&[], &[])?.create_native_config();
        config.map(drop).map_err(Error::client("reading the settings"))
    }

    /// The time that one question to the brokers may take.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// The settings of a client: defaults, then the user's, then what may not be otherwise.
    pub(crate) fn config(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> Result<ClientConfig> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", "audience");
        for (key, value) in defaults {
            config.set(*key, *value);
        }
        for (key, value) in &self.properties {
            if fixed.iter().any(|(name, _)| name == key) {
                return Err(Error::Reserved(key.clone()));
            }
            config.set(key, value);
        }
        for (key, value) in fixed {
            config.set(*key, *value);
        }
        Ok(config)
    }
}

/// Returns whether that is `host`, `host:port` or `[address]:port`, perhaps after `protocol://`.
fn is_broker(broker: &str) -> bool {
    let address = broker.split_once("://").map_or(broker, |(_, address)| address);
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (address, None),
    };
    let is_address = host.starts_with('[') && host.ends_with(']');
    let is_host = !host.is_empty() && !host.contains(|letter: char| letter.is_whitespace() || "/:[]".contains(letter));
    (is_address || is_host) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// The place where reading starts in a topic that was never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// The first message that exists.
    #[default]
    Earliest,
    /// The first message that comes later.
    Latest,
}

/// The reaction of a source where the next message is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnGone {
    /// Stops with an error that names the missing messages.
    #[default]
    Fail,
    /// Continues with the first message that exists, and reports the gap.
    Earliest,
    /// Continues with the first message that comes later, and reports the gap.
    Latest,
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use rdkafka::error::KafkaError;

    use super::*;

    #[test]
    fn addresses_that_cannot_be_any_are_named() {
        for brokers in
            ["a", "a:9092", "a:1,b:2", "a:1, b:2,", "[::1]:9092", "[::1]", "SSL://a.example:9093", "127.0.0.1:65535"]
        {
            assert!(Connection::to(brokers).check().is_ok(), "{brokers}");
        }
        for (brokers, named) in [
            ("", ""),
            (" , ", " , "),
            ("a:99999", "a:99999"),
            ("a:1,b:0", "b:0"),
            ("a:1,b:", "b:"),
            (":9092", ":9092"),
            ("a:port", "a:port"),
            ("a b:1", "a b:1"),
            ("::1:9092", "::1:9092"),
            ("http://a/b:1", "http://a/b:1"),
        ] {
            let error = Connection::to(brokers).check().expect_err(brokers);
            assert!(matches!(&error, Error::Broker(broker) if broker == named), "{brokers}: {error}");
        }
    }

    #[test]
    fn settings_that_librdkafka_does_not_know_are_named() {
        for (key, value) in [("sasl.mechnism", "PLAIN"), ("socket.timeout.ms", "soon")] {
            let error = Connection::to("a").with(key, value).check().expect_err(key).to_string();
            assert!(error.contains(key), "{error}");
        }
    }

    #[test]
    fn brokers_that_do_not_answer_are_not_asked_again_once_all_ends() {
        for is_ending in [true, false] {
            let connection = Connection { timeout_ms: 3_000, ..Connection::to("nowhere:1") }.until(move || is_ending);
            let asked = Cell::new(0);
            let answer = connection.ask(|call| {
                asked.set(asked.get() + 1);
                let begun = Instant::now();
                while begun.elapsed() < call {
                    std::thread::park_timeout(call);
                }
                Err::<(), _>(KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut))
            });
            assert!(answer.is_err());
            assert_eq!(asked.get(), if is_ending { 1 } else { 2 });
        }
    }
}

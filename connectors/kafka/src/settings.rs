//! How brokers are reached, and what a source does where it has no offset to go on from.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use serde::Deserialize;

use crate::{Error, Result};

/// How brokers are reached.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Some brokers, `host:port` separated by commas; the others are learnt from them.
    pub brokers: String,
    /// Settings of librdkafka, by its names: `security.protocol`, `ssl.ca.location`, `sasl.mechanisms`, …
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// How long one question to the brokers may take, milliseconds.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
}

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
    /// These brokers, with nothing else said.
    pub fn to(brokers: &str) -> Connection {
        Connection { brokers: brokers.to_owned(), properties: BTreeMap::new(), timeout_ms: default_timeout() }
    }

    /// With a setting of librdkafka.
    pub fn with(mut self, key: &str, value: &str) -> Connection {
        self.properties.insert(key.to_owned(), value.to_owned());
        self
    }

    /// How long one question to the brokers may take.
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

/// Where a source begins that has never been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With the first message there is.
    #[default]
    Earliest,
    /// With the first message that comes after.
    Latest,
}

/// What a source does where the message to be read next is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnGone {
    /// It stops with an error that says what is missing.
    #[default]
    Fail,
    /// It goes on with the first message there is, and says what was passed over.
    Earliest,
    /// It goes on with the first message that comes after, and says what was passed over.
    Latest,
}

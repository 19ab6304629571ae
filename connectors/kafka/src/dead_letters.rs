//! Messages that could not be taken.

use audience_contract::{DeadLetter, DeadLetters, SourceError};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use serde::Deserialize;

use crate::producer::Sender;
use crate::settings::Connection;
use crate::{Error, Result};

/// The settings of dead letters.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterSettings {
    /// The address of the brokers, and settings of the client.
    pub connection: Connection,
    /// The topic.
    #[serde(default = "default_topic")]
    pub topic: String,
    /// Bytes that are kept of a value that the topic does not take whole.
    #[serde(default = "default_cut")]
    pub cut_bytes: usize,
}

fn default_topic() -> String {
    crate::topics::USER_EVENTS_DLQ.to_owned()
}

fn default_cut() -> usize {
    64 << 10
}

impl DeadLetterSettings {
    /// The topic `user-events-dlq`, with nothing else said.
    pub fn of(connection: Connection) -> DeadLetterSettings {
        DeadLetterSettings { connection, topic: default_topic(), cut_bytes: default_cut() }
    }
}

/// The topic of dead letters: key, value and headers as they were, and behind them
///
/// | header | says |
/// |---|---|
/// | `audience.error.code` | a word for programs |
/// | `audience.error.reason` | what is wrong, for people |
/// | `audience.source` | the source's name |
/// | `audience.partition`, `audience.offset` | the message's place in it |
/// | `audience.timestamp` | when it was written, milliseconds, where that is known |
/// | `audience.cut_from` | how large the value was, bytes, where it was cut |
pub struct KafkaDeadLetters {
    settings: DeadLetterSettings,
    sender: Sender,
}

impl KafkaDeadLetters {
    /// Connects. Does not wait for the brokers.
    pub fn new(settings: DeadLetterSettings) -> Result<KafkaDeadLetters> {
        let sender = sender(&settings)?;
        Ok(KafkaDeadLetters { settings, sender })
    }

    fn send(&self, number: usize, letter: &DeadLetter<'_>, limit: usize) -> Result<()> {
        let value = &letter.message.value;
        let kept = value.get(..limit).unwrap_or(value);
        let headers = headers(letter, (kept.len() < value.len()).then_some(value.len()));
        let mut record: BaseRecord<'_, [u8], [u8], usize> =
            BaseRecord::with_opaque_to(&self.settings.topic, number).payload(kept).headers(headers);
        if let Some(key) = &letter.message.key {
            record = record.key(key);
        }
        self.sender.send(record)
    }

    fn try_put(&self, letters: &[DeadLetter<'_>]) -> Result<()> {
        let mut too_large = Vec::new();
        for (number, letter) in letters.iter().enumerate() {
            match self.send(number, letter, usize::MAX) {
                Err(Error::Client { fault, .. }) if is_too_large(fault.rdkafka_error_code()) => too_large.push(number),
                sent => sent?,
            }
        }
        for (number, fault) in self.sender.wait()? {
            if !is_too_large(fault.rdkafka_error_code()) {
                return Err(Error::Client { action: "keeping a dead letter", fault });
            }
            too_large.push(number);
        }
        for number in too_large {
            self.send(number, &letters[number], self.settings.cut_bytes)?;
        }
        match self.sender.wait()?.into_iter().next() {
            None => Ok(()),
            Some((_, fault)) => Err(Error::Client { action: "keeping a dead letter that was cut", fault }),
        }
    }
}

fn sender(settings: &DeadLetterSettings) -> Result<Sender> {
    // A message near the limit of its topic is as large here, with more headers: the broker is asked, not guessed.
    let defaults = [("message.max.bytes", "104857600"), ("compression.type", "lz4")];
    let fixed = [("enable.idempotence", "true"), ("acks", "all")];
    Sender::new(&settings.connection, &defaults, &fixed)
}

impl DeadLetters for KafkaDeadLetters {
    fn put(&mut self, letters: &[DeadLetter<'_>]) -> Result<(), SourceError> {
        self.try_put(letters).map_err(|error| {
            // All of them come again, by a new client: it may have been this one's fault.
            match sender(&self.settings) {
                Ok(sender) => self.sender = sender,
                Err(error) => tracing::warn!(%error, "The producer of dead letters cannot be replaced, and stays"),
            }
            error.into_source()
        })
    }
}

fn is_too_large(code: Option<RDKafkaErrorCode>) -> bool {
    matches!(code, Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize))
}

fn headers(letter: &DeadLetter<'_>, cut_from: Option<usize>) -> OwnedHeaders {
    let message = letter.message;
    let mut headers = OwnedHeaders::new_with_capacity(message.headers.len() + 7);
    for header in &message.headers {
        headers = headers.insert(Header { key: &header.name, value: header.value.as_ref() });
    }
    let mut said = vec![
        ("audience.error.code", letter.code.to_owned()),
        ("audience.error.reason", letter.reason.to_owned()),
        ("audience.source", letter.source.to_owned()),
        ("audience.partition", message.partition.to_string()),
        ("audience.offset", message.offset.to_string()),
    ];
    said.extend(message.timestamp.map(|timestamp| ("audience.timestamp", timestamp.to_string())));
    said.extend(cut_from.map(|bytes| ("audience.cut_from", bytes.to_string())));
    for (key, value) in &said {
        headers = headers.insert(Header { key, value: Some(value) });
    }
    headers
}

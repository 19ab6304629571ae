//! Kafka: [`KafkaSource`] reads events, [`KafkaWriters`] give out membership changes, each by a [`KafkaSink`], [`KafkaDeadLetters`] keeps what could
//! not be taken, and [`topics`] makes the topics. [`TopicProducer`] puts there what an API takes and what is told of changed
//! segments, and [`Notices`] wait for the latter.
//!
//! All of it is librdkafka, built from the crate: every setting of it can be given, TLS and SASL among them, but for the
//! few that exactness rests on. librdkafka's own threads fetch ahead and send behind, in bounded buffers; another asks what was
//! delivered for the two that many may use at once.
//!
//! Why each message counts once on the way in: offsets are not kept in Kafka but in the event log, in the commit of the
//! records that they speak of, and a partition is assigned at that offset. Why each change is given out once: it is in
//! one transaction with the progress that it brings, earlier writers are fenced before that is read back, and readers
//! with `isolation.level=read_committed` (the default of librdkafka, not of Java) see whole transactions only.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod brokers;
mod closing;
mod dead_letters;
mod filling;
mod held;
mod notices;
mod producer;
mod progress;
mod puts;
mod settings;
mod sink;
mod source;
mod source_settings;
pub mod topics;
mod trace;
mod watch;
mod writers;

use audience_contract::{SinkError, SourceError};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

pub use dead_letters::{DeadLetterSettings, KafkaDeadLetters};
pub use notices::Notices;
pub use puts::TopicProducer;
pub use settings::{Connection, Ending, OnGone, Start};
pub use sink::{KafkaSink, SinkSettings};
pub use source::KafkaSource;
pub use source_settings::SourceSettings;
pub use writers::KafkaWriters;

/// A fault of Kafka, or of what was asked of it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A setting that is not the user's to make.
    #[error("the Kafka setting {0} cannot be given: exactness rests on it")]
    Reserved(String),
    /// An address that no broker can have.
    #[error("{0:?} is no broker: name each as `host:port`, with a port from 1 to 65535, separated by commas")]
    Broker(String),
    /// The client's error.
    #[error("{action}: {fault}")]
    Client {
        /// The action that failed.
        action: &'static str,
        /// The client's error.
        fault: KafkaError,
    },
    /// A topic was refused.
    #[error("the topic {topic}: {reason}")]
    Topic {
        /// Its name.
        topic: String,
        /// The broker's error.
        reason: RDKafkaErrorCode,
    },
    /// A value that cannot be written.
    #[error("a record cannot be written: {0}")]
    Unwritable(std::sync::Arc<serde_json::Error>),
    /// Something took longer than it may.
    #[error("{0} took too long")]
    TooLong(String),
}

/// A crate's answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// For `map_err`: with what was tried.
    pub(crate) fn client(action: &'static str) -> impl Fn(KafkaError) -> Error {
        move |fault| Error::Client { action, fault }
    }

    /// Returns whether a retry is of no use.
    fn is_permanent(&self) -> bool {
        match self {
            Error::Reserved(_) | Error::Broker(_) | Error::Unwritable(_) => true,
            Error::TooLong(_) => false,
            Error::Topic { reason, .. } => is_permanent(*reason),
            Error::Client { fault, .. } => match fault {
                KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) | KafkaError::Nul(_) => true,
                KafkaError::MessageConsumptionFatal(_) => true,
                fault => fault.rdkafka_error_code().is_some_and(is_permanent),
            },
        }
    }

    /// Returns whether a later writer has taken over.
    fn is_fenced(&self) -> bool {
        use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
        let Error::Client { fault, .. } = self else { return false };
        matches!(fault.rdkafka_error_code(), Some(Fenced | ProducerFenced | InvalidProducerEpoch))
    }

    /// As a fault of a source.
    pub fn into_source(self) -> SourceError {
        if self.is_permanent() {
            SourceError::Fatal(self.to_string())
        } else {
            SourceError::Transient(self.to_string())
        }
    }

    /// As a fault of that sink.
    pub fn into_sink(self, sink: &str) -> SinkError {
        if self.is_fenced() {
            SinkError::Fenced(sink.to_owned())
        } else if self.is_permanent() {
            SinkError::Fatal(self.to_string())
        } else {
            SinkError::Transient(self.to_string())
        }
    }
}

/// Faults that stay until somebody changes something.
fn is_permanent(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{
        Authentication, ClusterAuthorizationFailed, GroupAuthorizationFailed, InvalidTopic, LogTruncation,
        SaslAuthenticationFailed, TopicAuthorizationFailed, TransactionalIdAuthorizationFailed,
        UnsupportedSASLMechanism,
    };
    matches!(
        code,
        Authentication
            | ClusterAuthorizationFailed
            | GroupAuthorizationFailed
            | InvalidTopic
            | LogTruncation
            | SaslAuthenticationFailed
            | TopicAuthorizationFailed
            | TransactionalIdAuthorizationFailed
            | UnsupportedSASLMechanism
    )
}

//! Settings of a topic that events are read from.

use serde::Deserialize;

use crate::settings::{Connection, OnGone, Start};

/// The settings of a source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// The address of the brokers, and settings of the client.
    pub connection: Connection,
    /// The topic.
    pub topic: String,
    /// Its name in positions; by default the topic's name.
    #[serde(default)]
    pub name: Option<String>,
    /// The place where reading starts in a topic that was never read.
    #[serde(default)]
    pub start: Start,
    /// The reaction where the next message is gone.
    #[serde(default)]
    pub on_gone: OnGone,
    /// The most messages of a batch.
    #[serde(default = "default_batch_messages")]
    pub batch_messages: usize,
    /// A batch takes no more messages once it is this large, bytes.
    #[serde(default = "default_batch_bytes")]
    pub batch_bytes: usize,
}

fn default_batch_messages() -> usize {
    20_000
}

fn default_batch_bytes() -> usize {
    8 << 20
}

impl SourceSettings {
    /// That topic, with nothing else said.
    pub fn of(connection: Connection, topic: &str) -> SourceSettings {
        SourceSettings {
            connection,
            topic: topic.to_owned(),
            name: None,
            start: Start::default(),
            on_gone: OnGone::default(),
            batch_messages: default_batch_messages(),
            batch_bytes: default_batch_bytes(),
        }
    }
}

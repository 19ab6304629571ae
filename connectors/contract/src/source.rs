//! Sources of events that are fetched, not sent: a log in partitions, such as a topic of Kafka.
//!
//! The event log is the only judge of what was taken from a source. Whoever feeds it does, on a thread of its own:
//!
//! 1. [`Source::open`] at [`EventLog::positions`](crate::EventLog::positions);
//! 2. [`Source::poll`], decode, and put what cannot be decoded into [`DeadLetters`];
//! 3. [`EventLog::append_from`](crate::EventLog::append_from) with the records and the batch's positions;
//! 4. [`Source::acknowledge`] them, and again from 2.
//!
//! Killed anywhere, it begins again at 1. and each message is in the event log exactly once; a dead letter may be there
//! twice, and says by its partition and offset that it is the same.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Up to where a partition of a source has been taken: everything below `next_offset`, nothing from it on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourcePosition {
    /// Which source. A log that was made anew, with offsets that begin again, is another source: it takes another name.
    pub source: String,
    /// The partition.
    pub partition: u32,
    /// The offset of the first message that has not been taken.
    pub next_offset: u64,
}

/// Which partitions one of several readers takes: those whose number leaves `index` when divided by `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// From 0.
    pub index: u32,
    /// How many readers there are; at least 1.
    pub of: u32,
}

impl Share {
    /// Every partition.
    pub const ALL: Share = Share { index: 0, of: 1 };

    /// Returns whether the partition is in it.
    pub fn takes(&self, partition: u32) -> bool {
        partition % self.of.max(1) == self.index
    }
}

/// A header of a message. Names may repeat.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

/// A message as the source has it: nothing of it has been looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Message {
    /// The partition.
    pub partition: u32,
    /// Its place in the partition.
    pub offset: u64,
    /// The key of the message.
    pub key: Option<Vec<u8>>,
    /// The content of the message.
    pub value: Vec<u8>,
    /// The headers of the message.
    pub headers: Vec<Header>,
    /// When it was written, milliseconds, where the source knows.
    pub timestamp: Option<i64>,
}

/// Messages that are gone, and were passed over because the settings of the source say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The partition.
    pub partition: u32,
    /// The offset at which the next message was to be read.
    pub wanted: u64,
    /// The offset at which reading goes on.
    pub resumed: u64,
}

/// The messages of one poll.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Batch {
    /// The messages: of each partition in the order of their offsets.
    pub messages: Vec<Message>,
    /// The new position of each partition that has one, whether by a message or by what is not given out (messages
    /// without a value, marks of transactions, gaps, a partition that is new).
    pub positions: Vec<SourcePosition>,
    /// Messages without a value that were passed over. They delete a key for those who compact a topic, and are no
    /// event.
    pub tombstones: u64,
    /// The messages that were lost.
    pub gaps: Vec<Gap>,
}

impl Batch {
    /// Returns whether nothing has happened.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.positions.is_empty() && self.gaps.is_empty()
    }
}

/// How far a partition is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// The partition.
    pub partition: u32,
    /// Offsets between what was polled and the end of the partition as last seen. Marks of transactions count, so that
    /// it may be a little more than there are messages.
    pub messages: u64,
}

/// A fault of a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It cannot be read just now (a broker restarts, the network is away). Polling again goes on where it was.
    #[error("{0}; trying again")]
    Transient(String),
    /// It cannot be read, and will not be by trying again (no such topic, no permission, wrong settings).
    #[error("{0}")]
    Fatal(String),
    /// Messages that were not taken are gone, by retention or because the log was made anew. Every further poll says
    /// the same, until the source is opened again.
    #[error(
        "partition {partition} of {source_name}: the next message to be read is {wanted}, and there are only \
         {earliest} up to {end}. Nothing more is read before a restart. Where messages were removed before they were taken, \
         the setting `on_gone` says where to go on: `earliest` with the oldest there is, `latest` with what comes from now on. \
         Where the topic was made anew, that does not help: give it a new `source_name`, under which it is read as one that \
         never was (or a new `topic_prefix`, if it has another name)"
    )]
    OffsetGone {
        /// The source.
        source_name: String,
        /// The partition.
        partition: u32,
        /// The offset to read at.
        wanted: u64,
        /// The least offset there is.
        earliest: u64,
        /// The offset behind the last there is.
        end: u64,
    },
}

/// A log of messages in partitions, read from given positions on.
///
/// One reader owns it: methods are called one at a time, and MAY block for as long as it says.
pub trait Source: Send {
    /// The name in positions.
    fn name(&self) -> &str;

    /// Begins, or begins again, at these positions; those of other sources and shares do not concern it.
    ///
    /// A source without any position begins where its settings say, and the first batch MUST bring the position of every
    /// partition of the share. A partition without one, where others have
    /// theirs, is new and MUST be read from its first message on. MUST be [`SourceError::OffsetGone`] where a message
    /// at or behind a position can no longer be read, unless the settings say where to go on.
    fn open(&mut self, positions: &[SourcePosition], share: Share) -> Result<(), SourceError>;

    /// Gives the next messages, as soon as there are any, or an empty batch once `patience` is over. MUST be bounded in
    /// messages and in bytes by the settings, however much is waiting (one message always fits).
    ///
    /// Over all batches since [`open`](Self::open), MUST give each message of each partition of the share once, in the
    /// order of offsets, and positions that match: an error loses and repeats nothing. Partitions that are added while
    /// it is open MUST be found without being asked for.
    fn poll(&mut self, patience: Duration) -> Result<Batch, SourceError>;

    /// Says that everything up to these positions is durable. MAY be noted where tools look for it; MUST NOT be relied
    /// on, and a failure MUST NOT harm.
    fn acknowledge(&mut self, positions: &[SourcePosition]);

    /// How far each partition of the share is behind, as last seen; does not wait.
    fn lag(&self) -> Vec<Lag>;
}

/// A message that could not be taken.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetter<'a> {
    /// The source's name.
    pub source: &'a str,
    /// The message.
    pub message: &'a Message,
    /// The kind of fault, a word for programs: `malformed`, `too_large`.
    pub code: &'a str,
    /// The fault, for people.
    pub reason: &'a str,
}

/// The place of messages that could not be taken.
pub trait DeadLetters: Send {
    /// Keeps the messages, byte for byte with their keys and headers, with what is wrong with them. MUST be durable on
    /// return. MAY keep one twice when it is called again after an error or a crash. MAY cut a value that is too large
    /// to be kept, where it says so beside it.
    fn put(&mut self, letters: &[DeadLetter<'_>]) -> Result<(), SourceError>;
}

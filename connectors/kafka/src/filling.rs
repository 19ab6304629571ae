//! A batch of messages, as it is filled.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use audience_contract::{Batch, Header, Message};
use rdkafka::message::{BorrowedMessage, Headers, Message as _};

/// The time that the first message of a batch waits for others: messages of one answer come one partition after the other. Batches
/// wait for each other where they are written.
const GATHER: Duration = Duration::from_millis(1);

/// A batch that is being made.
#[derive(Default)]
pub(crate) struct Filling {
    /// The batch so far, without positions.
    pub batch: Batch,
    /// When its first message came.
    begun: Option<Instant>,
    /// Messages, with those that were passed over.
    pub count: usize,
    /// The sum over the messages.
    pub bytes: usize,
    /// Partitions that have moved on.
    pub moved: BTreeSet<u32>,
}

impl Filling {
    /// Returns whether no partition has moved on.
    pub(crate) fn is_empty(&self) -> bool {
        self.moved.is_empty()
    }

    /// The rest of the wait for others, if there is any message.
    pub(crate) fn rest(&self) -> Option<Duration> {
        self.begun.map(|begun| left(begun + GATHER)).filter(|rest| !rest.is_zero())
    }

    /// Takes a message, unless it was taken before.
    pub(crate) fn take(&mut self, message: &BorrowedMessage<'_>, next: &mut BTreeMap<u32, u64>) {
        let (Ok(partition), Ok(offset)) = (u32::try_from(message.partition()), u64::try_from(message.offset())) else {
            return;
        };
        // Behind an assignment that was made anew, what was fetched before may still come.
        let Some(next) = next.get_mut(&partition).filter(|next| offset >= **next) else { return };
        *next = offset + 1;
        self.begun.get_or_insert_with(Instant::now);
        self.moved.insert(partition);
        self.count += 1;
        let Some(value) = message.payload() else {
            self.batch.tombstones += 1;
            return;
        };
        let headers = message.headers().map(|headers| headers.iter().map(|header| header_of(&header)).collect());
        let message = Message {
            partition,
            offset,
            key: message.key().map(<[u8]>::to_vec),
            value: value.to_vec(),
            headers: headers.unwrap_or_default(),
            timestamp: message.timestamp().to_millis(),
        };
        self.bytes += size(&message);
        self.batch.messages.push(message);
    }
}

/// The time until then.
pub(crate) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn header_of(header: &rdkafka::message::Header<'_, &[u8]>) -> Header {
    Header { name: header.key.to_owned(), value: header.value.map(<[u8]>::to_vec) }
}

fn size(message: &Message) -> usize {
    let headers = message.headers.iter().map(|header| header.name.len() + header.value.as_ref().map_or(0, Vec::len));
    message.value.len() + message.key.as_ref().map_or(0, Vec::len) + headers.sum::<usize>()
}

//! Stimuli taken in: without repeated messages, and without what a loaded checkpoint has already.

use std::sync::Arc;

use audience_contract::{MessageIndex, UserHistory};
use audience_rules::ast::Millis;
use audience_rules::record::{EventRef, records};
use hashbrown::HashSet;

use crate::membership::{SHARDS, user_hash};
use crate::message::{IdentityChange, Routed};

use super::OperatorError;

/// The size of a small record in bytes.
const RECORD_BYTES: usize = 128;

/// Something that happens to a user.
#[derive(Clone, Copy)]
pub(super) enum Stimulus<'a> {
    /// An event that is no repeated message.
    Event(EventRef<'a>),
    /// An event of a user who is merged in the same tick: whether it repeats a message depends on what comes before it.
    Unchecked(EventRef<'a>),
    /// A merge.
    Identity(&'a IdentityChange),
}

/// A stimulus of a tick.
pub(super) struct TickEntry<'a> {
    pub(super) user_hash: u64,
    pub(super) at: Millis,
    pub(super) stimulus: Stimulus<'a>,
}

impl TickEntry<'_> {
    pub(super) fn user(&self) -> &[u8] {
        match &self.stimulus {
            Stimulus::Event(event) | Stimulus::Unchecked(event) => event.user_bytes(),
            Stimulus::Identity(merge) => merge.user.as_bytes(),
        }
    }

    /// Reads it, and its event, for nothing but that they are near then.
    pub(super) fn fetch(&self) -> u64 {
        match &self.stimulus {
            Stimulus::Event(event) | Stimulus::Unchecked(event) => event.timestamp() as u64,
            Stimulus::Identity(merge) => merge.sequence,
        }
    }

    /// The place among a user's stimuli. A merge stands before the event that brought it, wherever either came from.
    pub(super) fn place(&self) -> u64 {
        match &self.stimulus {
            Stimulus::Event(event) | Stimulus::Unchecked(event) => event.sequence() << 1 | 1,
            Stimulus::Identity(merge) => merge.sequence << 1,
        }
    }
}

/// The events that a worker is given, and those that it may look up.
pub(super) struct WorkerIntake {
    pub(super) log: Arc<dyn UserHistory>,
    pub(super) messages: Arc<dyn MessageIndex>,
    /// Shards loaded from a checkpoint: events below this sequence number are in their users' state.
    pub(super) floors: Vec<u64>,
    /// Stimuli of later ticks.
    pub(super) deferred: Vec<Routed>,
}

impl WorkerIntake {
    pub(super) fn new(log: Arc<dyn UserHistory>, messages: Arc<dyn MessageIndex>) -> WorkerIntake {
        WorkerIntake { log, messages, floors: Vec::new(), deferred: Vec::new() }
    }

    /// The stimuli, none before `done_until`, without repeated messages and what a loaded checkpoint has already.
    pub(super) fn entries<'a>(
        &self,
        routed: &'a [Routed],
        done_until: Millis,
    ) -> Result<Vec<TickEntry<'a>>, OperatorError> {
        let bytes: usize = routed.iter().map(|part| part.records.len()).sum();
        let mut entries = Vec::with_capacity(bytes / RECORD_BYTES);
        let mut messages: Vec<((u128, u64), usize)> = Vec::new();
        let merged: HashSet<&str> =
            routed.iter().flat_map(|part| &part.merges).map(|merge| merge.user.as_str()).collect();
        for part in routed {
            for merge in &part.merges {
                let user_hash = user_hash(merge.user.as_bytes());
                if !self.is_loaded(user_hash, merge.sequence) {
                    let at = merge.at.max(done_until);
                    entries.push(TickEntry { user_hash, at, stimulus: Stimulus::Identity(merge) });
                }
            }
            for record in records(&part.records) {
                let user_hash = user_hash(record.user_bytes());
                if self.is_loaded(user_hash, record.sequence()) {
                    continue;
                }
                let mut stimulus = Stimulus::Event(record);
                match record.message() {
                    Some(_) if merged.contains(record.user()) => stimulus = Stimulus::Unchecked(record),
                    Some(message) => {
                        messages.push(((message_key(record.user(), message), record.sequence()), entries.len()));
                    }
                    None => {}
                }
                let at = record.accepted_at().max(done_until);
                entries.push(TickEntry { user_hash, at, stimulus });
            }
        }
        if !messages.is_empty() {
            // In the order of acceptance, whichever worker they come from: the first one counts.
            messages.sort_unstable_by_key(|((_, sequence), _)| *sequence);
            let (messages, places): (Vec<(u128, u64)>, Vec<usize>) = messages.into_iter().unzip();
            let first = self.messages.note(&messages)?;
            let repeated = places.into_iter().zip(messages.iter().zip(first));
            let repeated = repeated.filter_map(|(at, (message, first))| (first != message.1).then_some(at));
            let mut repeated: Vec<usize> = repeated.collect();
            repeated.sort_unstable();
            let mut next = repeated.into_iter().peekable();
            let mut at = 0;
            entries.retain(|_| {
                at += 1;
                next.next_if_eq(&(at - 1)).is_none()
            });
        }
        Ok(entries)
    }

    /// Returns whether the checkpoint that the user's shard was loaded from has this already.
    fn is_loaded(&self, user_hash: u64, sequence: u64) -> bool {
        !self.floors.is_empty() && sequence < self.floors[(user_hash % SHARDS) as usize]
    }

    /// Returns whether an event of the user repeats a message of theirs, as of the merges so far.
    pub(super) fn is_repeated(&self, event: &EventRef<'_>) -> Result<bool, OperatorError> {
        let Some(message) = event.message() else { return Ok(false) };
        let first = self.messages.note(&[(message_key(event.user(), message), event.sequence())])?;
        Ok(first.first().is_some_and(|first| *first != event.sequence()))
    }
}

/// The key of a user's message.
pub fn message_key(user: &str, message: &str) -> u128 {
    let mut bytes = Vec::with_capacity(user.len() + message.len() + 8);
    bytes.extend_from_slice(&(user.len() as u64).to_le_bytes());
    bytes.extend_from_slice(user.as_bytes());
    bytes.extend_from_slice(message.as_bytes());
    xxhash_rust::xxh3::xxh3_128(&bytes)
}

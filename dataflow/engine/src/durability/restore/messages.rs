//! Which message of which user came first, found again from the event log: what the workers have noted, without the workers.

use std::ops::ControlFlow;

use audience_contract::{EventLog, MessageIndex, StoreError};
use audience_kernel::aliases::{Aliases, IdSince, Identified, UserMerge, newest_naming};
use audience_kernel::worker::message_key;
use audience_rules::record::{EventRef, RecordKind, records};
use hashbrown::HashMap;

/// Messages that are noted at once.
const AT_ONCE: usize = 16 << 10;

/// Notes the messages of every event below `end`, and sees to it that they are durable. Costs a look at each event, and a
/// lookup for each merge and each erasure.
pub fn note(log: &dyn EventLog, index: &dyn MessageIndex, end: u64) -> Result<(), StoreError> {
    let mut notes = MessageNotes { log, index, aliases: Aliases::default(), waiting: Vec::new() };
    let mut result = Ok(());
    log.scan(0..end, &mut |run| {
        let found = records(run).filter(|record| record.sequence() < end);
        result = found.into_iter().try_for_each(|record| notes.take(&record));
        if result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    result?;
    notes.write()?;
    index.flush()
}

struct MessageNotes<'a> {
    log: &'a dyn EventLog,
    index: &'a dyn MessageIndex,
    aliases: Aliases,
    waiting: Vec<(u128, u64)>,
}

impl MessageNotes<'_> {
    fn take(&mut self, record: &EventRef<'_>) -> Result<(), StoreError> {
        match (record.kind(), record.other()) {
            (RecordKind::Erasure, _) => self.erase(record)?,
            (RecordKind::Alias | RecordKind::Identify, Some(other)) => {
                if let Some(merged) = self.merge_of(other, record)? {
                    self.merge(&merged, record.sequence())?;
                }
            }
            _ => {}
        }
        if let (true, Some(message)) = (record.kind().counts(), record.message()) {
            let user = self.aliases.root(record.user()).map_or(record.user(), |root| root);
            self.waiting.push((message_key(user, message), record.sequence()));
        }
        if self.waiting.len() < AT_ONCE { Ok(()) } else { self.write() }
    }

    /// The merge that a record brings about, if any.
    fn merge_of(&mut self, other: &str, record: &EventRef<'_>) -> Result<Option<UserMerge>, StoreError> {
        if record.merges_named() {
            return Ok(self.aliases.merge(other, record.user()));
        }
        let (log, before) = (self.log, record.sequence());
        let is_named = |ids: &[IdSince]| {
            let names: Vec<&str> = ids.iter().map(|(id, _)| id.as_str()).collect();
            Ok(newest_naming(&log.of_users(&names, before)?, ids, before).is_some())
        };
        Ok(match self.aliases.identify(other, record.user(), is_named)? {
            Identified::Merged(merged) => Some(merged),
            Identified::Same | Identified::Refused => None,
        })
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.index.note(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }

    /// The user who remains has had the messages of all ids.
    fn merge(&mut self, merged: &UserMerge, sequence: u64) -> Result<(), StoreError> {
        let since: HashMap<&str, u64> = merged.ids.iter().map(|(id, since)| (id.as_str(), *since)).collect();
        let ids: Vec<&str> = since.keys().copied().collect();
        let history = self.log.of_users(&ids, sequence)?;
        let is_own = |event: &EventRef<'_>| since.get(event.user()).is_some_and(|since| event.sequence() >= *since);
        let own = records(&history).filter(|event| event.kind().counts() && is_own(event));
        let keyed = own.filter_map(|event| Some((message_key(&merged.into, event.message()?), event.sequence())));
        self.waiting.extend(keyed);
        Ok(())
    }

    /// Each of the ids forgets the messages of all of them.
    fn erase(&mut self, record: &EventRef<'_>) -> Result<(), StoreError> {
        self.write()?;
        let ids = self.aliases.erase(record.user(), record.sequence());
        let names: Vec<&str> = ids.iter().map(String::as_str).collect();
        let history = self.log.of_users(&names, record.sequence())?;
        for id in &ids {
            let messages = records(&history).filter_map(|event| event.message());
            let keys: Vec<u128> = messages.map(|message| message_key(id, message)).collect();
            self.index.forget(&keys, record.sequence())?;
        }
        Ok(())
    }
}

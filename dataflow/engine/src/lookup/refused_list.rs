//! Messages that were refused, kept whole among the notes of the platform, where backups have them, too.
//!
//! **Bound.** At most [`KEPT_REFUSED`] messages and [`LIST_BYTES`]; the oldest go. A write is durable when it returns, and costs as
//! much as one of the event log. In memory is a number a message.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use audience_contract::{Note, Notes, Result, StoreError};
use audience_protocol::{KEPT_REFUSED, KeptFault, Page, PageLimit, RefusedMessage, RefusedMessageView};
use audience_rules::time::format_time;
use memchr::memmem;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most bytes of all messages.
const LIST_BYTES: usize = 64 << 20;
/// Bytes from which on a page ends.
const PAGE_BYTES: usize = 4 << 20;
/// The keys of the notes: this, and the number as 20 digits.
const PREFIX: &str = "refused/";
/// The key after all of them.
const END: &[u8] = b"refused0";
/// Members of a message that hold an id.
const ID_MEMBERS: [&str; 9] = [
    "userId",
    "anonymousId",
    "previousId",
    "customerId",
    "user_id",
    "anonymous_id",
    "distinct_id",
    "$anon_distinct_id",
    "alias",
];

/// The list of refused messages.
pub(crate) struct RefusedList {
    notes: Arc<dyn Notes>,
    /// The messages there are; nothing before the first use.
    kept: Mutex<Option<KeptMessages>>,
}

/// Numbers and sizes of the messages, the oldest first.
#[derive(Default)]
struct KeptMessages {
    sizes: VecDeque<(u64, usize)>,
    bytes: usize,
    next: u64,
}

/// The line before the bytes of a message.
#[derive(Serialize, Deserialize)]
struct MessageHead {
    at: i64,
    source: String,
    pointer: String,
    code: String,
    message: String,
    size: usize,
    /// The ids that it names, where it could be read.
    ids: Vec<String>,
}

impl RefusedList {
    /// The list among these notes.
    pub(crate) fn new(notes: Arc<dyn Notes>) -> RefusedList {
        RefusedList { notes, kept: Mutex::default() }
    }

    /// Keeps messages; they are durable on return.
    pub(crate) fn keep(&self, messages: &[RefusedMessage]) -> Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut kept = self.kept.lock();
        let known = self.known(&mut kept)?;
        let mut notes: Vec<Note> = Vec::with_capacity(messages.len() + 1);
        let mut sizes = VecDeque::new();
        // Of more than there is room for the newest are kept.
        for message in &messages[messages.len().saturating_sub(KEPT_REFUSED)..] {
            let (number, value) = (known.next + sizes.len() as u64, encoded(message));
            sizes.push_back((number, value.len()));
            notes.push((key(number), Some(value)));
        }
        let (count, bytes) = (known.sizes.len() + sizes.len(), known.bytes + total(&sizes));
        let dropped = known.beyond(count, bytes);
        notes.extend(known.sizes.iter().take(dropped).map(|(number, _)| (key(*number), None)));
        self.notes.write(&notes)?;
        known.next += sizes.len() as u64;
        known.sizes.append(&mut sizes);
        let gone: VecDeque<_> = known.sizes.drain(..dropped).collect();
        known.bytes = bytes - total(&gone);
        Ok(())
    }

    /// The newest messages with numbers below `before`, the newest first. A page ends early where its messages are long.
    pub(crate) fn page(&self, before: Option<u64>, limit: PageLimit) -> Result<Page<RefusedMessageView>> {
        let numbers: Vec<(u64, usize)> = {
            let mut kept = self.kept.lock();
            let known = self.known(&mut kept)?;
            let older = known.sizes.iter().rev().filter(|(number, _)| before.is_none_or(|before| *number < before));
            older.take(limit.and_one()).copied().collect()
        };
        let (mut items, mut bytes, mut is_cut) = (Vec::new(), 0, numbers.len() > limit.items());
        for (number, size) in numbers.into_iter().take(limit.items()) {
            bytes += size;
            if bytes > PAGE_BYTES && !items.is_empty() {
                is_cut = true;
                break;
            }
            // One that goes meanwhile is passed over.
            if let Some(value) = self.notes.get(&key(number))? {
                items.push(told(number, &value)?);
            }
        }
        let next_cursor = items.last().filter(|_| is_cut).map(|last: &RefusedMessageView| last.id.to_string());
        Ok(Page { items, next_cursor })
    }

    /// The messages that name one of these ids, the oldest first.
    pub(crate) fn of_user(&self, ids: &[String]) -> Result<Vec<RefusedMessageView>> {
        let mut found = Vec::new();
        self.visit(&mut |number, value| {
            let (head, _) = parted(value)?;
            if head.ids.iter().any(|id| ids.contains(id)) {
                found.push(told(number, value)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Erases every message that names one of these ids, or has it as a text anywhere.
    pub(crate) fn erase(&self, ids: &[String]) -> Result<()> {
        let mut kept = self.kept.lock();
        let texts: Vec<String> = ids.iter().map(|id| Value::from(id.as_str()).to_string()).collect();
        let mut gone = Vec::new();
        self.visit(&mut |number, value| {
            let (head, message) = parted(value)?;
            let has = |text: &String| memmem::find(message, text.as_bytes()).is_some();
            if head.ids.iter().any(|id| ids.contains(id)) || texts.iter().any(has) {
                gone.push(number);
            }
            Ok(())
        })?;
        if gone.is_empty() {
            return Ok(());
        }
        self.notes.write(&gone.iter().map(|number| (key(*number), None)).collect::<Vec<Note>>())?;
        let known = self.known(&mut kept)?;
        known.sizes.retain(|(number, _)| gone.binary_search(number).is_err());
        known.bytes = total(&known.sizes);
        Ok(())
    }

    /// Calls `visit` with each number and value, in order.
    fn visit(&self, visit: &mut dyn FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        let mut outcome = Ok(());
        self.notes.visit(PREFIX.as_bytes(), END, &mut |key, value| {
            outcome = number_of(key).and_then(|number| visit(number, value));
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        outcome
    }

    /// The messages there are, read once.
    fn known<'a>(&self, kept: &'a mut Option<KeptMessages>) -> Result<&'a mut KeptMessages> {
        if kept.is_none() {
            let mut known = KeptMessages { next: 1, ..KeptMessages::default() };
            self.visit(&mut |number, value| {
                known.sizes.push_back((number, value.len()));
                known.bytes += value.len();
                known.next = number + 1;
                Ok(())
            })?;
            *kept = Some(known);
        }
        Ok(kept.get_or_insert_default())
    }
}

impl KeptMessages {
    /// The number of the oldest messages that go, so that as many and as large ones find room.
    fn beyond(&self, mut count: usize, mut bytes: usize) -> usize {
        let mut dropped = 0;
        for (_, size) in &self.sizes {
            if count <= KEPT_REFUSED && bytes <= LIST_BYTES {
                break;
            }
            (count, bytes, dropped) = (count - 1, bytes - size, dropped + 1);
        }
        dropped
    }
}

fn total(sizes: &VecDeque<(u64, usize)>) -> usize {
    sizes.iter().map(|(_, size)| size).sum()
}

fn key(number: u64) -> Vec<u8> {
    format!("{PREFIX}{number:020}").into_bytes()
}

fn number_of(key: &[u8]) -> Result<u64> {
    let digits = key.strip_prefix(PREFIX.as_bytes()).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| damaged("a key is no number"))
}

fn damaged(detail: &str) -> StoreError {
    StoreError::Corrupt { place: "the refused messages among the notes".to_owned(), detail: detail.to_owned() }
}

fn encoded(message: &RefusedMessage) -> Vec<u8> {
    let head = MessageHead {
        at: message.at,
        source: message.source.clone(),
        pointer: message.fault.pointer.clone(),
        code: message.fault.code.to_owned(),
        message: message.fault.message.clone(),
        size: message.size,
        ids: ids_of(&message.bytes),
    };
    // Plain data always serializes.
    let mut value = serde_json::to_vec(&head).unwrap_or_default();
    value.push(b'\n');
    value.extend_from_slice(&message.bytes);
    value
}

/// The head and the bytes of a message.
fn parted(value: &[u8]) -> Result<(MessageHead, &[u8])> {
    let end = memchr::memchr(b'\n', value).ok_or_else(|| damaged("a message has no head"))?;
    let head = serde_json::from_slice(&value[..end]).map_err(|error| damaged(&error.to_string()))?;
    Ok((head, &value[end + 1..]))
}

fn told(number: u64, value: &[u8]) -> Result<RefusedMessageView> {
    let (head, bytes) = parted(value)?;
    Ok(RefusedMessageView {
        id: number,
        at: format_time(head.at),
        source: head.source,
        fault: KeptFault { pointer: head.pointer, code: head.code, message: head.message },
        bytes: head.size,
        is_whole: head.size == bytes.len(),
        text: String::from_utf8_lossy(bytes).into_owned(),
    })
}

/// The ids that a message names, also one of PostHog's among its properties.
fn ids_of(message: &[u8]) -> Vec<String> {
    let Ok(Value::Object(message)) = serde_json::from_slice(message) else { return Vec::new() };
    let properties = message.get("properties").and_then(Value::as_object);
    let members = [Some(&message), properties].into_iter().flatten();
    let values = members.flat_map(|object| ID_MEMBERS.iter().filter_map(|name| object.get(*name)));
    let id = |value: &Value| match value {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    };
    let mut ids: Vec<String> = values.filter_map(id).filter(|id| !id.is_empty()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests;

//! Members that an event does not have, and that look like those it has: what they say would be lost in silence.

use crate::fault::Fault as EventFault;
use crate::fault::{code, push_key};

/// The members that are looked for.
const MEMBERS: [&str; 9] = [
    "userId",
    "customerId",
    "anonymousId",
    "previousId",
    "messageId",
    "eventType",
    "timestamp",
    "properties",
    "context",
];
/// Other words for `timestamp`.
const TIMES: [&str; 5] = ["time", "ts", "datetime", "eventtime", "occurredat"];

/// The most of them that are kept of an event.
pub(super) const MOST_NEAR_MISSES: usize = 16;

/// A member that looks like another.
pub(super) struct NearMiss {
    pub(super) key: String,
    /// The member that may be meant.
    pub(super) meant: &'static str,
}

impl NearMiss {
    /// The member that an unknown key may mean: one of its letters, in whatever case and with whatever signs between words.
    pub(super) fn of(key: &str) -> Option<NearMiss> {
        let meant = MEMBERS.into_iter().find(|member| has_letters_of(key, member));
        let meant = meant.or_else(|| TIMES.iter().any(|time| has_letters_of(key, time)).then_some("timestamp"))?;
        Some(NearMiss { key: key.to_owned(), meant })
    }
}

fn has_letters_of(key: &str, name: &str) -> bool {
    let in_key = key.bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b' ')).map(|byte| byte.to_ascii_lowercase());
    in_key.eq(name.bytes().map(|byte| byte.to_ascii_lowercase()))
}

/// The fault of a member that looks like another.
pub(super) fn fault(key: &str, meant: &str) -> EventFault {
    let message = format!("an event has no such member; did you mean `{meant}`?");
    let mut pointer = String::new();
    push_key(&mut pointer, key);
    EventFault { pointer, code: code::UNKNOWN_KEY, message }
}

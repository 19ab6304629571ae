//! The faults of events.

use crate::fault::{Fault, code};
use crate::json::JsonFault;

use super::member::TextMember;

/// Codes of faults that only events have.
pub mod event_code {
    /// The bytes are not JSON.
    pub const MALFORMED_JSON: &str = "malformed_json";
    /// The event is too long.
    pub const TOO_LARGE: &str = "too_large";
    /// An id or an event type is too long.
    pub const TOO_LONG: &str = "too_long";
    /// The only id of an event, or an id of an alias, is a word that stands for none.
    pub const PLACEHOLDER_ID: &str = "placeholder_id";
    /// A timestamp that is a number too small for milliseconds.
    pub const LOOKS_LIKE_SECONDS: &str = "looks_like_seconds";
    /// Two spellings of one member say different things.
    pub const CONFLICT: &str = "conflict";
}

#[cold]
pub(super) fn whole(fault: JsonFault) -> Fault {
    Fault::whole(fault.code, fault.to_string())
}

#[cold]
pub(super) fn under(member: &str, fault: JsonFault) -> Fault {
    if fault.code == code::TOO_DEEP { at(member, fault.code, fault.to_string()) } else { whole(fault) }
}

#[cold]
pub(super) fn at(member: &str, code: &'static str, message: String) -> Fault {
    Fault { pointer: format!("/{member}"), code, message }
}

#[cold]
pub(super) fn missing(what: &str) -> Fault {
    Fault::whole(code::MISSING_MEMBER, format!("{what} is missing"))
}

#[cold]
pub(super) fn placeholder(member: TextMember) -> Fault {
    let message = "it is empty, or a word that stands for no id; leave it out, or send the id".to_owned();
    at(member.name(), event_code::PLACEHOLDER_ID, message)
}

#[cold]
pub(super) fn conflict(name: &str, alias: &str) -> Fault {
    let message = format!("`{alias}` is another name of `{name}`, and they differ");
    at(alias, event_code::CONFLICT, message)
}

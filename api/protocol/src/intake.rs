//! The newest events as they came in, accepted and refused, for whoever connects a sender.

use audience_rules::ast::Millis;
use audience_rules::fault::Fault;
use serde::Serialize;
use serde_json::value::RawValue;

/// The most events of each outcome that are shown.
pub const RECENT_EVENTS: usize = 50;
/// The most bytes of a refused event that are kept.
const REFUSED_BYTES: usize = 1024;

/// An event that was refused, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedEvent {
    /// The instant at which it came.
    pub at: Millis,
    /// The door that it came through: `HTTP`, or the name of a source.
    pub source: String,
    /// The beginning of its text, as far as that is text.
    pub text: String,
    /// The place in the event, and the reason.
    pub fault: Fault,
}

impl RefusedEvent {
    /// Keeps the beginning of an event that was refused.
    pub fn new(at: Millis, source: &str, event: &[u8], fault: Fault) -> RefusedEvent {
        let kept = &event[..event.len().min(REFUSED_BYTES)];
        let mut text = String::from_utf8_lossy(kept).into_owned();
        if kept.len() < event.len() {
            // A character that the cut went through.
            let whole = text.trim_end_matches('\u{fffd}').len();
            text.truncate(whole);
            text.push('…');
        }
        RefusedEvent { at, source: source.to_owned(), text, fault }
    }
}

/// The newest events, the newest first.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecentEvents {
    /// Events accepted, ever.
    pub accepted: u64,
    /// Events refused by this process in this run.
    pub refused: u64,
    /// At most [`RECENT_EVENTS`] that were accepted, and as many that were refused.
    pub items: Vec<RecentEvent>,
}

/// An event as it came in.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecentEvent {
    /// RFC 3339: the instant at which it came.
    pub at: String,
    /// The outcome.
    pub outcome: IntakeOutcome,
    /// The event, if it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<Box<RawValue>>,
    /// The door that it came through, if it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The beginning of its text, if it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The place and the reason, if it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// The outcome of an event that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum IntakeOutcome {
    /// It is on disk, and counts.
    Accepted,
    /// It was not taken.
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_event_keeps_its_beginning() {
        let kept = |event: &[u8]| RefusedEvent::new(0, "HTTP", event, Fault::whole("wrong_type", "no")).text;
        assert_eq!(kept(b"{\"a\":1}"), "{\"a\":1}");
        assert_eq!(kept(b"\xff"), "\u{fffd}");
        let long = "é".repeat(REFUSED_BYTES);
        assert_eq!(kept(long.as_bytes()), format!("{}…", "é".repeat(REFUSED_BYTES / 2)));
        assert_eq!(kept(format!("x{long}").as_bytes()), format!("x{}…", "é".repeat(REFUSED_BYTES / 2 - 1)));
    }
}

//! An accepted event → JSON, for exports and topics; decoding that again gives the same record.

use crate::record::{EventRef, RecordKind, UserPlace};
use crate::time::format_time;
use crate::unparse::value_to_json;
use crate::value::{Value, ValueRef};

/// The event as JSON: its members by name, times as RFC 3339 text, numbers exactly.
pub fn event_to_json(event: &EventRef<'_>) -> String {
    let is_anonymous = event.place() == UserPlace::AnonymousId;
    let mut members: Vec<(&str, Value)> = vec![
        (if is_anonymous { "anonymousId" } else { "userId" }, text(event.user())),
        ("timestamp", text(&format_time(event.timestamp()))),
        ("receivedAt", text(&format_time(event.accepted_at()))),
    ];
    match (event.kind(), event.event_type()) {
        (RecordKind::Erasure, _) => members.push(("eventType", text("erasure"))),
        // A track of that name: as an event it would be something else.
        (RecordKind::Event, name @ ("identify" | "alias")) => {
            members.extend([("type", text("track")), ("event", text(name))]);
        }
        (_, name) => members.push(("eventType", text(name))),
    }
    if let Some(other) = event.other() {
        members.push((if event.kind() == RecordKind::Alias { "previousId" } else { "anonymousId" }, text(other)));
    }
    members.extend(event.message().map(|message| ("messageId", text(message))));
    let objects = [
        ("properties", event.properties()),
        ("context", event.context()),
        ("traits", ValueRef::Object(event.traits())),
    ];
    for (name, object) in objects {
        let is_empty = matches!(object, ValueRef::Object(members) if members.is_empty());
        if !is_empty {
            members.push((name, object.to_value()));
        }
    }
    members.sort_by_key(|(name, _)| *name);
    value_to_json(&Value::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect()))
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

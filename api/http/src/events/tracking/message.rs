//! A message of Segment's tracking API, as an event of ours: rewritten as text, so that it goes the way of every event.

use std::borrow::Cow;

use audience_rules::ast::Millis;
use audience_rules::zone::ZoneId;

use super::time;
use crate::json::{self, JsonMember, ScanError};

/// The kinds of messages, with their short names in paths.
pub(super) const KINDS: [&str; 6] = ["track", "identify", "page", "screen", "group", "alias"];
/// Members of our own form: a message has none of them.
const OURS: [&str; 4] = ["eventType", "customerId", "id", "metadata"];
/// The longest value of a time that is kept as it was sent.
const MAX_FAULT_BYTES: usize = 100;

/// A message taken apart.
pub(super) struct TrackingMessage<'a> {
    pub(super) json: &'a [u8],
    pub(super) members: Vec<JsonMember>,
}

impl<'a> TrackingMessage<'a> {
    /// Takes apart the object at `at`; `None` where there is no object.
    pub(super) fn read(json: &'a [u8], at: usize) -> Result<Option<(Self, usize)>, ScanError> {
        if json.get(at) != Some(&b'{') {
            return Ok(None);
        }
        let (members, end) = json::members(json, at)?;
        Ok(Some((TrackingMessage { json, members }, end)))
    }

    /// The text of a member, the last of that name; a null is as none.
    pub(super) fn get(&self, key: &str) -> Option<&'a [u8]> {
        let member = self.members.iter().rfind(|member| json::is_key(self.json, member, key))?;
        let value = &self.json[member.value.clone()];
        (value != b"null").then_some(value)
    }

    /// The same for an id, which some libraries send empty.
    pub(super) fn id(&self, key: &str) -> Option<&'a [u8]> {
        self.get(key).filter(|value| *value != b"\"\"")
    }

    /// The same for an object; PHP writes one without members as a list.
    pub(super) fn object(&self, key: &str) -> Option<&'a [u8]> {
        self.get(key).map(|value| if is_empty_list(value) { &b"{}"[..] } else { value })
    }

    /// The kind that the message's `type` says.
    pub(super) fn kind(&self) -> Option<&'static str> {
        let said: String = serde_json::from_slice(self.get("type")?).ok()?;
        KINDS.into_iter().find(|kind| *kind == said)
    }

    /// The kind of a message among events of our form: it has members that only such a message has.
    pub(super) fn kind_among_events(&self) -> Option<&'static str> {
        let kind = self.kind()?;
        let has = |key: &str| self.get(key).is_some();
        let is_message = match kind {
            "page" | "screen" => has("name") || has("category"),
            "group" => has("groupId") || has("traits"),
            "identify" => self.context_traits(None).is_some(),
            "track" => has("event"),
            // An alias is one in both forms.
            _ => false,
        };
        (is_message && !OURS.into_iter().any(has)).then_some(kind)
    }

    /// The traits in the context, which is that of the batch where the message has none.
    fn context_traits(&self, batch: Option<&'a [u8]>) -> Option<&'a [u8]> {
        let (context, _) = TrackingMessage::read(self.object("context").or(batch)?, 0).ok()??;
        context.object("traits").filter(|traits| traits.starts_with(b"{"))
    }
}

fn is_empty_list(value: &[u8]) -> bool {
    value.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).is_some_and(|inner| inner.trim_ascii().is_empty())
}

/// The values that all messages of a body share.
#[derive(Clone, Copy, Default)]
pub(super) struct Surroundings<'a> {
    /// The context of those that have none.
    pub(super) context: Option<&'a [u8]>,
    /// The sender's clock when it sent, of those that do not say it themselves.
    pub(super) sent_at: Option<&'a [u8]>,
    /// Our clock, where times are read leniently and clocks corrected; else a time is taken as it stands.
    pub(super) now: Option<Millis>,
    /// The zone of times without an offset.
    pub(super) zone: ZoneId,
}

/// An event being written.
pub(super) struct EventWriter<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) comma: bool,
}

impl EventWriter<'_> {
    pub(super) fn member(&mut self, key: &str, value: Option<&[u8]>) {
        let Some(value) = value else { return };
        self.out.extend_from_slice(if self.comma { b",\"" } else { b"\"" });
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out.extend_from_slice(value);
        self.comma = true;
    }
}

/// Writes a message as an event.
pub(super) fn rewrite<'a>(
    message: &TrackingMessage<'a>,
    kind: &str,
    around: Surroundings<'a>,
    out: &mut Vec<u8>,
) -> Result<(), ScanError> {
    let (timestamp, notes) = timestamp(message, around);
    out.push(b'{');
    let mut event = EventWriter { out, comma: false };
    for key in ["userId", "anonymousId", "previousId", "messageId"] {
        event.member(key, message.id(key));
    }
    event.member("timestamp", timestamp.as_deref());
    let context = message.object("context").or(around.context);
    event.member("context", with_notes(context, &notes).as_deref());
    match kind {
        "track" => {
            event.member("type", Some(b"\"track\""));
            event.member("event", message.get("event"));
            event.member("properties", message.object("properties"));
        }
        "identify" => {
            event.member("eventType", Some(b"\"identify\""));
            event.member("traits", traits(message, around.context).as_deref());
        }
        "group" => {
            event.member("eventType", Some(b"\"group\""));
            event.member("properties", extended(message, "traits", &["groupId"])?.as_deref());
        }
        "page" | "screen" => {
            event.member("eventType", Some(format!("\"{kind}\"").as_bytes()));
            event.member("properties", extended(message, "properties", &["name", "category"])?.as_deref());
        }
        _ => event.member("eventType", Some(b"\"alias\"")),
    }
    out.push(b'}');
    Ok(())
}

/// The event's own time as JSON, and what is noted of it in the context.
pub(super) fn timestamp<'a>(
    message: &TrackingMessage<'a>,
    around: Surroundings<'a>,
) -> (Option<Cow<'a, [u8]>>, Vec<u8>) {
    let (timestamp, original) = (message.get("timestamp"), message.get("originalTimestamp"));
    let Some(now) = around.now else { return (timestamp.or(original).map(Cow::Borrowed), Vec::new()) };
    let Some(said) = timestamp.or(original) else { return (None, Vec::new()) };
    let mut notes = Vec::new();
    let mut note = EventWriter { out: &mut notes, comma: false };
    let Some(mut at) = time::read(said, around.zone) else {
        let is_short = said.len() <= MAX_FAULT_BYTES && !said.starts_with(b"{") && !said.starts_with(b"[");
        note.member("timestampFault", Some(if is_short { said } else { &b"\"no text or number, or a long one\""[..] }));
        return (None, notes);
    };
    // Who has both, or says when it was received, forwards what was corrected already.
    let is_forwarded = (timestamp.is_some() && original.is_some()) || message.get("receivedAt").is_some();
    let sent_at = message
        .get("sentAt")
        .or(around.sent_at)
        .filter(|_| !is_forwarded)
        .and_then(|sent| time::read(sent, around.zone));
    if let Some(sent_at) = sent_at {
        let (corrected, correction) = time::corrected(at, sent_at, now);
        at = corrected;
        if correction != 0 {
            note.member("timestampCorrection", Some(correction.to_string().as_bytes()));
        }
    }
    let text = format!("\"{}\"", audience_rules::time::format_time(at));
    (Some(Cow::Owned(text.into_bytes())), notes)
}

/// The context with notes put into it.
pub(super) fn with_notes<'a>(context: Option<&'a [u8]>, notes: &[u8]) -> Option<Cow<'a, [u8]>> {
    if notes.is_empty() {
        return context.map(Cow::Borrowed);
    }
    let context = context.unwrap_or(b"{}");
    let Some(inner) = context.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")) else {
        return Some(Cow::Borrowed(context));
    };
    Some(Cow::Owned(joined(inner, notes)))
}

/// An object of the members of two, as text; of equal keys the later one counts.
fn joined(one: &[u8], other: &[u8]) -> Vec<u8> {
    let comma: &[u8] = if one.trim_ascii().is_empty() || other.trim_ascii().is_empty() { b"" } else { b"," };
    [&b"{"[..], one, comma, other, b"}"].concat()
}

/// The traits of an identify: those of its context too, which RudderStack's libraries send.
fn traits<'a>(message: &TrackingMessage<'a>, batch: Option<&'a [u8]>) -> Option<Cow<'a, [u8]>> {
    match (message.object("traits"), message.context_traits(batch)) {
        (Some(own), Some(more)) => Some(joined_objects(more, own)),
        (own, more) => own.or(more).map(Cow::Borrowed),
    }
}

/// One object of two; of equal keys that of the second counts. What is no object is not joined: the second stays.
pub(super) fn joined_objects<'a>(one: &'a [u8], other: &'a [u8]) -> Cow<'a, [u8]> {
    let inner = |object: &'a [u8]| object.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}"));
    match (inner(one), inner(other)) {
        (Some(one), Some(other)) => Cow::Owned(joined(one, other)),
        _ => Cow::Borrowed(other),
    }
}

/// The object under `key` with members of the message put into it, where it has none of their names.
fn extended<'a>(message: &TrackingMessage<'a>, key: &str, names: &[&str]) -> Result<Option<Cow<'a, [u8]>>, ScanError> {
    let object = message.object(key).unwrap_or(b"{}");
    let Some((inner, _)) = TrackingMessage::read(object, 0)? else { return Ok(Some(Cow::Borrowed(object))) };
    let mut text = vec![b'{'];
    let mut writer = EventWriter { out: &mut text, comma: false };
    for name in names.iter().filter(|name| inner.get(name).is_none()) {
        writer.member(name, message.get(name));
    }
    for member in &inner.members {
        // A null of a name that was put in would be a second member of that name.
        if names.iter().any(|name| json::is_key(object, member, name) && inner.get(name).is_none()) {
            continue;
        }
        let key = &object[member.key.clone()];
        writer.member(&String::from_utf8_lossy(key), Some(&object[member.value.clone()]));
    }
    text.push(b'}');
    Ok(Some(Cow::Owned(text)))
}

#[cfg(test)]
mod tests;

//! An event in JSON → its checked, flat form ([`record`]), in one pass over the text.
//!
//! A decoder that is kept allocates nothing once its buffers have grown. A refused event leaves the output as it was.

mod near_miss;
mod write;

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::sync::Arc;

use crate::ast::Millis;
use crate::decimal::{Decimal, ParseDecimalError};
pub use crate::fault::Fault as EventFault;
use crate::fault::code;
use crate::json::{Buffers, JsonFault, JsonReader};
use crate::placeholders::Placeholders;
use crate::record::{self, RecordHead, RecordKind, UserPlace};
use crate::time::{parse_time_ref, parse_time_text};
use crate::value::{ContainerWriter, ValueRef};
use crate::zone::ZoneId;

use near_miss::{MOST_NEAR_MISSES, NearMiss};
pub use write::event_to_json;

/// The longest event, in bytes of JSON.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;
/// The longest id or event type, in bytes.
pub const MAX_TEXT_BYTES: usize = 256;
/// The greatest nesting depth of an event, itself included.
pub const MAX_EVENT_DEPTH: usize = 32;

/// A timestamp that is a number below this looks like seconds.
const LEAST_MILLIS: Millis = 100_000_000_000;

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

/// The values that an event takes if it does not give them itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventDefaults {
    /// The clock at its arrival; also the timestamp of an event without one.
    pub accepted_at: Millis,
}

/// Decodes one event and appends its record to `out`. For many, keep an [`EventDecoder`].
pub fn decode_event(json: &[u8], defaults: &EventDefaults, out: &mut Vec<u8>) -> Result<(), EventFault> {
    EventDecoder::default().decode(json, defaults, out)
}

/// Members that hold a short text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TextMember {
    UserId,
    CustomerId,
    AnonymousId,
    PreviousId,
    MessageId,
    Id,
    EventType,
    Type,
    /// The name of a message whose type is `track`; in other events it says nothing.
    Event,
}

impl TextMember {
    const NAMES: [&'static str; 9] =
        ["userId", "customerId", "anonymousId", "previousId", "messageId", "id", "eventType", "type", "event"];

    fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    fn is_user(self) -> bool {
        use TextMember::{AnonymousId, CustomerId, PreviousId, UserId};
        matches!(self, UserId | CustomerId | AnonymousId | PreviousId)
    }

    fn is_id(self) -> bool {
        !matches!(self, TextMember::EventType | TextMember::Type | TextMember::Event)
    }
}

/// Members that hold an object.
#[derive(Clone, Copy)]
enum ObjectMember {
    Properties,
    Context,
    Metadata,
    Traits,
}

impl ObjectMember {
    const NAMES: [&'static str; 4] = ["properties", "context", "metadata", "traits"];

    fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

#[derive(Clone, Copy)]
enum EventMember {
    Text(TextMember),
    Object(ObjectMember),
    Timestamp,
    Ignored,
}

impl EventMember {
    fn of(key: &str) -> Self {
        match key {
            "userId" => EventMember::Text(TextMember::UserId),
            "customerId" => EventMember::Text(TextMember::CustomerId),
            "anonymousId" => EventMember::Text(TextMember::AnonymousId),
            "previousId" => EventMember::Text(TextMember::PreviousId),
            "messageId" => EventMember::Text(TextMember::MessageId),
            "id" => EventMember::Text(TextMember::Id),
            "eventType" => EventMember::Text(TextMember::EventType),
            "type" => EventMember::Text(TextMember::Type),
            "event" => EventMember::Text(TextMember::Event),
            "timestamp" => EventMember::Timestamp,
            "properties" => EventMember::Object(ObjectMember::Properties),
            "context" => EventMember::Object(ObjectMember::Context),
            "metadata" => EventMember::Object(ObjectMember::Metadata),
            "traits" => EventMember::Object(ObjectMember::Traits),
            _ => EventMember::Ignored,
        }
    }
}

/// Decodes events; its buffers are used again for the next one.
#[derive(Default)]
pub struct EventDecoder {
    buffers: Buffers,
    /// By [`TextMember`]; absent where empty.
    texts: [String; 9],
    /// Flat, by [`ObjectMember`]; absent where empty.
    objects: [Vec<u8>; 4],
    timestamp: Option<Millis>,
    zone: ZoneId,
    ignored: Vec<u8>,
    /// The fault of `event`, if it is no name.
    name_fault: Option<EventFault>,
    /// The first unknown members that look like those of ours.
    near_misses: Vec<NearMiss>,
    /// An id that is the empty text, which is none.
    empty_id: Option<TextMember>,
    placeholders: Arc<Placeholders>,
}

impl EventDecoder {
    /// A decoder with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on these words are no ids.
    pub fn set_placeholders(&mut self, placeholders: &Arc<Placeholders>) {
        if !Arc::ptr_eq(&self.placeholders, placeholders) {
            self.placeholders = placeholders.clone();
        }
    }

    /// From now on a timestamp without an offset is read in this zone.
    pub fn set_zone(&mut self, zone: ZoneId) {
        self.zone = zone;
    }

    /// Decodes one event and appends its record to `out`.
    pub fn decode(&mut self, json: &[u8], defaults: &EventDefaults, out: &mut Vec<u8>) -> Result<(), EventFault> {
        if json.len() > MAX_EVENT_BYTES {
            let message = format!("an event has at most {MAX_EVENT_BYTES} bytes");
            return Err(EventFault::whole(event_code::TOO_LARGE, message));
        }
        self.texts.iter_mut().for_each(String::clear);
        self.objects.iter_mut().for_each(Vec::clear);
        (self.timestamp, self.empty_id) = (None, None);
        self.name_fault = None;
        self.near_misses.clear();
        let reader = JsonReader::new(json, std::mem::take(&mut self.buffers)).map_err(whole)?;
        let mut reader = reader.keeping_digits();
        let read = self.read(&mut reader);
        self.buffers = reader.into_buffers();
        read?;
        self.write(defaults, out)
    }

    fn read(&mut self, reader: &mut JsonReader<'_>) -> Result<(), EventFault> {
        if reader.peek().map_err(whole)? != b'{' {
            reader.value(MAX_EVENT_DEPTH, &mut self.ignored).map_err(whole)?;
            return Err(EventFault::whole(code::WRONG_TYPE, "an event is an object"));
        }
        let mut key = reader.first_key().map_err(whole)?;
        while let Some(name) = key {
            match EventMember::of(name) {
                EventMember::Text(TextMember::Event) => match self.read_text(TextMember::Event, reader) {
                    Err(fault) if !fault.pointer.is_empty() => self.name_fault = Some(fault),
                    read => read?,
                },
                EventMember::Text(text) => self.read_text(text, reader)?,
                EventMember::Object(object) => self.read_object(object, reader)?,
                EventMember::Timestamp => self.read_timestamp(reader)?,
                EventMember::Ignored => {
                    if self.near_misses.len() < MOST_NEAR_MISSES {
                        self.near_misses.extend(NearMiss::of(name));
                    }
                    self.ignored.clear();
                    reader.value(MAX_EVENT_DEPTH - 1, &mut self.ignored).map_err(whole)?;
                }
            }
            key = reader.next_key().map_err(whole)?;
        }
        reader.finish().map_err(whole)
    }

    fn read_text(&mut self, text: TextMember, reader: &mut JsonReader<'_>) -> Result<(), EventFault> {
        let slot = &mut self.texts[text as usize];
        slot.clear();
        let peek = reader.peek().map_err(whole)?;
        match peek {
            b'"' => {
                let value = reader.text().map_err(whole)?;
                if value.is_empty() && text.is_user() {
                    self.empty_id = Some(text);
                } else if value.is_empty() {
                    return Err(at(text.name(), code::EMPTY, "it is empty".into()));
                }
                check_length(text, value)?;
                slot.push_str(value);
            }
            b'n' => reader.null().map_err(whole)?,
            b'-' | b'0'..=b'9' if text.is_id() => push_number(text, reader.number().map_err(whole)?, slot)?,
            _ => {
                self.ignored.clear();
                reader.value(MAX_EVENT_DEPTH - 1, &mut self.ignored).map_err(whole)?;
                let expected = if text.is_id() { "a string or a number" } else { "a string" };
                return Err(at(text.name(), code::WRONG_TYPE, format!("it must be {expected}")));
            }
        }
        Ok(())
    }

    fn read_object(&mut self, object: ObjectMember, reader: &mut JsonReader<'_>) -> Result<(), EventFault> {
        let slot = &mut self.objects[object as usize];
        slot.clear();
        let peek = reader.peek().map_err(whole)?;
        if peek == b'n' {
            return reader.null().map_err(whole);
        }
        reader.value(MAX_EVENT_DEPTH - 1, slot).map_err(|fault| under(object.name(), fault))?;
        if peek == b'{' {
            return Ok(());
        }
        Err(at(object.name(), code::WRONG_TYPE, "it must be an object".into()))
    }

    fn read_timestamp(&mut self, reader: &mut JsonReader<'_>) -> Result<(), EventFault> {
        let peek = reader.peek().map_err(whole)?;
        let time = match peek {
            b'n' => {
                self.timestamp = None;
                return reader.null().map_err(whole);
            }
            b'"' => {
                let zone = self.zone;
                parse_time_text(reader.text().map_err(whole)?, zone)
            }
            _ => {
                self.ignored.clear();
                reader.value(MAX_EVENT_DEPTH - 1, &mut self.ignored).map_err(whole)?;
                ValueRef::read(&self.ignored).and_then(|(value, _)| parse_time_ref(value))
            }
        };
        let expected =
            "it must be a time from 1900 to 2199: such as 2026-01-31T10:00:00Z, 2026-01-31 or whole epoch milliseconds";
        let time = time.ok_or_else(|| at("timestamp", code::BAD_TIME, expected.into()))?;
        if peek != b'"' && time < LEAST_MILLIS {
            let message = "it looks like seconds, as milliseconds it would be before March 1973; multiply it by 1000";
            return Err(at("timestamp", event_code::LOOKS_LIKE_SECONDS, message.into()));
        }
        self.timestamp = Some(time);
        Ok(())
    }

    fn text(&self, text: TextMember) -> Option<&str> {
        let text = &*self.texts[text as usize];
        (!text.is_empty()).then_some(text)
    }

    fn either_text(&self, text: TextMember, alias: TextMember) -> Result<Option<&str>, EventFault> {
        match (self.text(text), self.text(alias)) {
            (Some(one), Some(other)) if one != other => Err(conflict(text.name(), alias.name())),
            (one, other) => Ok(one.or(other)),
        }
    }

    fn object(&self, object: ObjectMember) -> &[u8] {
        &self.objects[object as usize]
    }

    fn context(&self) -> Result<&[u8], EventFault> {
        let (context, metadata) = (self.object(ObjectMember::Context), self.object(ObjectMember::Metadata));
        if context.is_empty() || context == metadata {
            return Ok(metadata);
        }
        let value = |bytes| ValueRef::read(bytes).map(|(value, _)| value.to_value());
        if metadata.is_empty() || value(context) == value(metadata) {
            return Ok(context);
        }
        Err(conflict(ObjectMember::Context.name(), ObjectMember::Metadata.name()))
    }

    /// An id, and whether it is one: not a placeholder.
    fn real<'i>(&self, id: Option<&'i str>) -> Option<&'i str> {
        id.filter(|id| !self.placeholders.contains(id))
    }

    /// Returns whom an event is about.
    fn who(&self, event_type: &str) -> Result<Who<'_>, EventFault> {
        let user_id = self.either_text(TextMember::UserId, TextMember::CustomerId)?;
        let anonymous_id = self.text(TextMember::AnonymousId);
        if event_type == "alias" {
            return self.who_of_alias(user_id, anonymous_id);
        }
        let (named, anonymous) = (self.real(user_id), self.real(anonymous_id));
        let user = named.or(anonymous).ok_or_else(|| self.no_id())?;
        let kind = if event_type == "identify" { RecordKind::Identify } else { RecordKind::Event };
        let other = anonymous.filter(|anonymous| kind == RecordKind::Identify && *anonymous != user);
        let place = if named.is_some() { UserPlace::UserId } else { UserPlace::AnonymousId };
        Ok(Who { kind, user, other: other.unwrap_or_default(), place })
    }

    /// Both ids of an alias must be ids.
    fn who_of_alias<'i>(
        &'i self,
        user_id: Option<&'i str>,
        anonymous_id: Option<&'i str>,
    ) -> Result<Who<'i>, EventFault> {
        if let Some(empty) = self.empty_id.filter(|member| *member != TextMember::AnonymousId) {
            return Err(placeholder(empty));
        }
        let user = user_id.or(anonymous_id).ok_or_else(|| self.no_id())?;
        let previous = self.text(TextMember::PreviousId).ok_or_else(|| missing("an alias's `previousId`"))?;
        if self.real(Some(user)).is_none() {
            return Err(self.no_id());
        }
        if self.real(Some(previous)).is_none() {
            return Err(placeholder(TextMember::PreviousId));
        }
        Ok(Who { kind: RecordKind::Alias, user, other: previous, place: UserPlace::Unsaid })
    }

    /// The fault of an event without an id.
    fn no_id(&self) -> EventFault {
        let ids = [TextMember::UserId, TextMember::CustomerId, TextMember::AnonymousId];
        let given = ids.into_iter().find(|id| self.text(*id).is_some()).or(self.empty_id);
        given.map_or_else(|| missing("`userId` or `anonymousId`"), placeholder)
    }

    /// The event type, and whether the event is a track, which is nothing else whatever it is called.
    fn event_type(&self) -> Result<(&str, bool), EventFault> {
        let said = self.either_text(TextMember::EventType, TextMember::Type)?;
        let name = self.text(TextMember::Event);
        let is_track = said == Some("track") && self.text(TextMember::EventType).is_none();
        match (said, &self.name_fault) {
            (_, Some(fault)) if is_track => Err(fault.clone()),
            (Some(said), _) => Ok(name.filter(|_| is_track).map_or((said, false), |name| (name, true))),
            (None, _) if name.is_some() => Err(near_miss::fault("event", "eventType")),
            (None, _) => Err(missing("`eventType`")),
        }
    }

    /// Refuses an event that lacks a member and has another that looks like it.
    fn check_near_miss(&self) -> Result<(), EventFault> {
        let lacking = self.near_misses.iter().find(|near| !self.has(near.meant));
        lacking.map_or(Ok(()), |near| Err(near_miss::fault(&near.key, near.meant)))
    }

    /// Returns whether a member of that name, or of its other name, is there.
    fn has(&self, name: &str) -> bool {
        match EventMember::of(name) {
            EventMember::Text(TextMember::UserId | TextMember::CustomerId) => {
                self.text(TextMember::UserId).or(self.text(TextMember::CustomerId)).is_some()
            }
            EventMember::Text(TextMember::EventType) => {
                self.text(TextMember::EventType).or(self.text(TextMember::Type)).is_some()
            }
            EventMember::Text(text) => self.text(text).is_some(),
            EventMember::Object(object) => !self.object(object).is_empty(),
            EventMember::Timestamp => self.timestamp.is_some(),
            EventMember::Ignored => true,
        }
    }

    fn write(&self, defaults: &EventDefaults, out: &mut Vec<u8>) -> Result<(), EventFault> {
        self.check_near_miss()?;
        let (event_type, is_track) = self.event_type()?;
        let Who { kind, user, other, place } = self.who(if is_track { "track" } else { event_type })?;
        let message = self.either_text(TextMember::MessageId, TextMember::Id)?.unwrap_or_default();
        let context = self.context()?;
        let traits = if kind == RecordKind::Identify { self.object(ObjectMember::Traits) } else { &[] };
        let accepted_at = defaults.accepted_at;
        let timestamp = self.timestamp.unwrap_or(accepted_at);
        let start = record::begin(RecordHead { timestamp, accepted_at, kind, user, other, message, event_type }, out);
        record::set_place(&mut out[start..], place);
        for object in [self.object(ObjectMember::Properties), context, traits] {
            if object.is_empty() {
                ContainerWriter::object(out).finish(out);
            } else {
                out.extend_from_slice(object);
            }
        }
        record::finish(start, out);
        Ok(())
    }
}

/// Whom an event is about.
struct Who<'a> {
    kind: RecordKind,
    user: &'a str,
    /// The id whose history is merged into the user; or empty.
    other: &'a str,
    /// The place in which the user stands.
    place: UserPlace,
}

fn check_length(text: TextMember, value: &str) -> Result<(), EventFault> {
    if value.len() <= MAX_TEXT_BYTES {
        return Ok(());
    }
    Err(at(text.name(), event_code::TOO_LONG, format!("it has more than {MAX_TEXT_BYTES} bytes")))
}

/// A number as an id: its shortest decimal text. Beyond the range of decimals that is known only of whole digits.
fn push_number(text: TextMember, number: &str, slot: &mut String) -> Result<(), EventFault> {
    match Decimal::parse(number) {
        Ok(decimal) => {
            // Writing to a string cannot fail.
            let _ = write!(slot, "{decimal}");
            Ok(())
        }
        Err(ParseDecimalError::Range) if number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => {
            check_length(text, number)?;
            slot.push_str(number);
            Ok(())
        }
        Err(_) => Err(at(text.name(), code::OUT_OF_RANGE, "a number as an id lies within ±10^18".into())),
    }
}

fn whole(fault: JsonFault) -> EventFault {
    EventFault::whole(fault.code, fault.to_string())
}

fn under(member: &str, fault: JsonFault) -> EventFault {
    if fault.code == code::TOO_DEEP { at(member, fault.code, fault.to_string()) } else { whole(fault) }
}

fn at(member: &str, code: &'static str, message: String) -> EventFault {
    EventFault { pointer: format!("/{member}"), code, message }
}

fn missing(what: &str) -> EventFault {
    EventFault::whole(code::MISSING_MEMBER, format!("{what} is missing"))
}

fn placeholder(member: TextMember) -> EventFault {
    let message = "it is empty, or a word that stands for no id; leave it out, or send the id".to_owned();
    at(member.name(), event_code::PLACEHOLDER_ID, message)
}

fn conflict(name: &str, alias: &str) -> EventFault {
    let message = format!("`{alias}` is another name of `{name}`, and they differ");
    at(alias, event_code::CONFLICT, message)
}

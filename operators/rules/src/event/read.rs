//! The text of an event → its members, in one pass.

use std::fmt::Write as _;

use crate::ast::Millis;
use crate::decimal::{Decimal, ParseDecimalError};
use crate::fault::{Fault, code};
use crate::json::JsonReader;
use crate::time::{in_range, parse_time_ref, parse_time_text};
use crate::value::ValueRef;
use crate::zone::ZoneId;

use super::faults::{at, event_code, under, whole};
use super::member::{EventMember, OBJECTS, ObjectMember, TEXTS, TextMember};
use super::near_miss::{MOST_NEAR_MISSES, NearMiss};

/// The longest id or event type, in bytes.
pub const MAX_TEXT_BYTES: usize = 256;
/// The greatest nesting depth of an event, itself included.
pub const MAX_EVENT_DEPTH: usize = 32;

/// A timestamp that is a number below this looks like seconds.
const LEAST_MILLIS: Millis = 100_000_000_000;

/// Buffers for what cannot be read in place, kept from one event to the next.
#[derive(Default)]
pub(super) struct EventScratch {
    /// Texts with escapes and numbers, by [`TextMember`].
    texts: [String; TEXTS],
    /// Flat, by [`ObjectMember`]; absent where empty.
    objects: [Vec<u8>; OBJECTS],
    ignored: Vec<u8>,
}

/// The members of an event. A text without escapes is read in place.
pub(super) struct EventMembers<'j, 's> {
    scratch: &'s mut EventScratch,
    /// By [`TextMember`]; the scratch has what is empty here.
    texts: [&'j str; TEXTS],
    timestamp: Option<Millis>,
    zone: ZoneId,
    /// The fault of `event`, if it is no name.
    pub(super) name_fault: Option<Fault>,
    /// The first unknown members that look like those of ours.
    pub(super) near_misses: Vec<NearMiss>,
    /// An id that is the empty text, which is none.
    pub(super) empty_id: Option<TextMember>,
}

impl<'j, 's> EventMembers<'j, 's> {
    /// No members yet. A timestamp without an offset is read in the zone.
    pub(super) fn new(scratch: &'s mut EventScratch, zone: ZoneId) -> Self {
        scratch.texts.iter_mut().for_each(String::clear);
        scratch.objects.iter_mut().for_each(Vec::clear);
        EventMembers {
            scratch,
            texts: [""; TEXTS],
            timestamp: None,
            zone,
            name_fault: None,
            near_misses: Vec::new(),
            empty_id: None,
        }
    }

    /// Reads all of them; the last of equal ones counts.
    pub(super) fn read(&mut self, reader: &mut JsonReader<'j>) -> Result<(), Fault> {
        if reader.peek().map_err(whole)? != b'{' {
            reader.value(MAX_EVENT_DEPTH, &mut self.scratch.ignored).map_err(whole)?;
            return Err(Fault::whole(code::WRONG_TYPE, "an event is an object"));
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
                    self.ignore(reader)?;
                }
            }
            key = reader.next_key().map_err(whole)?;
        }
        reader.finish().map_err(whole)
    }

    /// Reads a value that is of no use; nothing but its form is checked.
    fn ignore(&mut self, reader: &mut JsonReader<'j>) -> Result<(), Fault> {
        self.scratch.ignored.clear();
        reader.value(MAX_EVENT_DEPTH - 1, &mut self.scratch.ignored).map_err(whole)
    }

    fn read_text(&mut self, member: TextMember, reader: &mut JsonReader<'j>) -> Result<(), Fault> {
        let (text, slot) = (&mut self.texts[member as usize], &mut self.scratch.texts[member as usize]);
        *text = "";
        slot.clear();
        match reader.peek().map_err(whole)? {
            b'"' => match reader.plain_text() {
                Some("") if member.is_user() => self.empty_id = Some(member),
                Some("") => return Err(at(member.name(), code::EMPTY, "it is empty".into())),
                Some(plain) => {
                    check_length(member, plain)?;
                    *text = plain;
                }
                None => {
                    let escaped = reader.escaped_text().map_err(whole)?;
                    check_length(member, escaped)?;
                    slot.push_str(escaped);
                }
            },
            b'n' => reader.null().map_err(whole)?,
            b'-' | b'0'..=b'9' if member.is_id() => match reader.whole_number() {
                Some((_, number)) => *text = number,
                None => push_number(member, reader.number().map_err(whole)?, slot)?,
            },
            _ => {
                self.ignore(reader)?;
                let expected = if member.is_id() { "a string or a number" } else { "a string" };
                return Err(at(member.name(), code::WRONG_TYPE, format!("it must be {expected}")));
            }
        }
        Ok(())
    }

    fn read_object(&mut self, member: ObjectMember, reader: &mut JsonReader<'j>) -> Result<(), Fault> {
        let slot = &mut self.scratch.objects[member as usize];
        slot.clear();
        let peek = reader.peek().map_err(whole)?;
        if peek == b'n' {
            return reader.null().map_err(whole);
        }
        reader.value(MAX_EVENT_DEPTH - 1, slot).map_err(|fault| under(member.name(), fault))?;
        if peek == b'{' {
            return Ok(());
        }
        Err(at(member.name(), code::WRONG_TYPE, "it must be an object".into()))
    }

    fn read_timestamp(&mut self, reader: &mut JsonReader<'j>) -> Result<(), Fault> {
        let peek = reader.peek().map_err(whole)?;
        let time = match peek {
            b'n' => {
                self.timestamp = None;
                return reader.null().map_err(whole);
            }
            b'"' => parse_time_text(reader.text().map_err(whole)?, self.zone),
            b'-' | b'0'..=b'9' => match reader.whole_number() {
                Some((millis, _)) => in_range(millis),
                None => {
                    let number = Decimal::parse(reader.number().map_err(whole)?);
                    number.ok().map(ValueRef::Number).and_then(parse_time_ref)
                }
            },
            _ => {
                self.ignore(reader)?;
                None
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

    /// The event's own time.
    pub(super) fn timestamp(&self) -> Option<Millis> {
        self.timestamp
    }

    /// A text; never empty.
    #[inline]
    pub(super) fn text(&self, member: TextMember) -> Option<&str> {
        let plain = self.texts[member as usize];
        let text = if plain.is_empty() { &*self.scratch.texts[member as usize] } else { plain };
        (!text.is_empty()).then_some(text)
    }

    /// The flat form of an object; empty where it is absent.
    #[inline]
    pub(super) fn object(&self, member: ObjectMember) -> &[u8] {
        &self.scratch.objects[member as usize]
    }

    /// Returns whether a member of that name, or of its other name, is there.
    pub(super) fn has(&self, name: &str) -> bool {
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
}

fn check_length(member: TextMember, value: &str) -> Result<(), Fault> {
    if value.len() <= MAX_TEXT_BYTES {
        return Ok(());
    }
    Err(at(member.name(), event_code::TOO_LONG, format!("it has more than {MAX_TEXT_BYTES} bytes")))
}

/// A number as an id: its shortest decimal text. Beyond the range of decimals that is known only of whole digits.
fn push_number(member: TextMember, number: &str, slot: &mut String) -> Result<(), Fault> {
    match Decimal::parse(number) {
        Ok(decimal) => {
            // Writing to a string cannot fail.
            let _ = write!(slot, "{decimal}");
            Ok(())
        }
        Err(ParseDecimalError::Range) if number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => {
            check_length(member, number)?;
            slot.push_str(number);
            Ok(())
        }
        Err(_) => Err(at(member.name(), code::OUT_OF_RANGE, "a number as an id lies within ±10^18".into())),
    }
}

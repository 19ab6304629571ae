//! An accepted event as flat bytes: what the log keeps, workers exchange and backfills scan.
//!
//! Layout, little-endian: `length u32` (of all that follows) · `sequence u64` · `timestamp i64` · `accepted_at i64` ·
//! `kind u8` · `user text` · `other text` · `message text` · `event type text` · `properties value` · `context value` ·
//! `traits value`, a text being `length u32` and its bytes. An empty message text is none: ids are never empty.
//!
//! The highest two bits of the kind say where the user stood ([`UserPlace`]). Records of earlier builds have neither: an
//! `identify` of theirs with two ids merged them whoever they were, and still does.

use crate::ast::Millis;
use crate::value::{ContainerWriter, ObjectMembers, ValueRef};

const SEQUENCE_AT: usize = 4;
const TIMESTAMP_AT: usize = 12;
const ACCEPTED_AT: usize = 20;
const KIND_AT: usize = 28;
const TEXTS_AT: usize = 29;
/// The bits of the kind that say where the user stood.
const PLACE_BITS: u8 = 0xc0;

/// The effect of an event, beside counting in measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// An ordinary event; counts.
    Event,
    /// `identify`: counts, and sets traits. Where `other` is not empty it is an anonymous id, first merged into the user
    /// unless whom it stands for is named.
    Identify,
    /// `alias`: merges `other` (the previous id) into the user; counts in nothing.
    Alias,
    /// Erases the user: everything of all ids that are this user then, accepted before it, counts for nothing from then on,
    /// and each of these ids is an unknown user again. Counts in nothing.
    Erasure,
    /// Nothing but a place in the order of acceptance: what stood there is gone. [`records`] passes over it.
    Blank,
}

const NAMED: u8 = 0x80;
const ANONYMOUS: u8 = 0x40;

/// The member of an event that said who its user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum UserPlace {
    /// The record does not say it: one of an alias, of an erasure, or of an earlier build.
    Unsaid = 0,
    /// `userId`, which names the user.
    UserId = NAMED,
    /// `anonymousId`.
    AnonymousId = ANONYMOUS,
}

impl RecordKind {
    /// The kind that a record's byte says, whatever its highest two bits are.
    #[inline]
    fn of(byte: u8) -> Option<RecordKind> {
        Some(match byte & !PLACE_BITS {
            0 => RecordKind::Event,
            1 => RecordKind::Identify,
            2 => RecordKind::Alias,
            3 => RecordKind::Erasure,
            4 => RecordKind::Blank,
            _ => return None,
        })
    }

    /// Returns whether it is an event of its user, which counts in measures and makes the user known.
    #[inline]
    pub fn counts(self) -> bool {
        matches!(self, RecordKind::Event | RecordKind::Identify)
    }
}

/// The parts of a record to be written.
#[derive(Clone, Copy, Debug)]
pub struct RecordHead<'a> {
    /// Milliseconds of the event's own time.
    pub timestamp: Millis,
    /// Milliseconds of the clock when it was accepted.
    pub accepted_at: Millis,
    /// The effect.
    pub kind: RecordKind,
    /// The user (for a plain anonymous event, the anonymous id).
    pub user: &'a str,
    /// The id merged into the user, or empty.
    pub other: &'a str,
    /// The message id, or empty.
    pub message: &'a str,
    /// The event type.
    pub event_type: &'a str,
}

/// Begins a record: the head; the caller then appends the flat values of properties, context and traits, and ends with
/// [`finish`]. Gives the record's start.
pub fn begin(head: RecordHead<'_>, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    let mut fixed = [0; TEXTS_AT];
    fixed[TIMESTAMP_AT..ACCEPTED_AT].copy_from_slice(&head.timestamp.to_le_bytes());
    fixed[ACCEPTED_AT..KIND_AT].copy_from_slice(&head.accepted_at.to_le_bytes());
    fixed[KIND_AT] = head.kind as u8;
    out.extend_from_slice(&fixed);
    for text in [head.user, head.other, head.message, head.event_type] {
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        // Two of them are empty, mostly.
        if !text.is_empty() {
            out.extend_from_slice(text.as_bytes());
        }
    }
    start
}

/// Appends the record of an erasure of the user that an id stands for.
pub fn erasure(user: &str, accepted_at: Millis, out: &mut Vec<u8>) {
    let kind = RecordKind::Erasure;
    plain(RecordHead { timestamp: accepted_at, accepted_at, kind, user, other: "", message: "", event_type: "" }, out);
}

/// Appends what is left of a record that is gone: its place.
pub fn blank(sequence: u64, out: &mut Vec<u8>) {
    let kind = RecordKind::Blank;
    let head = RecordHead { timestamp: 0, accepted_at: 0, kind, user: "", other: "", message: "", event_type: "" };
    let start = plain(head, out);
    set_sequence(&mut out[start..], sequence);
}

/// Appends a record without properties, context and traits; gives its start.
fn plain(head: RecordHead<'_>, out: &mut Vec<u8>) -> usize {
    let start = begin(head, out);
    for _ in 0..3 {
        ContainerWriter::object(out).finish(out);
    }
    finish(start, out);
    start
}

/// Fills in the length of the record begun at `start`.
#[inline]
pub fn finish(start: usize, out: &mut [u8]) {
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Sets the sequence number (the place in the order of acceptance) of the record at the front of `record`.
#[inline]
pub fn set_sequence(record: &mut [u8], sequence: u64) {
    record[SEQUENCE_AT..SEQUENCE_AT + 8].copy_from_slice(&sequence.to_le_bytes());
}

/// Says of the record at the front of `record` where its user stood.
#[inline]
pub fn set_place(record: &mut [u8], place: UserPlace) {
    record[KIND_AT] = record[KIND_AT] & !PLACE_BITS | place as u8;
}

/// Sets the event's own time of the record at the front of `record`.
#[inline]
pub fn set_timestamp(record: &mut [u8], timestamp: Millis) {
    record[TIMESTAMP_AT..TIMESTAMP_AT + 8].copy_from_slice(&timestamp.to_le_bytes());
}

/// Sets the instant of acceptance of the record at the front of `record`.
#[inline]
pub fn set_accepted_at(record: &mut [u8], accepted_at: Millis) {
    record[ACCEPTED_AT..ACCEPTED_AT + 8].copy_from_slice(&accepted_at.to_le_bytes());
}

/// Has each of the consecutive records that was accepted after `to` say that it was accepted at `to`; gives how many there were.
/// The time of such an event becomes `to` as well, unless it is earlier, or lies after its acceptance.
pub fn take_back(run: &mut [u8], to: Millis) -> u64 {
    let (mut at, mut count) = (0, 0);
    while let Some((record, rest)) = run.get(at..).and_then(EventRef::read) {
        let (timestamp, accepted_at) = (record.timestamp(), record.accepted_at());
        let end = run.len() - rest.len();
        if accepted_at > to {
            count += 1;
            set_accepted_at(&mut run[at..end], to);
            if (to..=accepted_at).contains(&timestamp) {
                set_timestamp(&mut run[at..end], to);
            }
        }
        at = end;
    }
    count
}

/// The texts of a record, in their order.
#[derive(Clone, Copy)]
enum RecordText {
    User,
    Other,
    Message,
    EventType,
}

/// A record read in place.
#[derive(Clone, Copy, Debug)]
pub struct EventRef<'a> {
    bytes: &'a [u8],
    /// The end of each text. Texts are decoded only when they are asked for: most records pass through several hands.
    ends: [u32; 4],
}

impl<'a> EventRef<'a> {
    /// Reads a record from the front of `bytes` and gives the rest; `None` where the bytes are damaged.
    #[inline]
    pub fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (bytes, rest) = split_record(bytes)?;
        kind_of(bytes)?;
        let mut ends = [0; 4];
        let mut at = TEXTS_AT;
        for end in &mut ends {
            let (length, texts) = bytes.get(at..)?.split_first_chunk::<4>()?;
            let length = u32::from_le_bytes(*length) as usize;
            if length > texts.len() {
                return None;
            }
            at += 4 + length;
            *end = at as u32;
        }
        Some((EventRef { bytes, ends }, rest))
    }

    #[inline]
    fn text_bytes(&self, text: RecordText) -> &'a [u8] {
        let before = (text as usize).checked_sub(1).map_or(TEXTS_AT, |before| self.ends[before] as usize);
        self.bytes.get(before + 4..self.ends[text as usize] as usize).unwrap_or_default()
    }

    /// A text; empty where its bytes are damaged.
    fn text(&self, text: RecordText) -> &'a str {
        std::str::from_utf8(self.text_bytes(text)).unwrap_or_default()
    }

    #[inline]
    fn values(&self) -> &'a [u8] {
        self.bytes.get(self.ends[RecordText::EventType as usize] as usize..).unwrap_or_default()
    }

    #[inline]
    fn number<const AT: usize>(&self) -> [u8; 8] {
        let mut number = [0; 8];
        number.copy_from_slice(&self.bytes[AT..AT + 8]);
        number
    }

    /// The place in the order of acceptance.
    #[inline]
    pub fn sequence(&self) -> u64 {
        u64::from_le_bytes(self.number::<SEQUENCE_AT>())
    }

    /// Milliseconds of the event's own time.
    #[inline]
    pub fn timestamp(&self) -> Millis {
        i64::from_le_bytes(self.number::<TIMESTAMP_AT>())
    }

    /// Milliseconds of the clock when it was accepted.
    #[inline]
    pub fn accepted_at(&self) -> Millis {
        i64::from_le_bytes(self.number::<ACCEPTED_AT>())
    }

    /// Returns the effect, beside counting.
    #[inline]
    pub fn kind(&self) -> RecordKind {
        RecordKind::of(self.bytes[KIND_AT]).unwrap_or(RecordKind::Blank)
    }

    /// The user.
    #[inline]
    pub fn user(&self) -> &'a str {
        self.text(RecordText::User)
    }

    /// The bytes of the user.
    #[inline]
    pub fn user_bytes(&self) -> &'a [u8] {
        self.text_bytes(RecordText::User)
    }

    /// The id merged into the user, if any.
    pub fn other(&self) -> Option<&'a str> {
        Some(self.text(RecordText::Other)).filter(|other| !other.is_empty())
    }

    /// Returns where the user stood.
    #[inline]
    pub fn place(&self) -> UserPlace {
        match self.bytes[KIND_AT] & PLACE_BITS {
            NAMED => UserPlace::UserId,
            ANONYMOUS => UserPlace::AnonymousId,
            _ => UserPlace::Unsaid,
        }
    }

    /// Returns whether this event names its user: an id of theirs stood as `userId`. An alias names nobody.
    pub fn is_naming(&self) -> bool {
        match self.kind() {
            RecordKind::Event => self.place() == UserPlace::UserId,
            // Those of earlier builds have two ids only if one was the `userId`.
            RecordKind::Identify => self.place() == UserPlace::UserId || self.other().is_some(),
            _ => false,
        }
    }

    /// Returns whether the other id is merged into the user even if whom it stands for is named.
    pub fn merges_named(&self) -> bool {
        match self.kind() {
            RecordKind::Alias => true,
            RecordKind::Identify => self.place() != UserPlace::UserId,
            _ => false,
        }
    }

    /// The message id, if any.
    #[inline]
    pub fn message(&self) -> Option<&'a str> {
        Some(self.text(RecordText::Message)).filter(|message| !message.is_empty())
    }

    /// The event type.
    #[inline]
    pub fn event_type(&self) -> &'a str {
        self.text(RecordText::EventType)
    }

    /// The properties; an object.
    #[inline]
    pub fn properties(&self) -> ValueRef<'a> {
        self.value(0)
    }

    /// The context; an object.
    pub fn context(&self) -> ValueRef<'a> {
        self.value(1)
    }

    /// The traits of an `identify`; an object.
    pub fn traits(&self) -> ObjectMembers<'a> {
        match self.value(2) {
            ValueRef::Object(members) => members,
            _ => ObjectMembers::EMPTY,
        }
    }

    fn value(&self, index: usize) -> ValueRef<'a> {
        let mut rest = self.values();
        for _ in 0..index {
            match ValueRef::read(rest) {
                Some((_, next)) => rest = next,
                None => return ValueRef::Null,
            }
        }
        ValueRef::read(rest).map_or(ValueRef::Null, |(value, _)| value)
    }

    /// Appends this record under another user.
    pub fn write_as(&self, user: &str, out: &mut Vec<u8>) {
        self.write(user, self.text(RecordText::Other), out);
    }

    /// Appends this record without its other id.
    pub fn write_alone(&self, out: &mut Vec<u8>) {
        let start = out.len();
        self.write(self.user(), "", out);
        if self.is_naming() {
            set_place(&mut out[start..], UserPlace::UserId);
        }
    }

    fn write(&self, user: &str, other: &str, out: &mut Vec<u8>) {
        let head = RecordHead {
            timestamp: self.timestamp(),
            accepted_at: self.accepted_at(),
            kind: self.kind(),
            user,
            other,
            message: self.text(RecordText::Message),
            event_type: self.event_type(),
        };
        let start = begin(head, out);
        out[start + KIND_AT] = self.bytes[KIND_AT];
        set_sequence(&mut out[start..], self.sequence());
        out.extend_from_slice(self.values());
        finish(start, out);
    }

    /// The whole record.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// The rest of a record after the erasure of some users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erased {
    /// All of it.
    Nothing,
    /// Its place alone: it was theirs.
    Whole,
    /// All but its other id: it is of somebody who used the id of one of them, and stayed another user.
    Other,
}

impl Erased {
    /// The effect on a record where `is_erased` says which ids are those of the users.
    pub fn of(record: &EventRef<'_>, is_erased: impl Fn(&str) -> bool) -> Erased {
        let is_other = record.other().is_some_and(&is_erased);
        match record.kind() {
            RecordKind::Blank => Erased::Nothing,
            _ if is_erased(record.user()) => Erased::Whole,
            RecordKind::Identify if is_other => Erased::Other,
            _ if is_other => Erased::Whole,
            _ => Erased::Nothing,
        }
    }

    /// Appends what is left of the record.
    pub fn write(self, record: &EventRef<'_>, out: &mut Vec<u8>) {
        match self {
            Erased::Nothing => out.extend_from_slice(record.bytes()),
            Erased::Whole => blank(record.sequence(), out),
            Erased::Other => record.write_alone(out),
        }
    }
}

/// Returns the consecutive records in `bytes`, without blank ones; ends at the first damaged one.
pub fn records(bytes: &[u8]) -> impl Iterator<Item = EventRef<'_>> {
    records_of(bytes, |kind| kind != RecordKind::Blank)
}

/// Returns the consecutive records of some kinds. The others cost a look at their length: their texts are not found.
pub fn records_of(bytes: &[u8], is_meant: impl Fn(RecordKind) -> bool) -> impl Iterator<Item = EventRef<'_>> {
    let mut rest = bytes;
    let mut next = move || {
        let (record, next) = split_record(rest)?;
        rest = next;
        Some((record, kind_of(record)?))
    };
    std::iter::from_fn(move || {
        loop {
            let (record, kind) = next()?;
            if is_meant(kind) {
                return EventRef::read(record).map(|(record, _)| record);
            }
        }
    })
}

/// Returns the event's own time and the effect of the record at the front of `record`, without a look at its texts.
#[inline]
pub fn time_and_kind(record: &[u8]) -> Option<(Millis, RecordKind)> {
    let timestamp = record.get(TIMESTAMP_AT..)?.first_chunk()?;
    Some((i64::from_le_bytes(*timestamp), kind_of(record)?))
}

#[inline]
fn kind_of(record: &[u8]) -> Option<RecordKind> {
    RecordKind::of(*record.get(KIND_AT)?)
}

/// The record at the front of `bytes`, and the rest.
#[inline]
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, _) = bytes.split_first_chunk::<4>()?;
    bytes.split_at_checked(u32::from_le_bytes(*length) as usize + 4)
}

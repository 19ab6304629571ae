//! JSON text read strictly: exact numbers, bounded nesting, valid UTF-8, nothing after the value.
//!
//! The last of equal keys counts. A number beyond ±10^18 is null, which rules take for missing; in events it is its decimal
//! text.

use jiter::Jiter;

use crate::decimal::{Decimal, digits_beyond};
use crate::value::{ContainerWriter, Value, ValueRef, encode_bool, encode_null, encode_number, encode_text};

/// The greatest nesting depth of arrays and objects.
pub const MAX_DEPTH: usize = 64;
/// The longest text that is read; the flat form of a longer one may not fit its 32-bit lengths.
pub const MAX_BYTES: usize = 512 << 20;

/// Why text is not JSON as we take it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {offset}")]
pub struct JsonFault {
    /// The offset in the text, in bytes.
    pub offset: usize,
    /// `malformed_json`, `too_deep` or `too_large`.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl JsonFault {
    fn malformed(offset: usize, message: String) -> Self {
        JsonFault { offset, code: "malformed_json", message }
    }
}

/// Reads one JSON value and nothing else.
pub fn parse_json(bytes: &[u8]) -> Result<Value, JsonFault> {
    if bytes.len() > MAX_BYTES {
        return Err(JsonFault {
            offset: MAX_BYTES,
            code: "too_large",
            message: format!("more than {MAX_BYTES} bytes"),
        });
    }
    let mut flat = Vec::with_capacity(bytes.len());
    let mut reader = JsonReader::new(bytes, Buffers::default())?;
    reader.value(MAX_DEPTH, &mut flat)?;
    reader.finish()?;
    Ok(ValueRef::read(&flat).map_or(Value::Null, |(value, _)| value.to_value()))
}

/// The parts of an object's text: each member's key and the text of its value, in order. The text is not a copy, so
/// what reads it next sees every digit.
pub fn members_of(bytes: &[u8]) -> Result<Vec<(String, &[u8])>, JsonFault> {
    let mut reader = JsonReader::new(bytes, Buffers::default())?;
    let mut ignored = Vec::new();
    let mut members = Vec::new();
    if reader.peek()? != b'{' {
        return reader.expected("an object");
    }
    let mut key = reader.first_key()?.map(str::to_owned);
    while let Some(name) = key {
        reader.peek()?;
        let start = reader.offset();
        ignored.clear();
        reader.value(MAX_DEPTH, &mut ignored)?;
        members.push((name, &bytes[start..reader.offset()]));
        key = reader.next_key()?.map(str::to_owned);
    }
    reader.finish()?;
    Ok(members)
}

/// The buffers that a [`JsonReader`] decodes strings with escapes into; kept, so that they need not grow again.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    tape: Vec<u8>,
    text: String,
}

/// Walks over JSON text and turns values into their flat form.
pub(crate) struct JsonReader<'j> {
    text: &'j str,
    at: usize,
    buffers: Buffers,
    keeps_digits: bool,
}

impl<'j> JsonReader<'j> {
    /// Begins at the front. All of the text must be valid UTF-8.
    pub(crate) fn new(json: &'j [u8], buffers: Buffers) -> Result<Self, JsonFault> {
        match std::str::from_utf8(json) {
            Ok(text) => Ok(Self::of_text(text, buffers)),
            Err(error) => Err(JsonFault::malformed(error.valid_up_to(), "invalid UTF-8".into())),
        }
    }

    /// [`new`](Self::new) for what is known to be valid UTF-8.
    #[inline]
    pub(crate) fn of_text(text: &'j str, buffers: Buffers) -> Self {
        JsonReader { text, at: 0, buffers, keeps_digits: false }
    }

    /// Keeps the digits of numbers beyond the range, as texts; from 10^100 on they are null all the same.
    pub(crate) fn keeping_digits(mut self) -> Self {
        self.keeps_digits = true;
        self
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Returns the text since `start`.
    #[inline]
    fn since(&self, start: usize) -> &'j str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Gives the buffers back.
    pub(crate) fn into_buffers(self) -> Buffers {
        self.buffers
    }

    /// Returns the current offset.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    #[cold]
    fn expected<T>(&self, what: &str) -> Result<T, JsonFault> {
        let found = if self.at < self.text.len() { "" } else { ", found the end" };
        Err(JsonFault::malformed(self.at, format!("expected {what}{found}")))
    }

    #[inline]
    fn skip_space(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    /// The first byte of the value that comes next.
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<u8, JsonFault> {
        match self.skip_space() {
            Some(byte) => Ok(byte),
            None => self.expected("a value"),
        }
    }

    /// Nothing but white space may follow.
    pub(crate) fn finish(&mut self) -> Result<(), JsonFault> {
        if self.skip_space().is_none() { Ok(()) } else { self.expected("nothing more") }
    }

    /// Enters the object that was peeked at.
    pub(crate) fn first_key(&mut self) -> Result<Option<&str>, JsonFault> {
        self.at += 1;
        match self.skip_space() {
            Some(b'"') => self.key(),
            Some(b'}') => self.leave(),
            _ => self.expected("a key or the end of the object"),
        }
    }

    /// The next key of the object, after the value of the key before.
    pub(crate) fn next_key(&mut self) -> Result<Option<&str>, JsonFault> {
        match self.skip_space() {
            Some(b',') => self.at += 1,
            Some(b'}') => return self.leave(),
            _ => return self.expected("a comma or the end of the object"),
        }
        match self.skip_space() {
            Some(b'"') => self.key(),
            _ => self.expected("a key"),
        }
    }

    #[inline]
    fn leave<T>(&mut self) -> Result<Option<T>, JsonFault> {
        self.at += 1;
        Ok(None)
    }

    #[inline]
    fn key(&mut self) -> Result<Option<&str>, JsonFault> {
        let plain = self.plain_text();
        if plain.is_none() {
            self.decode_text()?;
        }
        if self.skip_space() != Some(b':') {
            return self.expected("a colon");
        }
        self.at += 1;
        Ok(Some(plain.unwrap_or(&self.buffers.text)))
    }

    /// The string that was peeked at.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<&str, JsonFault> {
        match self.plain_text() {
            Some(plain) => Ok(plain),
            None => self.escaped_text(),
        }
    }

    /// The string that was peeked at, if it has no escapes; else nothing is read.
    pub(crate) fn plain_text(&mut self) -> Option<&'j str> {
        let start = self.at + 1;
        let rest = self.text.as_bytes().get(start..)?;
        let length = plain_length(rest);
        if rest.get(length) != Some(&b'"') {
            return None;
        }
        self.at = start + length + 1;
        self.text.get(start..start + length)
    }

    /// The string that was peeked at, which has escapes.
    #[cold]
    pub(crate) fn escaped_text(&mut self) -> Result<&str, JsonFault> {
        self.decode_text()?;
        Ok(&self.buffers.text)
    }

    #[cold]
    fn decode_text(&mut self) -> Result<(), JsonFault> {
        let json = self.text.get(self.at..).unwrap_or_default();
        let mut jiter = Jiter::with_tape(json.as_bytes(), std::mem::take(&mut self.buffers.tape));
        let decoded = jiter.known_str().map(|text| {
            self.buffers.text.clear();
            self.buffers.text.push_str(text);
        });
        let length = jiter.current_index();
        self.buffers.tape = jiter.into_tape();
        decoded.map_err(|error| JsonFault::malformed(self.at + error.index, error.error_type.to_string()))?;
        self.at += length;
        Ok(())
    }

    /// The number that was peeked at, and its text, if it is nothing but at most 18 digits; else nothing is read.
    #[inline]
    pub(crate) fn whole_number(&mut self) -> Option<(i64, &'j str)> {
        const MOST_DIGITS: usize = 18;
        let start = self.at;
        let rest = self.text.as_bytes().get(start..)?;
        let (mut value, mut digits) = (0, 0);
        for byte in rest.iter().take(MOST_DIGITS) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value * 10 + i64::from(digit);
            digits += 1;
        }
        let has_more = matches!(rest.get(digits), Some(b'0'..=b'9' | b'.' | b'e' | b'E'));
        if digits == 0 || has_more || (digits > 1 && rest.first() == Some(&b'0')) {
            return None;
        }
        self.at += digits;
        Some((value, self.since(start)))
    }

    /// The text of the number that was peeked at.
    pub(crate) fn number(&mut self) -> Result<&'j str, JsonFault> {
        let start = self.at;
        self.at += usize::from(self.byte() == Some(b'-'));
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return self.expected("a value"),
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(self.since(start))
    }

    fn digits(&mut self) -> Result<(), JsonFault> {
        let start = self.at;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if self.at > start { Ok(()) } else { self.expected("a digit") }
    }

    fn word(&mut self, word: &str) -> Result<(), JsonFault> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return self.expected("a value");
        }
        self.at += word.len();
        Ok(())
    }

    /// The null that was peeked at.
    pub(crate) fn null(&mut self) -> Result<(), JsonFault> {
        self.word("null")
    }

    /// Appends the flat form of the next value, nested at most so deep.
    pub(crate) fn value(&mut self, depth: usize, out: &mut Vec<u8>) -> Result<(), JsonFault> {
        match self.peek()? {
            b'"' => encode_text(self.text()?, out),
            b'n' => {
                self.null()?;
                encode_null(out);
            }
            b't' => {
                self.word("true")?;
                encode_bool(true, out);
            }
            b'f' => {
                self.word("false")?;
                encode_bool(false, out);
            }
            b'{' => self.object(depth, out)?,
            b'[' => self.array(depth, out)?,
            _ => match self.whole_number() {
                Some((number, _)) => encode_number(Decimal::from_integer(number), out),
                None => self.other_number(out)?,
            },
        }
        Ok(())
    }

    fn other_number(&mut self, out: &mut Vec<u8>) -> Result<(), JsonFault> {
        let number = self.number()?;
        match Decimal::parse(number) {
            Ok(number) => encode_number(number, out),
            Err(_) => match digits_beyond(number).filter(|_| self.keeps_digits) {
                Some(digits) => encode_text(&digits, out),
                None => encode_null(out),
            },
        }
        Ok(())
    }

    fn deeper(&self, depth: usize) -> Result<usize, JsonFault> {
        let message = || "arrays and objects are nested too deep".into();
        depth.checked_sub(1).ok_or_else(|| JsonFault { offset: self.at, code: "too_deep", message: message() })
    }

    fn object(&mut self, depth: usize, out: &mut Vec<u8>) -> Result<(), JsonFault> {
        let depth = self.deeper(depth)?;
        let mut writer = ContainerWriter::object(out);
        let mut key = self.first_key()?;
        while let Some(name) = key {
            writer.key(name, out);
            self.value(depth, out)?;
            key = self.next_key()?;
        }
        writer.finish(out);
        Ok(())
    }

    fn array(&mut self, depth: usize, out: &mut Vec<u8>) -> Result<(), JsonFault> {
        let depth = self.deeper(depth)?;
        let mut writer = ContainerWriter::array(out);
        self.at += 1;
        if self.skip_space() == Some(b']') {
            self.at += 1;
            writer.finish(out);
            return Ok(());
        }
        loop {
            writer.count += 1;
            self.value(depth, out)?;
            match self.skip_space() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return self.expected("a comma or the end of the array"),
            }
        }
        self.at += 1;
        writer.finish(out);
        Ok(())
    }
}

/// Returns the number of bytes before the first quote, backslash or control character.
#[inline]
pub fn plain_length(bytes: &[u8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Marks the top bit of bytes below `limit`, at most 0x80. Marks above the lowest one may be wrong.
    let below = |word: u64, limit: u64| word.wrapping_sub(EACH * limit) & !word;
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*word);
        // A quote changes places with the space, so that it stands next to the control characters.
        let (low, backslash) = (word ^ (EACH * 0x02), word ^ (EACH * u64::from(b'\\')));
        let marks = (below(low, 0x21) | below(backslash, 1)) & (EACH << 7);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + short_plain_length(bytes.get(at..).unwrap_or_default())
}

/// [`plain_length`] at the end of a text, byte by byte.
#[cold]
fn short_plain_length(bytes: &[u8]) -> usize {
    let is_plain = |byte: &u8| *byte >= 0x20 && !matches!(byte, b'"' | b'\\');
    bytes.iter().take_while(|byte| is_plain(byte)).count()
}

#[cfg(test)]
mod tests;

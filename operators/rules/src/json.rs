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
            Ok(text) => Ok(JsonReader { text, at: 0, buffers, keeps_digits: false }),
            Err(error) => Err(JsonFault::malformed(error.valid_up_to(), "invalid UTF-8".into())),
        }
    }

    /// Keeps the digits of numbers beyond the range, as texts; from 10^100 on they are null all the same.
    pub(crate) fn keeping_digits(mut self) -> Self {
        self.keeps_digits = true;
        self
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Returns the text since `start`.
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

    fn skip_space(&mut self) -> Option<u8> {
        loop {
            match self.byte() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    /// The first byte of the value that comes next.
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

    fn leave<T>(&mut self) -> Result<Option<T>, JsonFault> {
        self.at += 1;
        Ok(None)
    }

    fn key(&mut self) -> Result<Option<&str>, JsonFault> {
        let plain = self.scan_text()?;
        if self.skip_space() != Some(b':') {
            return self.expected("a colon");
        }
        self.at += 1;
        Ok(Some(plain.unwrap_or(&self.buffers.text)))
    }

    /// The string that was peeked at.
    pub(crate) fn text(&mut self) -> Result<&str, JsonFault> {
        Ok(self.scan_text()?.unwrap_or(&self.buffers.text))
    }

    /// The string that was peeked at where it has no escapes; else it is in the buffer.
    #[inline]
    fn scan_text(&mut self) -> Result<Option<&'j str>, JsonFault> {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let end = start + plain_length(bytes.get(start..).unwrap_or_default());
        if bytes.get(end) != Some(&b'"') {
            return self.decode_text().map(|()| None);
        }
        self.at = end;
        let text = self.since(start);
        self.at += 1;
        Ok(Some(text))
    }

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
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
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
            _ => {
                let number = self.number()?;
                match Decimal::parse(number) {
                    Ok(number) => encode_number(number, out),
                    Err(_) => match digits_beyond(number).filter(|_| self.keeps_digits) {
                        Some(digits) => encode_text(&digits, out),
                        None => encode_null(out),
                    },
                }
            }
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
fn plain_length(bytes: &[u8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Marks the top bit of bytes below `limit`, at most 0x80. Marks above the lowest one may be wrong.
    let below = |word: u64, limit: u64| word.wrapping_sub(EACH * limit) & !word & (EACH << 7);
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let (quote, backslash) = (word ^ (EACH * u64::from(b'"')), word ^ (EACH * u64::from(b'\\')));
        let marks = below(word, 0x20) | below(quote, 1) | below(backslash, 1);
        if marks != 0 {
            return index * 8 + marks.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &u8| *byte >= 0x20 && !matches!(byte, b'"' | b'\\');
    bytes.len() - rest.len() + rest.iter().take_while(|byte| is_plain(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Value {
        Value::Number(Decimal::parse(text).expect("a number"))
    }

    fn parse(text: &str) -> Value {
        parse_json(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    #[test]
    fn json_reads_every_kind_of_value() {
        let value = parse(r#" {"b": [1.50, null, true, false, "é\u0000\ud83d\ude00"], "a": {}, "b2": -0.0e5} "#);
        let items =
            vec![number("1.5"), Value::Null, Value::Bool(true), Value::Bool(false), Value::Text("é\0😀".into())];
        let members =
            vec![("a".into(), Value::Object(vec![])), ("b".into(), Value::Array(items)), ("b2".into(), number("0"))];
        assert_eq!(value, Value::Object(members));
        assert_eq!(parse(r#"{"a": 1, "b": 2, "a": 3}"#).get("a"), Some(&number("3")));
    }

    #[test]
    fn json_numbers_keep_every_digit() {
        assert_eq!(parse("0.12345678905"), number("0.123456789"));
        assert_eq!(parse("9007199254740993.000000001"), number("9007199254740993.000000001"));
        assert_eq!(parse("1e18"), number("1000000000000000000"));
        for text in ["1e19", "-1e400", &"9".repeat(400), &"9".repeat(5000)] {
            assert_eq!(parse(text), Value::Null, "{text}");
        }
        let long = format!("[-1{}.25e-5000, 7]", "0".repeat(5000));
        assert_eq!(parse(&long), Value::Array(vec![number("-1"), number("7")]));
    }

    #[test]
    fn json_refuses_what_is_not_json() {
        let long = format!("{}.", "9".repeat(5000));
        for text in [
            "",
            " ",
            "nul",
            "NaN",
            "Infinity",
            "-Infinity",
            "-",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "0x1",
            "1 2",
            "{} x",
            "[1,]",
            "[1",
            "{",
            r#"{"a"}"#,
            r#"{"a":1,}"#,
            "{a:1}",
            "'a'",
            "\"a",
            "\"\n\"",
            "\"\0\"",
            r#""\x""#,
            r#""\ud800""#,
            r#""\ud800\u0041""#,
            r#""\udc00""#,
            "[1}",
            "\u{feff}1",
            "tru",
            "truex",
            &long,
        ] {
            let fault = parse_json(text.as_bytes()).expect_err(text);
            assert_eq!(fault.code, "malformed_json", "{text}");
            assert!(fault.offset <= text.len(), "{text}");
        }
        for bytes in [&b"\"\xff\""[..], b"{\"\xc3\":1}", b"\"\xed\xa0\x80\"", b"\xff"] {
            assert_eq!(parse_json(bytes).expect_err("not UTF-8").code, "malformed_json");
        }
    }

    #[test]
    fn json_nesting_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse_json(nested(MAX_DEPTH).as_bytes()).is_ok());
        for text in [nested(MAX_DEPTH + 1), nested(10_000), "{\"a\":".repeat(10_000), "[".repeat(1_000_000)] {
            assert_eq!(parse_json(text.as_bytes()).expect_err("too deep").code, "too_deep");
        }
    }

    #[test]
    fn json_gives_members_as_text() {
        let text = br#" { "a" : 1.0 , "b":{"c": [1e400]} } "#;
        let members = members_of(text).expect("an object");
        let expected: [(String, &[u8]); 2] = [("a".into(), b"1.0"), ("b".into(), br#"{"c": [1e400]}"#)];
        assert_eq!(members, expected);
        assert!(members_of(b"[1]").is_err());
        assert!(members_of(b"{} 1").is_err());
        assert!(members_of(b"{\"a\": \"\xff\"}").is_err());
    }

    #[test]
    fn json_finds_the_end_of_plain_bytes_at_every_place() {
        for length in 0..40 {
            let mut bytes = "é€aZ~\u{7f}\u{20ac}#![]".repeat(4).into_bytes()[..length].to_vec();
            assert_eq!(plain_length(&bytes), length);
            for at in 0..length {
                for byte in [b'"', b'\\', 0, 0x1f] {
                    let old = std::mem::replace(&mut bytes[at], byte);
                    assert_eq!(plain_length(&bytes), at);
                    bytes[at] = old;
                }
            }
        }
    }

    /// Takes what `serde_json` takes as a value, and nothing that it does not even skip.
    #[test]
    fn json_agrees_with_another_reader_on_torn_texts() {
        let seed = r#" {"a": [1.50, -0e+5, null, true, false, "x\u00e9\\\"\ud83d\ude00é"], "": {"b":[]}, "a": 12} "#;
        let alphabet = b"\"\\{}[]:,0019.eE+- \n\0\xc3\xa9tfnu";
        let mut state = 1u64;
        let mut random = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..200_000 {
            let mut bytes = seed.as_bytes().to_vec();
            for _ in 0..=random(2) {
                let at = random(bytes.len());
                match random(3) {
                    0 => bytes[at] = alphabet[random(alphabet.len())],
                    1 => bytes.insert(at, alphabet[random(alphabet.len())]),
                    _ => drop(bytes.remove(at)),
                }
            }
            let (ours, text) = (parse_json(&bytes), String::from_utf8_lossy(&bytes).into_owned());
            if serde_json::from_slice::<serde_json::Value>(&bytes).is_ok() {
                assert!(ours.is_ok(), "{text}");
            }
            if ours.is_ok() {
                assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok(), "{text}");
                let texts_are_valid = std::str::from_utf8(&bytes).is_ok();
                assert!(texts_are_valid, "{text}");
            }
        }
    }
}

//! JSON text: where its parts begin and end, and typed documents with the place of a fault.
//!
//! The scan trusts nothing about what is between: a part that is no JSON is found by whoever reads it, and parts of
//! which each is JSON, parted as the scan demands, are JSON as a whole.

use std::ops::Range;

use audience_rules::fault::{Fault, code};
use audience_rules::json::plain_length;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::problem::Problem;

/// Levels of objects and lists.
pub(crate) const MAX_DEPTH: usize = 128;
/// The message for a text with NUL.
pub(crate) const NUL: &str = "a text that is kept has no NUL (U+0000)";

/// The reason why a scan ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScanError {
    /// No JSON, near this byte.
    Malformed(usize),
    /// More than [`MAX_DEPTH`] levels.
    TooDeep,
}

/// A member of an object: its key without the quotes, escapes as written, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonMember {
    pub(crate) key: Range<usize>,
    pub(crate) value: Range<usize>,
}

const fn structural() -> [bool; 256] {
    let mut table = [false; 256];
    let mut bytes: &[u8] = b"\"{}[]";
    while let [first, rest @ ..] = bytes {
        table[*first as usize] = true;
        bytes = rest;
    }
    table
}

static STRUCTURAL: [bool; 256] = structural();

/// The first byte at or after `at` that is no white space.
pub(crate) fn skip_space(json: &[u8], at: usize) -> usize {
    let rest = json.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
}

/// The end of the value that begins at `at`.
pub(crate) fn value_end(json: &[u8], at: usize) -> Result<usize, ScanError> {
    match json.get(at) {
        Some(b'"') => string_end(json, at + 1),
        Some(b'{' | b'[') => nested_end(json, at),
        _ => {
            let rest = json.get(at..).unwrap_or_default();
            let delimiter = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b':' | b' ' | b'\t' | b'\n' | b'\r');
            match rest.iter().position(delimiter).unwrap_or(rest.len()) {
                0 => Err(ScanError::Malformed(at)),
                length => Ok(at + length),
            }
        }
    }
}

/// The byte after the quote that closes the string whose text begins at `at`.
fn string_end(json: &[u8], mut at: usize) -> Result<usize, ScanError> {
    loop {
        at += plain_length(json.get(at..).unwrap_or_default());
        match json.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at += 2,
            // A control character, which whoever reads the text refuses.
            Some(_) => at += 1,
            None => return Err(ScanError::Malformed(json.len())),
        }
    }
}

fn nested_end(json: &[u8], mut at: usize) -> Result<usize, ScanError> {
    let mut depth = 0;
    loop {
        let rest = json.get(at..).unwrap_or_default();
        let found = rest.iter().position(|byte| STRUCTURAL[*byte as usize]).ok_or(ScanError::Malformed(json.len()))?;
        at += found + 1;
        match rest[found] {
            b'"' => at = string_end(json, at)?,
            b'{' | b'[' if depth == MAX_DEPTH => return Err(ScanError::TooDeep),
            b'{' | b'[' => depth += 1,
            _ => depth -= 1,
        }
        if depth == 0 {
            return Ok(at);
        }
    }
}

/// Walks the parts of the list or object that begins at `at`; gives the byte after its end.
fn walk(
    json: &[u8],
    at: usize,
    close: u8,
    mut part: impl FnMut(usize) -> Result<usize, ScanError>,
) -> Result<usize, ScanError> {
    let mut at = skip_space(json, at + 1);
    if json.get(at) == Some(&close) {
        return Ok(at + 1);
    }
    loop {
        at = skip_space(json, part(at)?);
        match json.get(at) {
            Some(b',') => at = skip_space(json, at + 1),
            Some(byte) if *byte == close => return Ok(at + 1),
            _ => return Err(ScanError::Malformed(at)),
        }
    }
}

/// The elements of the list that begins at `at`, at most `limit` and one; gives the byte after its end.
pub(crate) fn elements(json: &[u8], at: usize, limit: usize, out: &mut Vec<Range<usize>>) -> Result<usize, ScanError> {
    walk(json, at, b']', |start| {
        let end = value_end(json, start)?;
        if out.len() <= limit {
            out.push(start..end);
        }
        Ok(end)
    })
}

/// The members of the object that begins at `at`, and the byte after its end.
pub(crate) fn members(json: &[u8], at: usize) -> Result<(Vec<JsonMember>, usize), ScanError> {
    let mut members = Vec::new();
    let end = walk(json, at, b'}', |start| {
        if json.get(start) != Some(&b'"') {
            return Err(ScanError::Malformed(start));
        }
        let key_end = string_end(json, start + 1)?;
        let colon = skip_space(json, key_end);
        if json.get(colon) != Some(&b':') {
            return Err(ScanError::Malformed(colon));
        }
        let value = skip_space(json, colon + 1);
        let end = value_end(json, value)?;
        members.push(JsonMember { key: start + 1..key_end - 1, value: value..end });
        Ok(end)
    })?;
    Ok((members, end))
}

/// Returns whether a member of an object has that key, however it is written.
pub(crate) fn is_key(json: &[u8], member: &JsonMember, key: &str) -> bool {
    let written = &json[member.key.clone()];
    if !written.contains(&b'\\') {
        return written == key.as_bytes();
    }
    let quoted = &json[member.key.start - 1..=member.key.end];
    serde_json::from_slice::<String>(quoted).is_ok_and(|text| text == key)
}

/// Checks that only white space is left.
pub(crate) fn at_end(json: &[u8], at: usize) -> Result<(), ScanError> {
    match skip_space(json, at) {
        at if at == json.len() => Ok(()),
        at => Err(ScanError::Malformed(at)),
    }
}

/// The problem of a failed scan.
pub(crate) fn scan_problem(json: &[u8], scan: ScanError) -> Problem {
    match scan {
        ScanError::TooDeep => Problem::bad_request(
            code::TOO_DEEP,
            format!("the JSON has more than {MAX_DEPTH} levels of objects and lists"),
        ),
        ScanError::Malformed(at) => malformed(json)
            .unwrap_or_else(|| Problem::bad_request("malformed_json", format!("the body is no JSON, near byte {at}"))),
    }
}

/// The reason why the text is no JSON, with line and column; `None` if it is JSON.
pub(crate) fn malformed(json: &[u8]) -> Option<Problem> {
    let problem = |detail: String| Some(Problem::bad_request("malformed_json", detail));
    if json.iter().all(u8::is_ascii_whitespace) {
        return problem("the body is empty; it must be JSON".into());
    }
    if let Err(error) = std::str::from_utf8(json) {
        return problem(format!("the body is no UTF-8 from byte {} on", error.valid_up_to()));
    }
    let error = serde_json::from_slice::<IgnoredAny>(json).err()?;
    problem(format!("the body is no JSON: {error}"))
}

/// Checks that a text is JSON within bounds, but for what [`malformed`] or a reader finds.
fn check(json: &[u8]) -> Result<(), Problem> {
    let start = skip_space(json, 0);
    let scanned = value_end(json, start).and_then(|end| at_end(json, end));
    scanned.map_err(|scan| scan_problem(json, scan))
}

/// Reads a document whose texts are to be stored: none of them may hold NUL, which not every store can keep.
pub(crate) fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    let read = parse_with_nul(json)?;
    let faults = nul_faults(json);
    if faults.is_empty() { Ok(read) } else { Err(Problem::invalid(faults)) }
}

/// The faults of a document with NUL in a text or a key.
fn nul_faults(json: &[u8]) -> Vec<Fault> {
    // Only an escape can stand for it.
    if !json.windows(6).any(|window| window == br"\u0000") {
        return Vec::new();
    }
    let mut faults = Vec::new();
    if let Ok(value) = serde_json::from_slice(json) {
        find_nul(&value, "", &mut faults);
    }
    faults
}

fn find_nul(value: &Value, pointer: &str, faults: &mut Vec<Fault>) {
    let fault =
        |pointer: &str| Fault { pointer: pointer.to_owned(), code: code::OUT_OF_RANGE, message: NUL.to_owned() };
    match value {
        Value::String(text) if text.contains('\0') => faults.push(fault(pointer)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| find_nul(item, &format!("{pointer}/{at}"), faults));
        }
        Value::Object(members) => {
            for (key, value) in members {
                let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                if key.contains('\0') {
                    faults.push(fault(&pointer));
                }
                find_nul(value, &pointer, faults);
            }
        }
        _ => {}
    }
}

/// Reads a document in which NUL is looked for by who asks.
pub(crate) fn parse_with_nul<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    check(json)?;
    if let Some(problem) = malformed(json) {
        return Err(problem);
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| Problem::invalid(vec![fault(&error)]))
}

/// Reads a document that is an object. (serde would also take a list of the members' values.)
pub(crate) fn parse_object<T: DeserializeOwned>(json: &[u8]) -> Result<T, Problem> {
    check_object(json)?;
    parse(json)
}

/// Refuses what is no object.
pub(crate) fn check_object(json: &[u8]) -> Result<(), Problem> {
    if json.get(skip_space(json, 0)) != Some(&b'{') {
        let problem = || Problem::fault("", code::WRONG_TYPE, "the body must be an object");
        return Err(malformed(json).unwrap_or_else(problem));
    }
    Ok(())
}

/// A fault of a well-formed document, from what serde says of it.
fn fault(error: &serde_path_to_error::Error<serde_json::Error>) -> Fault {
    let mut pointer = String::new();
    for segment in error.path() {
        use serde_path_to_error::Segment;
        let token = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&token);
    }
    let text = error.inner().to_string();
    // serde_json puts the place in the text at the end.
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    let code = match message {
        text if text.starts_with("unknown field") => code::UNKNOWN_KEY,
        text if text.starts_with("missing field") => code::MISSING_MEMBER,
        text if text.starts_with("duplicate field") => code::UNEXPECTED_MEMBER,
        _ => code::WRONG_TYPE,
    };
    if matches!(code, code::UNKNOWN_KEY | code::UNEXPECTED_MEMBER) {
        // The path may end at the object; the member's name is in the text.
        let name = message.split('`').nth(1).unwrap_or_default().replace('~', "~0").replace('/', "~1");
        if !pointer.ends_with(&format!("/{name}")) {
            pointer = format!("{pointer}/{name}");
        }
    }
    Fault { pointer, code, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    fn texts(json: &str) -> Result<Vec<&str>, ScanError> {
        let mut out = Vec::new();
        let end = elements(json.as_bytes(), 0, 100, &mut out)?;
        at_end(json.as_bytes(), end)?;
        Ok(out.into_iter().map(|range| &json[range]).collect())
    }

    #[test]
    fn elements_of_lists() {
        assert_eq!(texts("[]").unwrap(), Vec::<&str>::new());
        assert_eq!(texts("[ ] ").unwrap(), Vec::<&str>::new());
        assert_eq!(
            texts(r#"[1, {"a":"]}\"\\"} ,[2,[3]], "x,y" ]"#).unwrap(),
            ["1", r#"{"a":"]}\"\\"}"#, "[2,[3]]", r#""x,y""#]
        );
        let control = "{\"a\": \"0123456789\u{1}\n0123\\\\\\\"]\"}";
        assert_eq!(texts(&format!("[{control}, 1]")).unwrap(), [control, "1"]);
        for bad in ["[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[\"a]", "[{]", "[1]x", "[\"\\", "[}", "[:]"] {
            assert!(matches!(texts(bad), Err(ScanError::Malformed(_))) || bad == "[}", "{bad}");
        }
    }

    #[test]
    fn members_of_objects() {
        let json = br#"{ "a\"b" : [1] , "c":{"d":2}} "#;
        let (members, end) = members(json, 0).unwrap();
        let pairs: Vec<_> = members.iter().map(|m| (&json[m.key.clone()], &json[m.value.clone()])).collect();
        assert_eq!(pairs, [(&br#"a\"b"#[..], &b"[1]"[..]), (b"c", br#"{"d":2}"#)]);
        assert_eq!(at_end(json, end), Ok(()));
        assert!(is_key(json, &members[0], "a\"b") && is_key(json, &members[1], "c") && !is_key(json, &members[1], "d"));
        for bad in ["{", "{a:1}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\" 1}", "{\"a\":1 \"b\":2}"] {
            assert!(super::members(bad.as_bytes(), 0).is_err(), "{bad}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(check(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(check(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err().code, "too_deep");
        assert_eq!(check("[".repeat(1_000_000).as_bytes()).unwrap_err().code, "too_deep");
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct TestDocument {
        name: String,
        #[serde(default)]
        tags: Vec<String>,
    }

    #[test]
    fn places_of_faults() {
        let fault = |json: &str| {
            let problem = parse_object::<TestDocument>(json.as_bytes()).unwrap_err();
            let first = problem.errors.first().map(|fault| (fault.pointer.clone(), fault.code));
            first.unwrap_or_else(|| (problem.detail.clone(), problem.code))
        };
        assert_eq!(fault(r#"{"name":"a","a/b":1}"#), ("/a~1b".into(), "unknown_key"));
        assert_eq!(fault(r#"{"name":"a","tags":["a",1]}"#), ("/tags/1".into(), "wrong_type"));
        assert_eq!(fault(r#"{"name":1}"#), ("/name".into(), "wrong_type"));
        assert_eq!(fault(r#"{"name":"a","name":"b"}"#), ("/name".into(), "unexpected_member"));
        assert_eq!(fault("{}"), (String::new(), "missing_member"));
        assert_eq!(fault("7"), (String::new(), "wrong_type"));
        assert_eq!(fault(r#"["a", []]"#), (String::new(), "wrong_type"));
        assert_eq!(fault(r#"{"name":"a\u0000b"}"#), ("/name".into(), "out_of_range"));
        assert_eq!(fault(r#"{"name":"a","tags":["a","\u0000"]}"#), ("/tags/1".into(), "out_of_range"));
        assert!(parse::<TestDocument>(br#"{"name":"\\u0000"}"#).is_ok(), "a backslash, and five letters");
        assert_eq!(parse::<Value>(br#"{"a":{"b/\u0000":1}}"#).unwrap_err().errors[0].pointer, "/a/b~1\0");
        let (detail, code) = fault("{\"name\":\n nope}");
        assert_eq!(code, "malformed_json");
        assert!(detail.contains("line 2 column"), "{detail}");
        assert_eq!(fault("").1, "malformed_json");
    }
}

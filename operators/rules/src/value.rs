//! JSON values as rules see them, owned ([`Value`]) and as flat bytes read in place ([`ValueRef`]).
//!
//! Flat bytes exist because the engine, the log and the exchange between workers all carry the same event: it is
//! encoded once, and a path is found in it without an allocation. A number beyond ±10^18 is [`Value::Null`]: rules
//! take it for missing.

use std::sync::Arc;

use crate::decimal::Decimal;

/// An owned JSON value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Value {
    /// null, and every number beyond the range.
    #[default]
    Null,
    /// true or false.
    Bool(bool),
    /// An exact decimal.
    Number(Decimal),
    /// A string.
    Text(Arc<str>),
    /// An array.
    Array(Vec<Value>),
    /// An object, sorted by key, the last of equal keys.
    Object(Vec<(Arc<str>, Value)>),
}

impl Value {
    /// The member of that name, where this is an object.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => {
                members.binary_search_by(|(name, _)| (**name).cmp(key)).ok().map(|at| &members[at].1)
            }
            _ => None,
        }
    }

    /// Appends the flat form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.push(tag::NULL),
            Value::Bool(value) => encode_bool(*value, out),
            Value::Number(number) => encode_number(*number, out),
            Value::Text(text) => encode_text(text, out),
            Value::Array(items) => {
                let mut writer = ContainerWriter::array(out);
                for item in items {
                    writer.count += 1;
                    item.encode(out);
                }
                writer.finish(out);
            }
            Value::Object(members) => {
                let mut writer = ContainerWriter::object(out);
                for (key, value) in members {
                    writer.key(key, out);
                    value.encode(out);
                }
                writer.finish(out);
            }
        }
    }
}

mod tag {
    pub(super) const NULL: u8 = 0;
    pub(super) const FALSE: u8 = 1;
    pub(super) const TRUE: u8 = 2;
    pub(super) const NUMBER_SMALL: u8 = 3;
    pub(super) const NUMBER: u8 = 4;
    pub(super) const TEXT: u8 = 5;
    pub(super) const ARRAY: u8 = 6;
    pub(super) const OBJECT: u8 = 7;
}

/// Appends null.
#[inline]
pub fn encode_null(out: &mut Vec<u8>) {
    out.push(tag::NULL);
}

/// Appends true or false.
#[inline]
pub fn encode_bool(value: bool, out: &mut Vec<u8>) {
    out.push(if value { tag::TRUE } else { tag::FALSE });
}

/// Appends a number.
#[inline]
pub fn encode_number(number: Decimal, out: &mut Vec<u8>) {
    match i64::try_from(number.units()) {
        Ok(units) => {
            let mut bytes = [tag::NUMBER_SMALL; 9];
            bytes[1..].copy_from_slice(&units.to_le_bytes());
            out.extend_from_slice(&bytes);
        }
        Err(_) => {
            out.push(tag::NUMBER);
            out.extend_from_slice(&number.units().to_le_bytes());
        }
    }
}

/// The flat form of an object without members.
pub(crate) const EMPTY_OBJECT: [u8; 9] = [tag::OBJECT, 0, 0, 0, 0, 0, 0, 0, 0];

/// Appends a text.
#[inline]
pub fn encode_text(text: &str, out: &mut Vec<u8>) {
    let mut head = [tag::TEXT; 5];
    head[1..].copy_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(text.as_bytes());
}

/// Writes an array or an object whose size is known only at its end.
#[must_use = "a container that is not finished has no length"]
pub struct ContainerWriter {
    start: usize,
    /// Items (or members) so far; for arrays the caller counts.
    pub count: u32,
}

impl ContainerWriter {
    /// Begins an array; add one to `count` for every item.
    #[inline]
    pub fn array(out: &mut Vec<u8>) -> Self {
        Self::begin(tag::ARRAY, out)
    }

    /// Begins an object; call [`key`](Self::key) before every value.
    #[inline]
    pub fn object(out: &mut Vec<u8>) -> Self {
        Self::begin(tag::OBJECT, out)
    }

    #[inline]
    fn begin(tag: u8, out: &mut Vec<u8>) -> Self {
        let start = out.len() + 1;
        out.extend_from_slice(&[tag, 0, 0, 0, 0, 0, 0, 0, 0]);
        ContainerWriter { start, count: 0 }
    }

    /// Appends a member's key.
    #[inline]
    pub fn key(&mut self, key: &str, out: &mut Vec<u8>) {
        self.count += 1;
        out.extend_from_slice(&(key.len() as u32).to_le_bytes());
        out.extend_from_slice(key.as_bytes());
    }

    /// Fills in the length and the count.
    #[inline]
    pub fn finish(self, out: &mut [u8]) {
        let length = (out.len() - self.start - 8) as u32;
        // Both at once: the count stands after the length.
        let sizes = u64::from(length) | u64::from(self.count) << 32;
        out[self.start..self.start + 8].copy_from_slice(&sizes.to_le_bytes());
    }
}

/// A JSON value read in place from its flat form.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// null, and every number beyond the range.
    Null,
    /// true or false.
    Bool(bool),
    /// An exact decimal.
    Number(Decimal),
    /// A string.
    Text(&'a str),
    /// An array.
    Array(ArrayItems<'a>),
    /// An object. The last of equal keys counts.
    Object(ObjectMembers<'a>),
}

impl<'a> ValueRef<'a> {
    /// Reads a value from the front of `bytes` and gives the rest; `None` where the bytes are damaged.
    #[inline]
    pub fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (tag, rest) = bytes.split_first()?;
        Some(match *tag {
            tag::NULL => (ValueRef::Null, rest),
            tag::FALSE => (ValueRef::Bool(false), rest),
            tag::TRUE => (ValueRef::Bool(true), rest),
            tag::NUMBER_SMALL => {
                let (units, rest) = rest.split_first_chunk::<8>()?;
                (ValueRef::Number(Decimal::from_units(i64::from_le_bytes(*units).into())), rest)
            }
            tag::NUMBER => {
                let (units, rest) = rest.split_first_chunk::<16>()?;
                (ValueRef::Number(Decimal::from_units(i128::from_le_bytes(*units))), rest)
            }
            tag::TEXT => {
                let (text, rest) = read_text(rest)?;
                (ValueRef::Text(text), rest)
            }
            tag::ARRAY | tag::OBJECT => {
                let (length, rest) = rest.split_first_chunk::<4>()?;
                let (count, rest) = rest.split_first_chunk::<4>()?;
                let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
                let count = u32::from_le_bytes(*count);
                if *tag == tag::ARRAY {
                    (ValueRef::Array(ArrayItems { bytes, count }), rest)
                } else {
                    (ValueRef::Object(ObjectMembers { bytes, count }), rest)
                }
            }
            _ => return None,
        })
    }

    /// The value found by descending through objects. At each, the whole rest of the path is first tried as a key, dots and
    /// all; a key whose value is null counts as absent.
    pub fn path(self, keys: &[Arc<str>]) -> Option<ValueRef<'a>> {
        let mut value = self;
        for (index, key) in keys.iter().enumerate() {
            let ValueRef::Object(members) = value else { return None };
            let Some(rest @ [_, _, ..]) = keys.get(index..) else { return members.get(key) };
            let (mut own, mut flat) = (None, None);
            members.scan(|name, value| {
                if name == key.as_bytes() {
                    own = Some(value);
                } else if is_joined(name, rest) {
                    flat = Some(value);
                }
            });
            if let Some(flat) = read_value(flat).filter(|flat| !flat.is_null()) {
                return Some(flat);
            }
            value = read_value(own)?;
        }
        Some(value)
    }

    /// Returns whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self, ValueRef::Null)
    }

    /// The owned form.
    pub fn to_value(self) -> Value {
        match self {
            ValueRef::Null => Value::Null,
            ValueRef::Bool(value) => Value::Bool(value),
            ValueRef::Number(number) => Value::Number(number),
            ValueRef::Text(text) => Value::Text(text.into()),
            ValueRef::Array(items) => Value::Array(items.map(ValueRef::to_value).collect()),
            ValueRef::Object(members) => {
                let map: std::collections::BTreeMap<Arc<str>, Value> =
                    members.map(|(key, value)| (Arc::from(key), value.to_value())).collect();
                Value::Object(map.into_iter().collect())
            }
        }
    }
}

/// Reads the value at the front, if there is one.
#[inline]
fn read_value(bytes: Option<&[u8]>) -> Option<ValueRef<'_>> {
    bytes.and_then(ValueRef::read).map(|(value, _)| value)
}

/// Reads a length-prefixed text.
#[inline]
fn read_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (text, rest) = read_text_bytes(bytes)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// Reads the bytes of a length-prefixed text.
#[inline]
fn read_text_bytes(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

/// The bytes after the value at the front; `None` where the bytes are damaged.
#[inline]
fn skip_value(bytes: &[u8]) -> Option<&[u8]> {
    let (tag, rest) = bytes.split_first()?;
    let length = match *tag {
        tag::NULL | tag::FALSE | tag::TRUE => 0,
        tag::NUMBER_SMALL => 8,
        tag::NUMBER => 16,
        tag::TEXT => 4 + u32::from_le_bytes(*rest.first_chunk()?) as usize,
        tag::ARRAY | tag::OBJECT => 8 + u32::from_le_bytes(*rest.first_chunk()?) as usize,
        _ => return None,
    };
    rest.get(length..)
}

/// The items of an array.
#[derive(Clone, Copy, Debug)]
pub struct ArrayItems<'a> {
    bytes: &'a [u8],
    count: u32,
}

impl<'a> ArrayItems<'a> {
    /// Returns the number of items left.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Returns whether none is left.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> Iterator for ArrayItems<'a> {
    type Item = ValueRef<'a>;

    fn next(&mut self) -> Option<ValueRef<'a>> {
        if self.count == 0 {
            return None;
        }
        let (value, rest) = ValueRef::read(self.bytes)?;
        self.bytes = rest;
        self.count -= 1;
        Some(value)
    }
}

/// The members of an object, in the order in which they were written.
#[derive(Clone, Copy, Debug)]
pub struct ObjectMembers<'a> {
    bytes: &'a [u8],
    count: u32,
}

impl<'a> ObjectMembers<'a> {
    /// An object without members.
    pub const EMPTY: ObjectMembers<'static> = ObjectMembers { bytes: &[], count: 0 };

    /// The last member of that name.
    pub fn get(self, key: &str) -> Option<ValueRef<'a>> {
        let mut found = None;
        self.scan(|name, value| {
            if name == key.as_bytes() {
                found = Some(value);
            }
        });
        read_value(found)
    }

    /// Gives each member's name, and the bytes from its value on. No value is read, no text decoded.
    #[inline]
    fn scan(self, mut take: impl FnMut(&'a [u8], &'a [u8])) {
        let mut rest = self.bytes;
        for _ in 0..self.count {
            let Some((name, value)) = read_text_bytes(rest) else { return };
            take(name, value);
            let Some(next) = skip_value(value) else { return };
            rest = next;
        }
    }

    /// Returns whether none is left.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Returns whether a name is these keys, joined by dots.
fn is_joined(name: &[u8], keys: &[Arc<str>]) -> bool {
    let mut rest = Some(name);
    for (index, key) in keys.iter().enumerate() {
        let after = rest.and_then(|rest| rest.strip_prefix(key.as_bytes()));
        rest = if index + 1 < keys.len() { after.and_then(|rest| rest.strip_prefix(b".")) } else { after };
    }
    rest.is_some_and(<[u8]>::is_empty)
}

impl<'a> Iterator for ObjectMembers<'a> {
    type Item = (&'a str, ValueRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.count == 0 {
            return None;
        }
        let (key, rest) = read_text(self.bytes)?;
        let (value, rest) = ValueRef::read(rest)?;
        self.bytes = rest;
        self.count -= 1;
        Some((key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Value {
        let number = |text| Value::Number(Decimal::parse(text).expect("a number"));
        Value::Object(vec![
            ("a".into(), Value::Array(vec![number("1.5"), Value::Null, Value::Bool(true), Value::Text("é".into())])),
            (
                "b".into(),
                Value::Object(vec![("c".into(), number("1000000000000000000")), ("d".into(), Value::Bool(false))]),
            ),
            ("e".into(), Value::Array(vec![])),
        ])
    }

    #[test]
    fn value_is_the_same_in_its_flat_and_owned_forms() {
        let mut bytes = Vec::new();
        sample().encode(&mut bytes);
        bytes.push(99);
        let (value, rest) = ValueRef::read(&bytes).expect("whole");
        assert_eq!(value.to_value(), sample());
        assert_eq!(rest, [99]);
        let found = value.path(&["b".into(), "c".into()]).expect("there").to_value();
        assert_eq!(&found, sample().get("b").and_then(|b| b.get("c")).expect("there"));
        assert!(value.path(&["a".into(), "c".into()]).is_none());
        let joined = |name: &str, keys: &[&str]| {
            is_joined(name.as_bytes(), &keys.iter().map(|key| (*key).into()).collect::<Vec<_>>())
        };
        assert!(joined("a.b.c", &["a", "b", "c"]) && joined("a..c", &["a", "", "c"]));
        assert!(!joined("a.b", &["a", "b", "c"]) && !joined("a.b.c", &["a", "b"]) && !joined("a.bc", &["a", "b"]));
    }

    #[test]
    fn value_at_a_path_is_the_last_member_of_its_name_or_joined_names() {
        let path = |json: &str, keys: &[&str]| {
            let mut bytes = Vec::new();
            crate::flat::json_to_flat(json.as_bytes(), &mut bytes).expect("JSON");
            let keys: Vec<Arc<str>> = keys.iter().map(|key| (*key).into()).collect();
            ValueRef::read(&bytes).and_then(|(value, _)| value.path(&keys)).map(ValueRef::to_value)
        };
        let number = |text| Some(Value::Number(Decimal::parse(text).expect("a number")));
        assert_eq!(path(r#"{"a": 1, "b": [[2], {"a": 3}], "a": 4, "c": "x"}"#, &["a"]), number("4"));
        assert_eq!(path(r#"{"a": {"b": 1}, "a.b": 2}"#, &["a", "b"]), number("2"));
        assert_eq!(path(r#"{"a.b": 2, "a": {"b": 1}, "a.b": null}"#, &["a", "b"]), number("1"));
        assert_eq!(path(r#"{"a": {"b": 1}, "a": {"b.c": 3}}"#, &["a", "b", "c"]), number("3"));
        assert_eq!(path(r#"{"a": {"b": 1}, "ab": 2, "a.bc": 3}"#, &["a", "c"]), None);
        assert_eq!(path(r#"{"a": 1}"#, &["a", "b"]), None);
    }

    #[test]
    fn value_of_damaged_bytes_never_panics() {
        let mut bytes = Vec::new();
        sample().encode(&mut bytes);
        for end in 0..bytes.len() {
            let _ = ValueRef::read(&bytes[..end]).map(|(value, _)| value.to_value());
            let mut torn = bytes.clone();
            torn[end] ^= 0xff;
            let _ = ValueRef::read(&torn).map(|(value, _)| value.to_value());
            let _ =
                ValueRef::read(&torn).map(|(value, _)| value.path(&["b".into(), "c".into()]).map(ValueRef::to_value));
        }
    }
}

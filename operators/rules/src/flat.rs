//! Flat values ↔ JSON text that says the same, member by member in their order, so that a value comes back as the same
//! bytes.

use std::fmt::Write as _;

use crate::json::{Buffers, JsonFault, JsonReader};
use crate::value::ValueRef;

/// The greatest nesting depth of a value: more than that of any event.
const MAX_DEPTH: usize = 64;

/// Appends a value as JSON.
pub fn flat_to_json(value: ValueRef<'_>, out: &mut String) {
    match value {
        ValueRef::Null => out.push_str("null"),
        ValueRef::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        // Writing to a string cannot fail.
        ValueRef::Number(number) => drop(write!(out, "{number}")),
        ValueRef::Text(text) => text_to_json(text, out),
        ValueRef::Array(items) => {
            out.push('[');
            for (index, item) in items.enumerate() {
                if index > 0 {
                    out.push(',');
                }
                flat_to_json(item, out);
            }
            out.push(']');
        }
        ValueRef::Object(members) => {
            out.push('{');
            for (index, (key, member)) in members.enumerate() {
                if index > 0 {
                    out.push(',');
                }
                text_to_json(key, out);
                out.push(':');
                flat_to_json(member, out);
            }
            out.push('}');
        }
    }
}

/// Appends the flat form of a JSON text.
pub fn json_to_flat(json: &[u8], out: &mut Vec<u8>) -> Result<(), JsonFault> {
    let mut reader = JsonReader::new(json, Buffers::default())?;
    reader.value(MAX_DEPTH, out)?;
    reader.finish()
}

fn text_to_json(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => drop(write!(out, "\\u{:04x}", control as u32)),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_value_comes_back_as_the_same_bytes() {
        for json in [
            r#"{"b":1,"a":[true,false,null,-0.000000001,123456789012345678.5],"b":"twice","":{"x":{}},"e":[]}"#,
            "[\"\\u0000\\u001f\\\"\\\\/\\n\\r\\t é\u{1f600}\u{2028}\", 1e17, 1e40, -1E-3]",
            "null",
            "[[[[{}]]]]",
        ] {
            let (mut flat, mut again, mut text) = (Vec::new(), Vec::new(), String::new());
            json_to_flat(json.as_bytes(), &mut flat).expect("JSON");
            flat_to_json(ValueRef::read(&flat).expect("flat").0, &mut text);
            json_to_flat(text.as_bytes(), &mut again).expect("JSON again");
            assert_eq!(again, flat, "{json} as {text}");
            assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
        }
        assert!(json_to_flat(b"{} x", &mut Vec::new()).is_err());
        assert!(json_to_flat("[".repeat(100).as_bytes(), &mut Vec::new()).is_err());
    }
}

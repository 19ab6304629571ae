//! Builders that the unit tests share.

use crate::json::parse_json;
use crate::value::Value;

/// The value of JSON text that is known to be valid.
pub(crate) fn json(text: &str) -> Value {
    match parse_json(text.as_bytes()) {
        Ok(value) => value,
        Err(fault) => panic!("{text}: {fault:?}"),
    }
}

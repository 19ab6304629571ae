//! JSON merge patch (RFC 7396), over texts.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Tells `null` from what is not there.
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// RFC 7396 over texts, so that numbers stay as they are written; `None` for null.
pub(crate) fn merge(target: &RawValue, patch: &RawValue) -> Option<Box<RawValue>> {
    if patch.get() == "null" {
        return None;
    }
    let Some(patch_members) = object(patch) else { return Some(patch.to_owned()) };
    let mut members = object(target).unwrap_or_default();
    for (key, change) in patch_members {
        let base = members.remove(&key);
        let merged = match &base {
            Some(base) => merge(base, &change),
            None => serde_json::from_str(EMPTY).ok().and_then(|empty: Box<RawValue>| merge(&empty, &change)),
        };
        if let Some(merged) = merged {
            members.insert(key, merged);
        }
    }
    serde_json::value::to_raw_value(&members).ok()
}

const EMPTY: &str = "{}";

fn object(value: &RawValue) -> Option<BTreeMap<String, Box<RawValue>>> {
    value.get().starts_with('{').then(|| serde_json::from_str(value.get()).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(target: &str, patch: &str) -> Option<String> {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        merge(&raw(target), &raw(patch)).map(|merged| merged.get().to_owned())
    }

    /// The examples of RFC 7396, appendix A.
    #[test]
    fn merge_patch() {
        for (target, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            ("{}", r#"{"v":999999999999999999.123456789}"#, r#"{"v":999999999999999999.123456789}"#),
        ] {
            assert_eq!(merged(target, patch).as_deref(), Some(result), "{target} {patch}");
        }
        assert_eq!(merged("{}", "null"), None);
    }
}

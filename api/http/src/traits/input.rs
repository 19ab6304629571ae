//! Requests to create, replace and change computed traits.

use std::collections::BTreeMap;

use audience_protocol::TraitInput;
use serde_json::value::RawValue;

use crate::json;
use crate::problem::Problem;
use crate::reply;
use crate::versions::checked_note;

/// Reads a definition as sent, with the author's note in it.
pub(crate) fn read(body: &[u8]) -> Result<TraitInput, Problem> {
    let definition: Box<RawValue> = json::parse(body)?;
    if !definition.get().starts_with('{') {
        return Err(Problem::fault("", "wrong_type", "a computed trait is an object"));
    }
    // A member given twice is for the rule parser to refuse.
    let mut members: BTreeMap<String, Box<RawValue>> = json::parse(definition.get().as_bytes())?;
    let Some(note) = members.remove("note") else { return Ok(TraitInput { definition, note: None }) };
    let wrong_type = |_| Problem::fault("/note", "wrong_type", "a note is a text");
    let note: Option<String> = serde_json::from_str(note.get()).map_err(wrong_type)?;
    let definition = serde_json::value::to_raw_value(&members).map_err(|_| Problem::internal())?;
    Ok(TraitInput { definition, note: checked_note(note, "/note")? })
}

/// The name in a definition.
pub(crate) fn name_of(input: &TraitInput) -> Option<String> {
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(input.definition.get()).ok()?;
    serde_json::from_str(members.get("name")?.get()).ok()
}

/// The definition under the name of the path: put in where it has none, refused where it has another.
pub(crate) fn named(input: TraitInput, name: &str) -> Result<TraitInput, Problem> {
    let members: BTreeMap<String, Box<RawValue>> = json::parse(input.definition.get().as_bytes())?;
    let Some(found) = members.get("name") else {
        let rest = input.definition.get()[1..].trim_start();
        let comma = if rest == "}" { "" } else { "," };
        let name = String::from_utf8(reply::to_json(name)).unwrap_or_default();
        let definition = RawValue::from_string(format!("{{\"name\":{name}{comma}{rest}"));
        return Ok(TraitInput { definition: definition.map_err(|_| Problem::internal())?, ..input });
    };
    match serde_json::from_str::<String>(found.get()) {
        Ok(found) if found != name => Err(Problem::fault("/name", "wrong_name", "the name is not the one in the path")),
        // What is no text is for the rule parser to refuse.
        _ => Ok(input),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_bears_the_name_of_the_path() {
        let named = |text: &str| {
            let named = read(text.as_bytes()).and_then(|input| named(input, "a\"b"));
            named.map(|input| input.definition.get().to_owned()).map_err(|problem| problem.errors[0].pointer.clone())
        };
        assert_eq!(named("{}").unwrap(), r#"{"name":"a\"b"}"#);
        assert_eq!(named(r#"{ "event":"x"}"#).unwrap(), r#"{"name":"a\"b","event":"x"}"#);
        assert_eq!(named(r#"{"name":"a\"b"}"#).unwrap(), r#"{"name":"a\"b"}"#);
        assert_eq!(named(r#"{"name":"c"}"#).unwrap_err(), "/name");
        assert_eq!(named("[]").unwrap_err(), "");
    }

    #[test]
    fn a_note_is_the_versions_and_not_the_definitions() {
        let input = read(br#"{"name":"a","note":"why","event":"x"}"#).unwrap();
        assert_eq!((input.note.as_deref(), name_of(&input).as_deref()), (Some("why"), Some("a")));
        assert!(!input.definition.get().contains("note"), "{}", input.definition);
        for faulty in [r#"{"note":7}"#.to_owned(), format!(r#"{{"note":"{}"}}"#, "x".repeat(1_001))] {
            assert_eq!(read(faulty.as_bytes()).unwrap_err().errors[0].pointer, "/note");
        }
    }
}

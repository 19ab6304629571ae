//! Versions of documents: the notes of their authors, and the way back to an earlier one.

use audience_rules::fault::code;
use hyper::StatusCode;
use serde::Deserialize;

use crate::json;
use crate::problem::Problem;

/// Characters of a note.
const MAX_NOTE: usize = 1_000;

/// The body of a rollback.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollbackBody {
    /// The version to go back to.
    pub(crate) version: u64,
    /// The author's note.
    #[serde(default)]
    pub(crate) note: Option<String>,
}

impl RollbackBody {
    /// Reads a body.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Problem> {
        let RollbackBody { version, note } = json::parse_object(body)?;
        Ok(RollbackBody { version, note: checked_note(note, "/note")? })
    }
}

/// The body of a step that takes a note and nothing else.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    #[serde(default)]
    note: Option<String>,
}

/// The note in the body of a step that needs no body.
pub(crate) fn read_note(body: &[u8]) -> Result<Option<String>, Problem> {
    let noted = if body.is_empty() { Noted::default() } else { json::parse_object(body)? };
    checked_note(noted.note, "/note")
}

/// A note, if it is not too long; an empty one is none.
pub(crate) fn checked_note(note: Option<String>, pointer: &str) -> Result<Option<String>, Problem> {
    if note.as_ref().is_some_and(|note| note.chars().count() > MAX_NOTE) {
        let message = format!("a note has at most {MAX_NOTE} characters");
        return Err(Problem::fault(pointer, code::OUT_OF_RANGE, message));
    }
    Ok(note.filter(|note| !note.is_empty()))
}

/// The version whose number stands in a path; `subject` names the document.
pub(crate) fn find<'a, T>(
    versions: &'a [T],
    wanted: &str,
    number: impl Fn(&T) -> u64,
    subject: &str,
) -> Result<&'a T, Problem> {
    let wanted_number = wanted.parse::<u64>().ok();
    let found = versions.iter().find(|version| Some(number(version)) == wanted_number);
    found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "not_found", format!("{subject} has no version {wanted}")))
}

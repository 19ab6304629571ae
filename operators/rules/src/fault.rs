//! Faults of rules and computed traits, each with its place.

use std::cmp::Ordering;
use std::fmt::Write as _;

use serde::Serialize;

/// One fault in a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{}: {message} ({code})", if pointer.is_empty() { "(root)" } else { pointer.as_str() })]
pub struct Fault {
    /// JSON pointer into the document: to the offending member, or to the object where a member is missing.
    pub pointer: String,
    /// A stable word for programs; one of [`code`].
    pub code: &'static str,
    /// For people: what is wrong, and what would be right.
    pub message: String,
}

impl Fault {
    /// A fault at the document as a whole.
    pub fn whole(code: &'static str, message: impl Into<String>) -> Self {
        Fault { pointer: String::new(), code, message: message.into() }
    }
}

/// The codes of faults. They are stable: programs may depend on them.
pub mod code {
    /// A name that is no operator.
    pub const UNKNOWN_OPERATOR: &str = "unknown_operator";
    /// An operator that the measure does not take.
    pub const DOES_NOT_FIT: &str = "does_not_fit";
    /// A member that must be there is not.
    pub const MISSING_MEMBER: &str = "missing_member";
    /// A member that is not known there.
    pub const UNKNOWN_KEY: &str = "unknown_key";
    /// A member that is known but has no place beside the others.
    pub const UNEXPECTED_MEMBER: &str = "unexpected_member";
    /// A JSON value of another type than needed.
    pub const WRONG_TYPE: &str = "wrong_type";
    /// A word that is not one of those allowed.
    pub const UNKNOWN_WORD: &str = "unknown_word";
    /// A number, a length or an interval outside of what is allowed.
    pub const OUT_OF_RANGE: &str = "out_of_range";
    /// A list or a name that is empty.
    pub const EMPTY: &str = "empty";
    /// More levels than allowed.
    pub const TOO_DEEP: &str = "too_deep";
    /// More nodes than allowed.
    pub const TOO_MANY_NODES: &str = "too_many_nodes";
    /// A reference to a segment that does not exist.
    pub const UNKNOWN_SEGMENT: &str = "unknown_segment";
    /// A reference that leads back to the segment itself.
    pub const CYCLIC_SEGMENT: &str = "cyclic_segment";
    /// An object without a key that says what it is.
    pub const NO_DISCRIMINATOR: &str = "no_discriminator";
    /// An object with several keys that say what it is.
    pub const SEVERAL_DISCRIMINATORS: &str = "several_discriminators";
    /// A regular expression that does not compile, or is too large.
    pub const BAD_REGEX: &str = "bad_regex";
    /// Text that is no duration.
    pub const BAD_DURATION: &str = "bad_duration";
    /// A value that is no time.
    pub const BAD_TIME: &str = "bad_time";
    /// A text that is no time zone, or one that has no place there.
    pub const BAD_ZONE: &str = "bad_zone";
    /// A computed trait's name that is not allowed.
    pub const BAD_NAME: &str = "bad_name";
    /// A computed trait that would make a rule invalid.
    pub const BREAKS_RULE: &str = "breaks_rule";
    /// A warning: a name or a value that the data never had so far.
    pub const NOT_SEEN: &str = "not_seen";
    /// A warning: a value of another type than the data had so far.
    pub const UNLIKELY_TYPE: &str = "unlikely_type";
    /// A rule still refers to what is to be deleted.
    pub const REFERENCED: &str = "referenced";
}

/// Appends `/key`, escaped.
pub(crate) fn push_key(pointer: &mut String, key: &str) {
    pointer.push('/');
    for letter in key.chars() {
        match letter {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

/// Appends `/index`.
pub(crate) fn push_index(pointer: &mut String, index: usize) {
    // Writing to a string cannot fail.
    let _ = write!(pointer, "/{index}");
}

/// Puts faults in document order: an object before its members, members by key (objects are kept sorted), items by
/// index.
pub(crate) fn in_document_order(mut faults: Vec<Fault>) -> Vec<Fault> {
    faults.sort_by(|left, right| compare_pointers(&left.pointer, &right.pointer));
    faults
}

fn compare_pointers(left: &str, right: &str) -> Ordering {
    let tokens = |pointer| str::split(pointer, '/').map(|token| (token.parse::<usize>().ok(), token));
    tokens(left).cmp(tokens(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_in_document_order_and_escape_keys() {
        let mut pointer = String::new();
        push_key(&mut pointer, "a/b~c");
        push_index(&mut pointer, 10);
        assert_eq!(pointer, "/a~1b~0c/10");
        let pointers = ["/c/10/x", "/c/2", "", "/c", "/b"];
        let faults = pointers.map(|pointer| Fault { pointer: pointer.into(), ..Fault::whole(code::EMPTY, "") });
        let ordered: Vec<_> = in_document_order(faults.to_vec()).into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(ordered, ["", "/b", "/c", "/c/2", "/c/10/x"]);
        assert_eq!(Fault::whole(code::EMPTY, "no").to_string(), "(root): no (empty)");
    }
}

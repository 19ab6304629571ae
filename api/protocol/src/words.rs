//! Words of the API: values that are one of a few words, in any case.

use audience_rules::catalogue::SegmentStatus;
use serde::de::{Deserialize, Deserializer, Error};

use crate::SegmentKind;

/// A value that is one of a few words.
pub trait Word: Copy + Sized + 'static {
    /// Every word with its value.
    const WORDS: &'static [(&'static str, Self)];

    /// Reads a word in any case.
    fn parse(text: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value)
    }

    /// The words as a sentence lists them: `A, B or C`.
    fn choices() -> String {
        let words: Vec<&str> = Self::WORDS.iter().map(|(word, _)| *word).collect();
        match words.as_slice() {
            [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            words => words.concat(),
        }
    }
}

impl Word for SegmentKind {
    const WORDS: &'static [(&'static str, Self)] =
        &[("DYNAMIC", SegmentKind::Dynamic), ("STATIC", SegmentKind::Static)];
}

impl Word for SegmentStatus {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("DRAFT", SegmentStatus::Draft),
        ("ACTIVE", SegmentStatus::Active),
        ("INACTIVE", SegmentStatus::Inactive),
        ("ARCHIVED", SegmentStatus::Archived),
    ];
}

/// Reads an optional member that is a word.
pub(crate) fn optional_word<'de, W: Word, D: Deserializer<'de>>(deserializer: D) -> Result<Option<W>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let unknown = || D::Error::custom(format!("{text:?} is not {}", W::choices()));
    W::parse(&text).map(Some).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_in_any_case() {
        assert_eq!(SegmentKind::parse("static"), Some(SegmentKind::Static));
        assert_eq!(SegmentStatus::parse("Active"), Some(SegmentStatus::Active));
        assert_eq!(SegmentStatus::parse(""), None);
        assert_eq!(SegmentStatus::choices(), "DRAFT, ACTIVE, INACTIVE or ARCHIVED");
    }
}

//! Texts without case: Unicode simple folding.

use std::borrow::Cow;

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

/// The text with each letter replaced by the first of those that differ from it in case only. Texts that are equal without
/// case give equal texts. Cost: a search in a table for each letter beyond ASCII.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_lowercase()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(fold_letter).collect())
}

fn fold_letter(letter: char) -> char {
    if letter.is_ascii() {
        // The first of a letter, its capital and, for k and s, a letter beyond ASCII.
        return letter.to_ascii_uppercase();
    }
    let mut class = ClassUnicode::new([ClassUnicodeRange::new(letter, letter)]);
    // Without the tables of Unicode, which are part of the build, a letter would stay as it is.
    let _ = class.try_case_fold_simple();
    class.ranges().first().map_or(letter, |range| range.start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fold_makes_equal_what_differs_in_case_only() {
        for (one, other) in [
            ("M\u{fc}ller", "M\u{dc}LLER"),
            ("\u{3a3}\u{3c3}\u{3c2}", "\u{3c3}\u{3c3}\u{3c3}"),
            ("5 \u{212a}", "5 k"),
            ("\u{df}", "\u{1e9e}"),
            ("\u{17f}", "S"),
        ] {
            assert_eq!(fold(one), fold(other), "{one}");
        }
        for (one, other) in [("\u{df}", "ss"), ("\u{130}", "i"), ("\u{130}", "I"), ("a", "b")] {
            assert_ne!(fold(one), fold(other), "{one}");
        }
    }
}

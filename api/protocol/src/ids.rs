//! Ids of users and segments, checked in one place.

use audience_rules::fault::code;

/// The longest id in bytes.
pub const MAX_ID_BYTES: usize = 256;
/// Words that stand in the place of a segment's id in the paths of the API.
const RESERVED: [&str; 1] = ["preview"];

/// A reason why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct IdFault {
    /// A stable word.
    pub code: &'static str,
    /// The fault and its bounds.
    pub message: String,
}

/// The id of a user: 1 to 256 bytes without NUL, which not every store can keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedUserId<'a>(&'a str);

impl<'a> CheckedUserId<'a> {
    /// Reads a text.
    pub fn parse(text: &'a str) -> Result<CheckedUserId<'a>, IdFault> {
        let fault = |code, message: String| Err(IdFault { code, message });
        if text.is_empty() {
            return fault(code::EMPTY, "a user id is not empty".to_owned());
        }
        if text.len() > MAX_ID_BYTES {
            return fault(code::OUT_OF_RANGE, format!("a user id has at most {MAX_ID_BYTES} bytes"));
        }
        if text.contains('\0') {
            return fault(code::OUT_OF_RANGE, "a user id has no NUL (U+0000)".to_owned());
        }
        Ok(CheckedUserId(text))
    }

    /// The text.
    pub fn text(self) -> &'a str {
        self.0
    }
}

/// The id of a segment: 1 to 256 bytes, and none of the words that paths of the API have in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedSegmentId<'a>(&'a str);

impl<'a> CheckedSegmentId<'a> {
    /// Reads a text.
    pub fn parse(text: &'a str) -> Result<CheckedSegmentId<'a>, IdFault> {
        if text.is_empty() {
            return Err(IdFault { code: code::EMPTY, message: "an id is not empty; give one in `id`".to_owned() });
        }
        if text.len() > MAX_ID_BYTES || RESERVED.contains(&text) {
            let message = format!("an id has 1 to {MAX_ID_BYTES} bytes and is none of {RESERVED:?}; give one in `id`");
            return Err(IdFault { code: code::OUT_OF_RANGE, message });
        }
        Ok(CheckedSegmentId(text))
    }

    /// The text.
    pub fn text(self) -> &'a str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_users_are_bounded_and_without_nul() {
        let long = "x".repeat(MAX_ID_BYTES);
        for good in ["u", " ", "preview", long.as_str()] {
            assert_eq!(CheckedUserId::parse(good).map(CheckedUserId::text), Ok(good));
        }
        let code = |text: &str| CheckedUserId::parse(text).map(CheckedUserId::text).map_err(|fault| fault.code).err();
        let out_of_range = Some(code::OUT_OF_RANGE);
        assert_eq!([code(""), code(&format!("{long}x")), code("a\0")], [Some(code::EMPTY), out_of_range, out_of_range]);
    }

    #[test]
    fn ids_of_segments_are_bounded_and_no_word_of_a_path() {
        let long = "x".repeat(MAX_ID_BYTES);
        assert_eq!(CheckedSegmentId::parse(&long).map(CheckedSegmentId::text), Ok(long.as_str()));
        assert_eq!(CheckedSegmentId::parse("").unwrap_err().code, code::EMPTY);
        for bad in ["preview", &format!("{long}x")] {
            assert_eq!(CheckedSegmentId::parse(bad).unwrap_err().code, code::OUT_OF_RANGE, "{bad}");
        }
    }
}

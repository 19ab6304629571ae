//! The text of a body as senders write it: what is no JSON only by a slip of theirs is mended before it is read.

use std::borrow::Cow;

/// The mark that some editors and libraries put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The character that stands for one that cannot be told.
const REPLACEMENT: &[u8] = br"\ufffd";

/// Passes over a byte order mark.
pub(crate) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body)
}

/// The text with U+FFFD for each half of a surrogate pair, such as a cut emoji leaves. Nothing is copied where there is none.
pub(super) fn mended(json: &[u8]) -> Cow<'_, [u8]> {
    let mut out: Vec<u8> = Vec::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = json.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += found;
        let Some(unit) = code_unit(json, at) else {
            at += 2;
            continue;
        };
        match unit {
            0xd800..=0xdbff if matches!(code_unit(json, at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            0xd800..=0xdfff => {
                out.extend_from_slice(&json[copied..at]);
                out.extend_from_slice(REPLACEMENT);
                at += 6;
                copied = at;
            }
            _ => at += 6,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    out.extend_from_slice(&json[copied..]);
    Cow::Owned(out)
}

/// The code unit of the escape `\uXXXX` at `at`, if one stands there.
fn code_unit(json: &[u8], at: usize) -> Option<u16> {
    let escape = json.get(at..at + 6)?;
    let digits = escape.strip_prefix(br"\u")?;
    let all_hex = digits.iter().all(u8::is_ascii_hexdigit);
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().filter(|_| all_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_become_the_replacement_character() {
        for (sent, read) in [
            (r#""hi \ud83d""#, r#""hi \ufffd""#),
            (r#""\ude00\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\uD83D\ud83d\ude00\ud83d!""#, r#""\ufffd\ud83d\ude00\ufffd!""#),
            (r#""\\ud83d \" \u00e9""#, r#""\\ud83d \" \u00e9""#),
            (r#""\ud83"#, r#""\ud83"#),
            (r#""\ud83d\u0041""#, r#""\ufffd\u0041""#),
            (r#""\u+123\"#, r#""\u+123\"#),
        ] {
            assert_eq!(mended(sent.as_bytes()), read.as_bytes(), "{sent}");
        }
        assert!(matches!(mended(br#"{"a":"\n\ud83d\ude00"}"#), Cow::Borrowed(_)));
        assert_eq!(without_mark(b"\xef\xbb\xbf{}"), b"{}");
    }
}

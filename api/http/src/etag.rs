//! Entity tags: a version in quotes.

use hyper::header::HeaderValue;

/// A version as an entity tag.
pub(crate) fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// Returns whether an `If-None-Match` of a read names this tag, by weak comparison.
pub(crate) fn names(header: &HeaderValue, tag: &str) -> bool {
    tags(header).any(|named| named == "*" || named.trim_start_matches("W/") == tag)
}

/// The tags of a list. Ours hold no comma, so that a comma always parts two tags.
pub(crate) fn tags(header: &HeaderValue) -> impl Iterator<Item = &str> {
    let text = std::str::from_utf8(header.as_bytes()).unwrap_or_default();
    text.split(',').map(str::trim).filter(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_none_match() {
        let names = |text| names(&HeaderValue::from_static(text), "\"3\"");
        assert!(names("\"3\"") && names("W/\"3\"") && names("\"1\", \"3\"") && names("*"));
        assert!(!names("\"33\"") && !names(""));
    }
}

//! What a change says of itself: of what, by whom, and over which version (`If-Match` and `If-None-Match`).

use hyper::header::{HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH};

use crate::api::author;
use crate::problem::Problem;
use crate::route::Call;

/// What every change of one thing says.
pub(crate) struct Change {
    /// The id in the path.
    pub(crate) id: String,
    /// Who makes it.
    pub(crate) author: String,
    /// Over which version.
    pub(crate) expected: Expected,
}

impl Change {
    /// Reads path and headers.
    pub(crate) fn of(call: &mut Call) -> Result<Self, Problem> {
        let id = call.take_id();
        Ok(Change { id, author: author(&call.headers)?, expected: Expected::of(&call.headers)? })
    }
}

/// What `If-Match` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nothing.
    Anything,
    /// `*`: that there is one.
    Existing,
    /// One of these versions; a tag that is none of ours matches nothing.
    Versions(Vec<u64>),
}

impl Expected {
    /// Reads `If-Match`.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut versions = None;
        for header in headers.get_all(IF_MATCH) {
            let versions = versions.get_or_insert_with(Vec::new);
            for tag in tags(header) {
                match tag {
                    "*" => return Ok(Expected::Existing),
                    tag if tag.starts_with("W/\"") => {}
                    tag => versions.extend(version(tag)?),
                }
            }
        }
        Ok(versions.map_or(Expected::Anything, Expected::Versions))
    }

    /// The version to hand to the platform; `current` is asked only where that is needed.
    pub(crate) fn version(self, current: impl FnOnce() -> Result<u64, Problem>) -> Result<Option<u64>, Problem> {
        match self {
            Expected::Anything | Expected::Existing => Ok(None),
            Expected::Versions(versions) => match versions.as_slice() {
                [only] => Ok(Some(*only)),
                versions => {
                    let current = current()?;
                    if versions.contains(&current) {
                        return Ok(Some(current));
                    }
                    Err(Problem::precondition(format!("If-Match names no version that is current ({current})")))
                }
            },
        }
    }

    /// Whether the thing must exist.
    pub(crate) fn must_exist(&self) -> bool {
        *self != Expected::Anything
    }
}

/// Whether the request is only to create: `If-None-Match: *`.
pub(crate) fn create_only(headers: &HeaderMap) -> Result<bool, Problem> {
    let mut only = false;
    for header in headers.get_all(IF_NONE_MATCH) {
        if tags(header).any(|tag| tag != "*") {
            return Err(Problem::bad_request("invalid_header", "on a change, If-None-Match may only be *"));
        }
        only = true;
    }
    Ok(only)
}

/// Whether an `If-None-Match` of a read names this tag, by weak comparison.
pub(crate) fn names(header: &HeaderValue, tag: &str) -> bool {
    tags(header).any(|named| named == "*" || named.trim_start_matches("W/") == tag)
}

/// The tags of a list. Ours hold no comma, so that a comma always parts two tags.
fn tags(header: &HeaderValue) -> impl Iterator<Item = &str> {
    let text = std::str::from_utf8(header.as_bytes()).unwrap_or_default();
    text.split(',').map(str::trim).filter(|tag| !tag.is_empty())
}

/// The version in a strong tag; also without quotes, as people type it.
fn version(tag: &str) -> Result<Option<u64>, Problem> {
    if let Some(inner) = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return Ok(inner.parse().ok());
    }
    let fault = |_| Problem::bad_request("invalid_header", "If-Match takes versions in quotes, as ETag gives them");
    tag.parse().map(Some).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(text: &'static str) -> Result<Expected, Problem> {
        Expected::of(&HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_static(text))]))
    }

    #[test]
    fn if_match() {
        assert_eq!(expected("\"3\"").unwrap(), Expected::Versions(vec![3]));
        assert_eq!(expected("\"3\", W/\"4\", \"x\",\"5\"").unwrap(), Expected::Versions(vec![3, 5]));
        assert_eq!(expected("7").unwrap(), Expected::Versions(vec![7]));
        assert_eq!(expected(" * ").unwrap(), Expected::Existing);
        assert_eq!(expected("").unwrap(), Expected::Versions(vec![]));
        assert!(expected("seven").is_err());
        assert_eq!(Expected::of(&HeaderMap::new()).unwrap(), Expected::Anything);
    }

    #[test]
    fn choice_of_versions() {
        assert_eq!(Expected::Versions(vec![3, 5]).version(|| Ok(5)).unwrap(), Some(5));
        assert!(Expected::Versions(vec![3, 5]).version(|| Ok(4)).is_err());
        assert!(Expected::Versions(vec![]).version(|| Ok(4)).is_err());
        assert_eq!(Expected::Versions(vec![3]).version(|| unreachable!()).unwrap(), Some(3));
    }

    #[test]
    fn if_none_match() {
        let names = |text| names(&HeaderValue::from_static(text), "\"3\"");
        assert!(names("\"3\"") && names("W/\"3\"") && names("\"1\", \"3\"") && names("*"));
        assert!(!names("\"33\"") && !names(""));
    }
}

//! The head of a change: its target, its author, and the version it expects (`If-Match` and `If-None-Match`).

use hyper::header::{HeaderMap, IF_MATCH, IF_NONE_MATCH};

use crate::etag::tags;
use crate::problem::Problem;
use crate::request::Call;

/// The head of a change of one thing.
pub(crate) struct ChangeHead {
    /// The id in the path.
    pub(crate) id: String,
    /// The author.
    pub(crate) author: String,
    /// Over which version.
    pub(crate) expected: Expected,
}

impl ChangeHead {
    /// Reads path and headers.
    pub(crate) fn of(call: &mut Call) -> Result<Self, Problem> {
        let id = call.take_id();
        Ok(ChangeHead { id, author: author(call)?, expected: Expected::of(&call.headers)? })
    }
}

/// The author of a change: the caller, for whom `X-Author` speaks only where the caller is a program or nobody is asked.
pub(crate) fn author(call: &Call) -> Result<String, Problem> {
    let Some(header) = call.headers.get("x-author") else { return Ok(call.principal.author(None)) };
    let text = std::str::from_utf8(header.as_bytes()).unwrap_or_default().trim();
    if text.is_empty() || text.len() > 256 {
        return Err(Problem::bad_request("invalid_header", "X-Author is UTF-8 text of 1 to 256 bytes"));
    }
    Ok(call.principal.author(Some(text)))
}

/// The demand of `If-Match`.
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

    /// Returns whether the target must exist.
    pub(crate) fn must_exist(&self) -> bool {
        *self != Expected::Anything
    }
}

/// Returns whether the request may only create: `If-None-Match: *`.
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
    use hyper::header::HeaderValue;

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
}

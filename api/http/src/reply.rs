//! Answers that are no errors.

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, LOCATION};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use warp::reply::Response;

use crate::etag::{self, etag};

/// Characters that a path segment may have as they are.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// JSON text. Our types have text for keys and no other cause to fail; should one, the answer is `null`.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|error| {
        tracing::error!(%error, "an answer could not be written as JSON");
        b"null".to_vec()
    })
}

/// Bytes of a media type.
pub(crate) fn bytes(status: StatusCode, media: &'static str, body: impl Into<bytes::Bytes>) -> Response {
    let mut response = Response::new(body.into().into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// A JSON document.
pub(crate) fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response {
    bytes(status, "application/json", to_json(value))
}

/// A list that has no further pages.
#[derive(Serialize)]
pub(crate) struct Items<T> {
    pub(crate) items: Vec<T>,
}

/// Done, and nothing to say.
pub(crate) fn no_content() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A JSON document with its version as entity tag.
pub(crate) fn versioned<T: Serialize>(status: StatusCode, value: &T, version: u64) -> Response {
    with_header(json(status, value), ETAG, &etag(version))
}

/// A JSON document that was asked for, or 304 where the client has that version.
pub(crate) fn fresh<T: Serialize>(headers: &HeaderMap, value: &T, version: u64) -> Response {
    let tag = etag(version);
    if headers.get_all(IF_NONE_MATCH).iter().any(|header| etag::names(header, &tag)) {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return with_header(response, ETAG, &tag);
    }
    with_header(json(StatusCode::OK, value), ETAG, &tag)
}

/// 201: the created thing, with `Location` and `ETag`.
pub(crate) fn created<T: Serialize>(collection: &str, id: &str, value: &T, version: u64) -> Response {
    let mut response = json(StatusCode::CREATED, value);
    response.headers_mut().extend(place_and_version(collection, id, version));
    response
}

/// `Location` and `ETag` of what was created.
pub(crate) fn place_and_version(collection: &str, id: &str, version: u64) -> Vec<(HeaderName, HeaderValue)> {
    let location = format!("{collection}/{}", utf8_percent_encode(id, SEGMENT));
    let header = |(name, text): (HeaderName, String)| Some((name, HeaderValue::from_str(&text).ok()?));
    [(LOCATION, location), (ETAG, etag(version))].into_iter().filter_map(header).collect()
}

fn with_header(mut response: Response, name: HeaderName, text: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, value);
    }
    response
}

//! Bodies of requests: of a known media type, bounded while they arrive and while they are unpacked.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use bytes::{Buf, Bytes};
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _, TryStreamExt as _};
use hyper::StatusCode;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};

use crate::body_memory::HeldMemory;
use crate::problem::Problem;

/// The parts of a body as they arrive.
pub(crate) type BodyStream = BoxStream<'static, Result<Bytes, warp::Error>>;

/// Turns what warp gives into parts.
pub(crate) fn parts(body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send + 'static) -> BodyStream {
    body.map(|part| part.map(|mut part| part.copy_to_bytes(part.remaining()))).boxed()
}

/// The part of a body that was read.
pub(crate) struct Recorded {
    parts: Vec<Bytes>,
    bytes: usize,
    is_whole: bool,
    memory: HeldMemory,
}

impl Recorded {
    /// The body; `None` where it was not read to its end, or is more than is kept. Of one of which nothing was read nothing
    /// was wanted.
    pub(crate) fn body(&self) -> Option<Bytes> {
        (self.is_whole || self.bytes == 0).then(|| self.parts.concat().into())
    }
}

/// The same parts, and what will have been read of them; no more than `limit` bytes are kept, in the memory given.
pub(crate) fn recorded(parts: BodyStream, limit: usize, memory: HeldMemory) -> (BodyStream, Arc<Mutex<Recorded>>) {
    let recorded = Recorded { parts: Vec::new(), bytes: 0, is_whole: false, memory };
    let recorded = Arc::new(Mutex::new(recorded));
    let record = Arc::clone(&recorded);
    let end = Arc::clone(&recorded);
    let parts = parts.inspect_ok(move |part| {
        let mut recorded = record.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.bytes += part.len();
        let bytes = recorded.bytes;
        // Without memory for it nothing is kept of the rest either.
        if bytes > limit || recorded.memory.cover(bytes).is_err() {
            recorded.parts.clear();
            recorded.bytes = limit.saturating_add(1);
            return;
        }
        recorded.parts.push(part.clone());
    });
    let end = stream::poll_fn(move |_| {
        let mut recorded = end.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.is_whole = recorded.bytes <= limit;
        Poll::Ready(None)
    });
    (parts.chain(end).boxed(), recorded)
}

/// The media types that some path takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// `application/json`, `…+json`, or none said.
    Json,
    /// `application/merge-patch+json`
    MergePatch,
    /// `application/x-ndjson` and its other names.
    Ndjson,
    /// `text/csv`
    Csv,
    /// `text/plain`
    Text,
    /// `application/x-www-form-urlencoded`, which HTTP clients say where nobody told them.
    Form,
    /// `application/octet-stream`, for the same reason.
    Bytes,
}

impl Media {
    /// The media type of a request, among those that are `taken` there.
    pub(crate) fn of(headers: &HeaderMap, taken: &[Media]) -> Result<Media, Problem> {
        let Some(header) = headers.get(CONTENT_TYPE) else { return Ok(Media::Json) };
        let text = header.to_str().unwrap_or_default().to_ascii_lowercase();
        let mut parts = text.split(';').map(str::trim);
        let media = match parts.next().unwrap_or_default() {
            "application/merge-patch+json" => Some(Media::MergePatch),
            "application/json" | "text/json" => Some(Media::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
                Some(Media::Ndjson)
            }
            "text/csv" => Some(Media::Csv),
            "text/plain" => Some(Media::Text),
            "application/x-www-form-urlencoded" => Some(Media::Form),
            "application/octet-stream" => Some(Media::Bytes),
            other if other.starts_with("application/") && other.ends_with("+json") => Some(Media::Json),
            _ => None,
        };
        let charset = parts.find_map(|part| part.strip_prefix("charset=")).map(|charset| charset.trim_matches('"'));
        if !matches!(charset, None | Some("utf-8" | "utf8" | "us-ascii")) {
            return Err(Problem::media("text must be UTF-8"));
        }
        media.filter(|media| taken.contains(media)).ok_or_else(|| {
            let names: Vec<_> = taken.iter().map(|media| media.name()).collect();
            Problem::media(format!("the body must be {}, and Content-Type must say so", names.join(" or ")))
        })
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Media::Json => "application/json",
            Media::MergePatch => "application/merge-patch+json",
            Media::Ndjson => "application/x-ndjson",
            Media::Csv => "text/csv",
            Media::Text => "text/plain",
            Media::Form => "application/x-www-form-urlencoded",
            Media::Bytes => "application/octet-stream",
        }
    }
}

/// Returns whether the body is packed with gzip.
pub(crate) fn is_gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(false) };
    let coding = coding.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    match (coding.as_str(), codings.next()) {
        ("identity" | "", None) => Ok(false),
        ("gzip" | "x-gzip", None) => Ok(true),
        _ => {
            Err(Problem::media("Content-Encoding may be gzip or identity").with_text(ACCEPT_ENCODING, "gzip, identity"))
        }
    }
}

/// 413 for a body.
pub(crate) fn too_large(limit: usize) -> Problem {
    Problem::too_large(format!("a body here has at most {limit} bytes, packed and unpacked"))
}

/// 408 for a body that does not come.
pub(crate) fn too_slow() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body took too long to arrive")
}

/// 503 for a body that does not come before the server ends.
pub(crate) fn stopping() -> Problem {
    Problem::unavailable("stopping", "the server ends, and the body was not there in time")
}

/// 400 for a body that ended before its end; nobody may be left to read it.
pub(crate) fn broken(error: &warp::Error) -> Problem {
    Problem::bad_request("broken_body", format!("the body could not be read: {error}"))
}

/// 400 for a body that is no gzip.
pub(crate) fn bad_gzip(error: &io::Error) -> Problem {
    Problem::bad_request("malformed_gzip", format!("the body is no gzip: {error}"))
}

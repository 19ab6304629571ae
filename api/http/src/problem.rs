//! Errors as clients see them: RFC 9457, made here and nowhere else.

use std::ops::{Deref, DerefMut};

use audience_protocol::PlatformError;
use audience_rules::fault::Fault;
use hyper::header::{ALLOW, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, StatusCode};
use serde::Serialize;
use warp::reply::Response;

use crate::etag::etag;
use crate::progress::{IngestProgress, RejectedEvent};
use crate::reply;

/// Faults named in one problem; a longer list helps nobody.
const MAX_ERRORS: usize = 1_000;

/// The code of what only a process with an engine can answer.
pub(crate) const NEEDS_ENGINE: &str = "needs_engine";

/// The type of a problem that is a quota's, as registered for all APIs.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// An answer that says why not. Boxed, as it is rare and large.
#[derive(Debug)]
pub(crate) struct Problem(Box<ProblemParts>);

/// An answer, or why there is none.
pub(crate) type HandlerResult = Result<Response, Problem>;

/// The parts of a problem.
#[derive(Debug)]
pub(crate) struct ProblemParts {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    pub(crate) errors: Vec<Fault>,
    pub(crate) progress: Option<IngestProgress>,
    /// The quotas that are used up.
    pub(crate) violated_policies: Vec<&'static str>,
    /// The answer instead, if the engine should answer and does not.
    pub(crate) otherwise: Option<fn() -> Response>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Fault],
    #[serde(rename = "violated-policies", skip_serializing_if = "<[_]>::is_empty")]
    violated_policies: &'a [&'static str],
    #[serde(flatten)]
    progress: Option<&'a IngestProgress>,
}

impl Deref for Problem {
    type Target = ProblemParts;

    fn deref(&self) -> &ProblemParts {
        &self.0
    }
}

impl DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut ProblemParts {
        &mut self.0
    }
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let (errors, violated_policies, headers) = (Vec::new(), Vec::new(), Vec::new());
        let (progress, otherwise) = (None, None);
        Problem(Box::new(ProblemParts {
            status,
            code,
            detail,
            errors,
            progress,
            violated_policies,
            otherwise,
            headers,
        }))
    }

    /// 400 with a code of its own.
    pub(crate) fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 400 for faults in a document.
    pub(crate) fn invalid(errors: Vec<Fault>) -> Self {
        let detail = match errors.as_slice() {
            [only] => only.to_string(),
            several => format!("the request has {} faults", several.len()),
        };
        let mut problem = Problem::bad_request("invalid", detail);
        problem.errors = errors;
        problem
    }

    /// 400 for one fault in a document.
    pub(crate) fn fault(pointer: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Problem::invalid(vec![Fault { pointer: pointer.into(), code, message: message.into() }])
    }

    /// 404 for a path that no listener, or not this one, offers.
    pub(crate) fn unknown_path() -> Self {
        Problem::new(StatusCode::NOT_FOUND, "unknown_path", "there is nothing at this path; /docs lists all paths")
    }

    /// 405.
    pub(crate) fn method(method: &Method, allow: &str) -> Self {
        let problem = Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            format!("{method} is not possible here, only {allow}"),
        );
        problem.with_text(ALLOW, allow)
    }

    /// 412.
    pub(crate) fn precondition(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail)
    }

    /// 413.
    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    /// 415.
    pub(crate) fn media(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// 429.
    pub(crate) fn busy(seconds: u64) -> Self {
        let detail = format!("too much is waiting; try again in {seconds} s");
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail).retry_after(seconds)
    }

    /// 503.
    pub(crate) fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(1)
    }

    /// 500: a fault of ours, of which the client learns nothing more.
    pub(crate) fn internal() -> Self {
        let detail = "something went wrong here; the log says more";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        self.with_text(RETRY_AFTER, &seconds.max(1).to_string())
    }

    /// With a header; one whose text is not fit for a header is left out.
    pub(crate) fn with_text(mut self, name: HeaderName, text: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(text) {
            self.headers.push((name, value));
        }
        self
    }

    /// With what was done of a request for many events.
    pub(crate) fn after(mut self, accepted: usize, rejected: Vec<RejectedEvent>) -> Self {
        self.progress = Some(IngestProgress { accepted, rejected });
        self
    }

    /// The bytes of the body.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let kind = match self.violated_policies.is_empty() {
            true => format!("urn:audience-manager:problem:{}", self.code),
            false => QUOTA_EXCEEDED.to_owned(),
        };
        let body = ProblemBody {
            kind,
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            errors: &self.errors[..self.errors.len().min(MAX_ERRORS)],
            violated_policies: &self.violated_policies,
            progress: self.progress.as_ref(),
        };
        reply::to_json(&body)
    }

    /// The answer.
    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::new(self.to_json().into());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.0.headers);
        response
    }
}

impl From<PlatformError> for Problem {
    fn from(error: PlatformError) -> Self {
        let detail = error.to_string();
        match error {
            PlatformError::NotFound { .. } => Problem::new(StatusCode::NOT_FOUND, "not_found", detail),
            PlatformError::Exists { .. } => Problem::new(StatusCode::CONFLICT, "exists", detail),
            PlatformError::VersionMismatch { current, .. } => {
                let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "version_mismatch", detail);
                problem.with_text(ETAG, &etag(current))
            }
            PlatformError::Invalid(faults) => Problem::invalid(faults),
            PlatformError::Conflict { kind, .. } => Problem::new(StatusCode::CONFLICT, kind.code(), detail),
            PlatformError::Busy { retry_after_seconds } => Problem::busy(retry_after_seconds.max(1)),
            PlatformError::Unavailable(_) => Problem::unavailable("unavailable", detail),
            PlatformError::OutcomeUnknown(_) => Problem::unavailable("outcome_unknown", detail),
            PlatformError::NeedsEngine(_) => Problem::new(StatusCode::NOT_IMPLEMENTED, NEEDS_ENGINE, detail),
        }
    }
}

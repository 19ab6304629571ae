//! Scripts of other sites: which may call, by the origin that their browser names.
//!
//! Law: a path that takes events may be called from everywhere by default, every other one from the origins that are listed.
//! Credentials that a browser keeps are never asked for. A page of the platform's own is of no other site.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use hyper::{Method, StatusCode};
use warp::reply::Response;

use crate::guard::RESOURCE_POLICY;
use crate::options::ApiOptions;
use crate::problem::Problem;
use crate::reply;

/// The header in which browsers say whether a request comes from a page of the same origin. No script can set it.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The methods of the API.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// Headers of answers that scripts may read.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("etag, location, retry-after, ratelimit, ratelimit-policy, idempotency-replayed");
/// Seconds for which a browser need not ask again: the most that browsers keep.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
/// The longest list of headers that a browser may ask for.
const MAX_HEADERS_BYTES: usize = 1024;

/// The standing of a request by its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cors {
    /// No other site: no script of a browser, or one of the platform's own pages.
    Own,
    /// A script of any site may call.
    Any,
    /// The script's origin is listed.
    Listed(HeaderValue),
    /// The script's origin is not listed.
    Foreign,
}

impl Cors {
    /// Looks at a request, which sends events or does something else.
    pub(crate) fn of(options: &ApiOptions, is_ingest: bool, headers: &HeaderMap) -> Cors {
        let Some(origin) = headers.get(ORIGIN) else { return Cors::Own };
        let allowed = if is_ingest { &options.cors_ingest_origins } else { &options.cors_origins };
        if allowed.iter().any(|allowed| allowed == "*") {
            return Cors::Any;
        }
        let text = lower(origin);
        match allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(&text)) {
            true => Cors::Listed(origin.clone()),
            false if is_own(headers) => Cors::Own,
            false => Cors::Foreign,
        }
    }

    /// The answer instead of the handler's: to a browser that asks first, or to a script that may not change anything.
    pub(crate) fn answer(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        let asks = method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        match self {
            Cors::Own => None,
            Cors::Foreign if asks || !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) => {
                Some(forbidden().into_response())
            }
            Cors::Any | Cors::Listed(_) if asks => Some(self.marked(preflight(headers))),
            _ => None,
        }
    }

    /// An answer that the script may read, if it may.
    pub(crate) fn marked(&self, mut response: Response) -> Response {
        let (origin, varies) = match self {
            Cors::Own | Cors::Foreign => return response,
            Cors::Any => (HeaderValue::from_static("*"), false),
            Cors::Listed(origin) => (origin.clone(), true),
        };
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
        if varies {
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
        response
    }
}

/// Browsers let scripts of any site open a WebSocket, and name the site.
pub(crate) fn check_socket(options: &ApiOptions, headers: &HeaderMap) -> Result<(), Problem> {
    match Cors::of(options, false, headers) {
        Cors::Foreign => Err(forbidden()),
        _ => Ok(()),
    }
}

fn lower(value: &HeaderValue) -> String {
    value.to_str().unwrap_or_default().to_ascii_lowercase()
}

/// Returns whether a page of the platform's own calls: the browser says so, or names the host that is called.
fn is_own(headers: &HeaderMap) -> bool {
    let (origin, host) = (headers.get(ORIGIN).map(lower), headers.get(HOST).map(lower).unwrap_or_default());
    let names_host = origin.is_some_and(|origin| origin.split_once("://").is_some_and(|(_, named)| named == host));
    names_host || headers.get(FETCH_SITE).is_some_and(|site| site == "same-origin")
}

fn forbidden() -> Problem {
    let detail = "scripts of this origin may not call; see the setting cors_origins";
    Problem::new(StatusCode::FORBIDDEN, "cors_forbidden", detail)
}

/// 204 for a browser that asks: all methods, and the headers that it wants to send.
fn preflight(asked: &HeaderMap) -> Response {
    let mut response = reply::no_content();
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    let wanted = asked.get(ACCESS_CONTROL_REQUEST_HEADERS).filter(|wanted| wanted.len() <= MAX_HEADERS_BYTES);
    if let Some(wanted) = wanted {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    headers.append(VARY, HeaderValue::from_static("access-control-request-headers"));
    response
}

/// Returns the first of the origins that is none.
pub(crate) fn faulty_origin(origins: &[String]) -> Option<&str> {
    let is_origin = |origin: &str| {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        let is_host = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte));
        origin == "*" || host.is_some_and(|host| !host.is_empty() && is_host(host))
    };
    origins.iter().map(String::as_str).find(|origin| !is_origin(origin))
}

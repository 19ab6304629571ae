//! Headers that every answer has, by which browsers keep to what the answer is: data of this origin, never a page of others'.
//!
//! Law: a policy that a page brings stays; every other answer may load nothing, stand in no frame and be kept by no cache.
//! `Strict-Transport-Security` goes out over TLS alone, and never for `localhost` or an address: it holds for every port of
//! a host, and a machine has other programs.

use std::net::IpAddr;
use std::time::Duration;

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use warp::reply::Response;

/// An answer that is no page loads nothing and stands in no frame.
const DATA_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// Pages of others neither hold a page of ours, nor load an answer as an image or a script.
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// The header by which an answer says whose pages may load it.
pub(crate) const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");

/// The answer with the headers that every one has. `promise` is the time for which browsers come by TLS alone.
pub(crate) fn guarded(mut response: Response, promise: Option<HeaderValue>) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(OPENER_POLICY, SAME_ORIGIN);
    let defaults = [
        (CONTENT_SECURITY_POLICY, DATA_POLICY),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (RESOURCE_POLICY, SAME_ORIGIN),
    ];
    for (name, value) in defaults {
        headers.entry(name).or_insert(value);
    }
    promise.map(|promise| headers.insert(STRICT_TRANSPORT_SECURITY, promise));
    response
}

/// The promise that the host of a request will be reached by TLS, where that may be made.
pub(crate) fn promise(life: Duration, asked: &HeaderMap) -> Option<HeaderValue> {
    let host = asked.get(HOST)?.to_str().ok()?;
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).to_ascii_lowercase();
    let is_address = name.starts_with('[') || name.parse::<IpAddr>().is_ok();
    let is_own = name == "localhost" || name.ends_with(".localhost");
    let is_made = !life.is_zero() && !is_address && !is_own && !name.is_empty();
    is_made.then(|| HeaderValue::from_str(&format!("max-age={}", life.as_secs())).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_promised_for_names_of_hosts_alone() {
        let year = Duration::from_secs(365 * 24 * 3600);
        let promised = |host: &'static str, life| {
            promise(life, &HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))])).is_some()
        };
        assert!(promised("audience.example.org", year) && promised("audience.example.org:8443", year));
        assert!(!promised("audience.example.org", Duration::ZERO));
        for host in ["localhost", "localhost:8081", "a.localhost:1", "127.0.0.1:8081", "10.1.2.3", "[::1]:8081", ""] {
            assert!(!promised(host, year), "{host}");
        }
        assert_eq!(promise(year, &HeaderMap::new()), None);
    }

    #[test]
    fn a_page_keeps_its_own_policy() {
        let mut page = Response::default();
        page.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("script-src 'self'"));
        let answer = guarded(page, None);
        assert_eq!(answer.headers()[CONTENT_SECURITY_POLICY], "script-src 'self'");
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
        assert!(!answer.headers().contains_key(STRICT_TRANSPORT_SECURITY));
        assert_eq!(guarded(Response::default(), None).headers()[CONTENT_SECURITY_POLICY], DATA_POLICY);
    }
}

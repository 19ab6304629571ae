//! Admission: what a request shows of its caller, held against what its route needs.

use std::sync::Arc;

use audience_auth::{Knock, Needs, Principal, Refusal, Refused, Site};
use audience_protocol::{AuditNote, Caller};
use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderMap, HeaderName, ORIGIN, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::caller_address;
use crate::problem::Problem;
use crate::request::IncomingRequest;

/// The header by which a browser says how near the page is that asks.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The cookie of a session where browsers come by TLS: of this host alone, and never sent in the clear.
const SECURE_COOKIE: &str = "__Host-audience";
/// The cookie where they do not.
const PLAIN_COOKIE: &str = "audience";

/// The name of the cookie of a session.
pub(crate) fn cookie_name(api: &Api) -> &'static str {
    let public_url = api.auth.options().public_url.as_deref();
    let is_secure = api.options.tls.is_some() || public_url.is_some_and(|url| url.starts_with("https://"));
    if is_secure { SECURE_COOKIE } else { PLAIN_COOKIE }
}

/// The secret of a session that a browser shows. A process that is asked by another one may have no TLS of its own.
pub(crate) fn session_shown<'h>(api: &Api, headers: &'h HeaderMap) -> Option<&'h str> {
    browser_cookie(headers, SECURE_COOKIE).or_else(|| browser_cookie(headers, cookie_name(api)))
}

/// Lets a request in, or says why not; `body_key` is a write key that its body has. Else nothing of its body has been read.
pub(crate) fn admit(
    api: &Arc<Api>,
    template: &'static str,
    needs: Needs,
    request: &IncomingRequest,
    body_key: Option<&str>,
) -> Result<Principal, Problem> {
    let headers = &request.headers;
    let cookie = session_shown(api, headers);
    let knock = Knock {
        authorization: text(headers, &AUTHORIZATION),
        cookie,
        write_key: (needs == Needs::Ingest).then(|| body_key.or_else(|| key_in_query(&request.query))).flatten(),
        site: Site { host: text(headers, &HOST), origin: text(headers, &ORIGIN), fetch: text(headers, &FETCH_SITE) },
        origins: origins(api, needs, cookie.is_some()),
        is_unsafe: !matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS),
        address: caller_address::of(&api.options.trusted_proxies, request),
        now: (api.options.clock)(),
    };
    api.auth.admit(needs, &knock).map_err(|Refused { why, caller }| {
        if let Some(caller) = caller {
            record(api, caller, template, &request.method, &why);
        }
        why.into()
    })
}

/// The origins of other sites whose pages may ask. A session is for the console, not for senders.
fn origins(api: &Api, needs: Needs, has_session: bool) -> &[String] {
    match needs == Needs::Ingest && !has_session {
        true => &api.options.cors_ingest_origins,
        false => &api.options.cors_origins,
    }
}

/// Records a refusal, on a thread of its own: the log may be on a server.
fn record(api: &Arc<Api>, caller: Caller, template: &'static str, method: &Method, why: &Refusal) {
    let note = AuditNote::of("refused", "route", template).with_note(&format!("{method}: {}", why.code()));
    let auth = Arc::clone(&api.auth);
    tokio::task::spawn_blocking(move || auth.record(&caller, note));
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// The value of a cookie.
pub(crate) fn browser_cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// The key in a query, as senders without headers have it. A key of ours has no character that is encoded.
pub(crate) fn key_in_query(query: &str) -> Option<&str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| matches!(*name, "writeKey" | "api_secret" | "api_key")).map(|(_, value)| value)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        match refusal.asks_for_sign_in() {
            true => Problem::new(StatusCode::UNAUTHORIZED, refusal.code(), refusal.to_string())
                .with_text(WWW_AUTHENTICATE, "Bearer realm=\"audience\""),
            false => Problem::new(StatusCode::FORBIDDEN, refusal.code(), refusal.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn cookies() {
        let header = |text: &'static str| HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(text))]);
        assert_eq!(browser_cookie(&header("a=1; audience=x=y; b=2"), PLAIN_COOKIE), Some("x=y"));
        assert_eq!(browser_cookie(&header("audience2=1;__Host-audience=z"), SECURE_COOKIE), Some("z"));
        assert_eq!(browser_cookie(&header("audience2=1; =; audience"), PLAIN_COOKIE), None);
        assert_eq!(browser_cookie(&HeaderMap::new(), PLAIN_COOKIE), None);
    }

    #[test]
    fn keys_in_queries() {
        assert_eq!(key_in_query("measurement_id=G-1&api_secret=amw_1"), Some("amw_1"));
        assert_eq!(key_in_query("writeKey=amw_2"), Some("amw_2"));
        assert_eq!(key_in_query("key=amw_2&writeKey"), None);
    }
}

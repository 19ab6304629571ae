//! The console in the browser: its files below `/console/`, and its page at every other address that no API has.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderName,
    HeaderValue, IF_NONE_MATCH, VARY,
};
use hyper::{Method, StatusCode};
use warp::reply::Response;

use crate::options::Scope;
use crate::{etag, reply};

/// The path of the console's files; also the console's label in the metrics.
pub(crate) const FILES: &str = "/console/";
/// First parts of paths that are the programs': there an unknown path is told as a problem, to browsers as well.
const OF_PROGRAMS: [&str; 9] =
    ["api", "v1", "oauth", ".well-known", "health", "actuator", "metrics", "openapi.json", "docs"];

/// The answer where a browser asks for the console or one of its files.
pub(crate) fn answer(scope: Scope, path: &str, method: &Method, headers: &HeaderMap) -> Option<Response> {
    if !matches!(scope, Scope::All | Scope::Segments) || !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let asset = match path.strip_prefix(FILES) {
        Some(file) => audience_console::asset(file)?,
        None if path == "/" || is_page(path, headers) => audience_console::page()?,
        None => return None,
    };
    Some(respond(asset, headers))
}

/// Returns whether a path is one of the console's own: asked for by a browser, and no program's. The script tells them apart.
fn is_page(path: &str, headers: &HeaderMap) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let wants_page = |header: &HeaderValue| header.to_str().is_ok_and(|text| text.contains("text/html"));
    !OF_PROGRAMS.contains(&first) && headers.get_all(ACCEPT).iter().any(wants_page)
}

fn respond(asset: audience_console::Asset, headers: &HeaderMap) -> Response {
    let known = headers.get_all(IF_NONE_MATCH).iter().any(|header| etag::names(header, &asset.etag));
    let mut response = if known {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        packed(asset.bytes.into_owned(), asset.media, headers)
    };
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    set(
        CACHE_CONTROL,
        match asset.keep {
            audience_console::Keep::Forever => "public, max-age=31536000, immutable",
            // The browser asks again each time: an upgrade shows at once.
            audience_console::Keep::Asking => "no-cache",
        },
    );
    set(VARY, "accept, accept-encoding");
    set(ETAG, &asset.etag);
    set(CONTENT_SECURITY_POLICY, audience_console::POLICY);
    response
}

/// The bytes, with gzip where the browser takes it.
fn packed(bytes: Vec<u8>, media: &'static str, headers: &HeaderMap) -> Response {
    let takes = |header: &HeaderValue| header.to_str().is_ok_and(|text| text.contains("gzip"));
    if headers.get_all(ACCEPT_ENCODING).iter().any(takes) {
        let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::fast());
        if let Ok(packed) = encoder.write_all(&bytes).and_then(|()| encoder.finish()) {
            let mut response = reply::bytes(StatusCode::OK, media, packed);
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            return response;
        }
    }
    reply::bytes(StatusCode::OK, media, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(scope: Scope, path: &str, headers: &[(HeaderName, &'static str)]) -> Option<(StatusCode, Response)> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        answer(scope, path, &Method::GET, &headers).map(|response| (response.status(), response))
    }

    #[test]
    fn pages_are_for_browsers_where_no_api_is() {
        let browser = [(ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")];
        for path in ["/", "/segments/high-value", "/users/a%2Fb", "/anything"] {
            assert_eq!(status(Scope::All, path, &browser).unwrap().0, StatusCode::OK, "{path}");
            assert!(status(Scope::Ingestion, path, &browser).is_none(), "{path}");
        }
        for path in ["/api/segmnts", "/v1/x", "/health/x", "/metrics/x", "/console/absent.js"] {
            assert!(status(Scope::All, path, &browser).is_none(), "{path}");
        }
        assert!(status(Scope::All, "/segments", &[(ACCEPT, "application/json")]).is_none());
        assert!(answer(Scope::All, "/", &Method::POST, &HeaderMap::new()).is_none());
    }

    #[test]
    fn files_are_packed_and_known_again() {
        let (_, response) = status(Scope::Segments, "/console/app.js", &[(ACCEPT_ENCODING, "gzip, br")]).unwrap();
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        assert!(response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("script-src 'self'"));
        let etag = response.headers()[ETAG].clone();
        let headers = HeaderMap::from_iter([(IF_NONE_MATCH, etag)]);
        let again = answer(Scope::All, "/console/app.js", &Method::GET, &headers).unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let headers = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("\"other\""))]);
        assert_eq!(answer(Scope::All, "/console/app.js", &Method::GET, &headers).unwrap().status(), StatusCode::OK);
    }
}

//! The description of the API, for programs and for people.

use std::sync::LazyLock;

use audience_auth::Needs;
use audience_rules::RULES_SCHEMA;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use hyper::{Method, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::api::Api;
use crate::problem::HandlerResult;
use crate::reply;
use crate::route::{Resource, Route, Side};

const PAGE: &str = include_str!("page.html");
const LANDING: &str = include_str!("landing.html");

static PAGE_POLICY: LazyLock<String> = LazyLock::new(|| policy(PAGE));
static LANDING_POLICY: LazyLock<String> = LazyLock::new(|| policy(LANDING));

pub(crate) const RESOURCE: Resource = Resource { routes: &[ROUTES], openapi: include_str!("openapi.json") };

const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/openapi.json", Side::Every, Needs::Public, |api, _| {
        Box::pin(std::future::ready(openapi(&api)))
    }),
    Route::new(Method::GET, "/schemas/rules.json", Side::Every, Needs::Public, |_, _| {
        Box::pin(std::future::ready(rules_schema()))
    }),
    Route::new(Method::GET, "/docs", Side::Every, Needs::Public, |_, _| {
        Box::pin(std::future::ready(page(PAGE, &PAGE_POLICY)))
    }),
    Route::new(Method::GET, "/", Side::Every, Needs::Public, |_, _| {
        Box::pin(std::future::ready(page(LANDING, &LANDING_POLICY)))
    }),
];

fn openapi(api: &Api) -> HandlerResult {
    Ok(reply::bytes(StatusCode::OK, "application/json", api.description))
}

fn rules_schema() -> HandlerResult {
    Ok(reply::bytes(StatusCode::OK, "application/schema+json", RULES_SCHEMA))
}

fn page(text: &'static str, policy: &'static str) -> HandlerResult {
    let mut response = reply::bytes(StatusCode::OK, "text/html; charset=utf-8", text);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    Ok(response)
}

/// The policy of a page: of scripts and styles, those alone that stand in it, by their digests.
fn policy(page: &str) -> String {
    let source = |tag: &str| {
        let inside = page.split_once(&format!("<{tag}>")).and_then(|(_, rest)| rest.split_once(&format!("</{tag}>")));
        inside.map_or_else(
            || "'none'".to_owned(),
            |(text, _)| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text))),
        )
    };
    format!(
        "default-src 'none'; connect-src 'self'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'",
        source("script"),
        source("style")
    )
}

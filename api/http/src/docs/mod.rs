//! The description of the API, for programs and for people.

use audience_auth::Needs;
use audience_rules::RULES_SCHEMA;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue};
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::problem::HandlerResult;
use crate::reply;
use crate::route::{Resource, Route, Side};

const PAGE: &str = include_str!("page.html");
const LANDING: &str = include_str!("landing.html");

pub(crate) const RESOURCE: Resource = Resource { routes: &[ROUTES], openapi: include_str!("openapi.json") };

const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/openapi.json", Side::Every, Needs::Public, |api, _| {
        Box::pin(std::future::ready(openapi(&api)))
    }),
    Route::new(Method::GET, "/schemas/rules.json", Side::Every, Needs::Public, |_, _| {
        Box::pin(std::future::ready(rules_schema()))
    }),
    Route::new(Method::GET, "/docs", Side::Every, Needs::Public, |_, _| Box::pin(std::future::ready(page(PAGE)))),
    Route::new(Method::GET, "/", Side::Every, Needs::Public, |_, _| Box::pin(std::future::ready(page(LANDING)))),
];

fn openapi(api: &Api) -> HandlerResult {
    Ok(reply::bytes(StatusCode::OK, "application/json", api.description))
}

fn rules_schema() -> HandlerResult {
    Ok(reply::bytes(StatusCode::OK, "application/schema+json", RULES_SCHEMA))
}

fn page(text: &'static str) -> HandlerResult {
    let mut response = reply::bytes(StatusCode::OK, "text/html; charset=utf-8", text);
    let policy = "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                  base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    Ok(response)
}

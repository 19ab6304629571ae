//! Tokens for programs: `/api/session/tokens`, the endpoints of OAuth 2 for refreshing, revoking and introspection, and what
//! says where they are.
//!
//! Faults of these are in the form of RFC 6749, `{"error", "error_description"}`, as libraries of OAuth read them.

use std::collections::HashMap;
use std::sync::Arc;

use audience_auth::{AuthError, Knock, Needs, TokenPair};
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use warp::reply::Response;

use super::session::{Arrival, not_kept};
use crate::api::Api;
use crate::call_body::CallBody;
use crate::problem::{HandlerResult, Problem};
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

const FORM: &str = "application/x-www-form-urlencoded";
/// Bytes of a form: a token has at most 8 KiB.
const MOST: usize = 16 << 10;
/// The time for which programs may keep the public keys, as a header has it.
const KEEP_KEYS: HeaderValue = HeaderValue::from_static("public, max-age=300");

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::POST, "/api/session/tokens", Side::Segments, Needs::SignedIn, |api, call| {
        Box::pin(draw(api, call))
    }),
    Route::new(Method::POST, "/oauth/token", Side::Segments, Needs::Public, |api, call| Box::pin(token(api, call))),
    Route::new(Method::POST, "/oauth/revoke", Side::Segments, Needs::Public, |api, call| Box::pin(revoke(api, call))),
    Route::new(Method::POST, "/oauth/introspect", Side::Segments, Needs::Service, |api, call| {
        Box::pin(introspect(api, call))
    }),
    Route::new(Method::GET, "/.well-known/jwks.json", Side::Segments, Needs::Public, |api, _| {
        Box::pin(std::future::ready(Ok(public_keys(&api))))
    }),
    Route::new(Method::GET, "/.well-known/oauth-authorization-server", Side::Segments, Needs::Public, |api, call| {
        Box::pin(std::future::ready(Ok(metadata(&api, &call))))
    }),
];

/// A fault in the form of RFC 6749.
fn fault(status: StatusCode, error: &str, description: &str) -> Response {
    let mut response = not_kept(reply::json(status, &json!({"error": error, "error_description": description})));
    if status == StatusCode::UNAUTHORIZED {
        let asks = HeaderValue::from_static("Basic realm=\"audience\", charset=\"UTF-8\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, asks);
    }
    response
}

fn given(pair: &TokenPair) -> Response {
    let mut body = json!({"access_token": pair.access, "token_type": "Bearer", "expires_in": pair.expires_in});
    if let Some(refresh) = &pair.refresh {
        body["refresh_token"] = Value::from(refresh.expose());
    }
    not_kept(reply::json(StatusCode::OK, &body))
}

/// The fields of a form, or the answer that says what is wrong with it.
type FormOutcome = Result<HashMap<String, String>, Response>;

/// Reads a form; a field that stands twice is a fault.
async fn form(api: &Api, headers: &HeaderMap, body: CallBody) -> Result<FormOutcome, Problem> {
    let media = headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    let refuse = |why| Ok(Err(fault(StatusCode::BAD_REQUEST, "invalid_request", why)));
    if !media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case(FORM)) {
        return refuse("the body is a form, application/x-www-form-urlencoded");
    }
    let bytes = api.body_within(headers, body, MOST).await?;
    let mut fields = HashMap::new();
    for (name, value) in form_urlencoded::parse(&bytes) {
        if fields.insert(name.into_owned(), value.into_owned()).is_some() {
            return refuse("a field stands twice");
        }
    }
    Ok(Ok(fields))
}

async fn draw(api: Arc<Api>, call: Call) -> HandlerResult {
    let from = Arrival::of(&api, &call);
    let principal = call.principal;
    let pair = api.blocking(move |api| api.auth.draw_tokens(&principal, &from.visitor())).await?;
    Ok(given(&pair))
}

async fn token(api: Arc<Api>, call: Call) -> HandlerResult {
    let fields = match form(&api, &call.headers, call.body).await? {
        Ok(fields) => fields,
        Err(fault) => return Ok(fault),
    };
    let now = (api.options.clock)();
    let invalid = |error: &str, description: &str| Ok(fault(StatusCode::BAD_REQUEST, error, description));
    match fields.get("grant_type").map(String::as_str) {
        Some("refresh_token") => {
            let Some(token) = fields.get("refresh_token").cloned() else {
                return invalid("invalid_request", "there is no refresh_token");
            };
            answer(api.blocking(move |api| Ok::<_, Problem>(api.auth.refresh(&token, now))).await?, false)
        }
        Some("client_credentials") => {
            let header = call.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let shown = header.or_else(|| fields.get("client_secret").map(|key| format!("Bearer {key}")));
            let address = call.address;
            let of_key = move |api: &Api| {
                let knock = Knock { authorization: shown.as_deref(), address, now, ..Knock::default() };
                Ok::<_, Problem>(api.auth.token_of_key(&knock))
            };
            answer(api.blocking(of_key).await?, true)
        }
        Some(_) => invalid("unsupported_grant_type", "take refresh_token or client_credentials"),
        None => invalid("invalid_request", "there is no grant_type"),
    }
}

fn answer(outcome: Result<TokenPair, AuthError>, is_of_client: bool) -> HandlerResult {
    match outcome {
        Ok(pair) => Ok(given(&pair)),
        Err(AuthError::NotSignedIn(why)) if is_of_client => Ok(fault(StatusCode::UNAUTHORIZED, "invalid_client", why)),
        Err(AuthError::NotSignedIn(why)) => Ok(fault(StatusCode::BAD_REQUEST, "invalid_grant", why)),
        Err(error) => Err(error.into()),
    }
}

async fn revoke(api: Arc<Api>, call: Call) -> HandlerResult {
    let fields = match form(&api, &call.headers, call.body).await? {
        Ok(fields) => fields,
        Err(fault) => return Ok(fault),
    };
    let Some(token) = fields.get("token").cloned() else {
        return Ok(fault(StatusCode::BAD_REQUEST, "invalid_request", "there is no token"));
    };
    let now = (api.options.clock)();
    api.blocking(move |api| api.auth.revoke_token(&token, now)).await?;
    Ok(not_kept(reply::json(StatusCode::OK, &json!({}))))
}

async fn introspect(api: Arc<Api>, call: Call) -> HandlerResult {
    let fields = match form(&api, &call.headers, call.body).await? {
        Ok(fields) => fields,
        Err(fault) => return Ok(fault),
    };
    let now = (api.options.clock)();
    let known = fields.get("token").and_then(|token| api.auth.introspect(&call.principal, token, now));
    let body = known.map_or_else(
        || json!({"active": false}),
        |(claims, permissions)| {
            let mut body = serde_json::to_value(&claims).unwrap_or_default();
            body["active"] = Value::Bool(true);
            body["token_type"] = Value::from("Bearer");
            body["permissions"] = permissions.iter().map(|permission| permission.name()).collect();
            body
        },
    );
    Ok(not_kept(reply::json(StatusCode::OK, &body)))
}

fn public_keys(api: &Api) -> Response {
    let key = |(id, public): (String, String)| json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": id, "x": public});
    let keys: Vec<Value> = api.auth.public_keys().into_iter().map(key).collect();
    let mut response = reply::json(StatusCode::OK, &json!({"keys": keys}));
    response.headers_mut().insert(CACHE_CONTROL, KEEP_KEYS);
    response
}

fn metadata(api: &Api, call: &Call) -> Response {
    let scheme = if api.options.tls.is_some() { "https" } else { "http" };
    let host = call.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let named = api.auth.options().public_url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
    let base = named.unwrap_or_else(|| format!("{scheme}://{host}"));
    let methods = ["client_secret_basic", "client_secret_post"];
    let body = json!({
        "issuer": api.auth.issuer(),
        "token_endpoint": format!("{base}/oauth/token"),
        "revocation_endpoint": format!("{base}/oauth/revoke"),
        "introspection_endpoint": format!("{base}/oauth/introspect"),
        "jwks_uri": format!("{base}/.well-known/jwks.json"),
        "grant_types_supported": ["refresh_token", "client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": [methods[0], methods[1], "none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "introspection_endpoint_auth_methods_supported": methods,
    });
    reply::json(StatusCode::OK, &body)
}

//! `/api/auth`: the ways to sign in, and the one by a provider of identities. These are pages' addresses, not programs': an
//! outcome sends the browser to the console, with a word where it failed.

use std::sync::Arc;

use audience_auth::{CALLBACK, Needs, NotProvided, ProviderAnswer};
use hyper::header::{HeaderValue, LOCATION, SET_COOKIE};
use hyper::{Method, StatusCode};
use serde_json::json;
use warp::reply::Response;

use super::session::{Arrival, not_kept, session_cookie};
use crate::admission::{browser_cookie, cookie_name, session_shown};
use crate::api::Api;
use crate::problem::{HandlerResult, Problem};
use crate::query::Query;
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

const START: &str = "/api/auth/oidc/start";
/// Seconds that a browser may take to sign in at the provider.
const SECONDS: u32 = 900;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/auth/ways", Side::Segments, Needs::Public, |api, _| {
        Box::pin(std::future::ready(Ok(ways(&api))))
    }),
    Route::new(Method::GET, START, Side::Segments, Needs::Public, |api, call| Box::pin(start(api, call))),
    Route::new(Method::GET, CALLBACK, Side::Segments, Needs::Public, |api, call| Box::pin(come_back(api, call))),
];

fn ways(api: &Api) -> Response {
    let provider = api.auth.provider_label().map(|label| json!({"label": label, "start": START}));
    not_kept(reply::json(StatusCode::OK, &json!({"password": true, "provider": provider})))
}

/// The cookie of a browser that signs in: `__Host-audience-oidc` where the session's has that prefix.
fn flow_cookie(api: &Api) -> String {
    format!("{}-oidc", cookie_name(api))
}

/// Sends a browser on. 303: whatever it asked before, it gets this.
fn sent_to(url: &str) -> Response {
    let mut response = not_kept(Response::default());
    *response.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(url) = HeaderValue::from_str(url) {
        response.headers_mut().insert(LOCATION, url);
    }
    response
}

/// Keeps the secret of a sign-in in the browser, or takes it back. `Lax`, since the browser comes back from another site.
fn keep(api: &Api, response: &mut Response, secret: Option<&str>) {
    let name = flow_cookie(api);
    let secure = if name.starts_with("__Host-") { "; Secure" } else { "" };
    let (value, seconds) = secret.map_or(("", 0), |secret| (secret, SECONDS));
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    if let Ok(mut cookie) = HeaderValue::from_str(&cookie) {
        cookie.set_sensitive(true);
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

fn failed(api: &Api, why: &NotProvided) -> Response {
    match why {
        NotProvided::Provider(error) => tracing::warn!(%error, "Nobody signed in by the provider of identities"),
        NotProvided::Access(error) => tracing::error!(%error, "Nobody signed in by the provider of identities"),
        _ => tracing::info!(why = why.code(), "Somebody was not signed in by the provider of identities"),
    }
    let mut response = sent_to(&format!("/?signIn={}", why.code()));
    keep(api, &mut response, None);
    response
}

async fn start(api: Arc<Api>, _call: Call) -> HandlerResult {
    let Ok(_place) = Arc::clone(&api.sign_ins).try_acquire_owned() else { return Err(Problem::busy(1)) };
    let now = (api.options.clock)();
    let begun = api.blocking(move |api| Ok::<_, Problem>(api.auth.visit_provider(now))).await?;
    Ok(match begun {
        Ok(visit) => {
            let mut response = sent_to(&visit.url);
            keep(&api, &mut response, Some(&visit.secret));
            response
        }
        Err(why) => failed(&api, &why),
    })
}

async fn come_back(api: Arc<Api>, call: Call) -> HandlerResult {
    let Ok(_place) = Arc::clone(&api.sign_ins).try_acquire_owned() else { return Err(Problem::busy(1)) };
    let from = Arrival::of(&api, &call);
    let query = Query::read(&call.query);
    let part = |name: &str| Ok::<_, Problem>(query.one(name)?.map(str::to_owned));
    let answer = ProviderAnswer {
        secret: browser_cookie(&call.headers, &flow_cookie(&api)).map(str::to_owned),
        session: session_shown(&api, &call.headers).map(str::to_owned),
        code: part("code")?,
        state: part("state")?,
        issuer: part("iss")?,
        error: part("error")?,
    };
    let came = api.blocking(move |api| Ok::<_, Problem>(api.auth.come_from_provider(&answer, &from.visitor()))).await?;
    Ok(match came {
        Ok((_, secret)) => {
            let mut response = sent_to("/");
            keep(&api, &mut response, None);
            if let Some(cookie) = session_cookie(&api, Some(&secret)) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            response
        }
        Err(why) => failed(&api, &why),
    })
}

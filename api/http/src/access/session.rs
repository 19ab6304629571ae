//! `/api/session`: who asks, signing in and out, one's password; and `/api/join`, by which an invitation is taken.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use audience_auth::{AuthError, Joining, Member, Needs, Secret, Visitor};
use hyper::header::{CACHE_CONTROL, HeaderValue, SET_COOKIE, USER_AGENT};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use warp::reply::Response;

use super::views::CallerView;
use crate::admission::cookie_name;
use crate::api::Api;
use crate::body::Media;
use crate::json;
use crate::problem::{HandlerResult, Problem};
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

const PATH: &str = "/api/session";
/// The longest that a browser keeps the cookie, in seconds; the session may end before.
const COOKIE_SECONDS: u32 = 7 * 24 * 3600;

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, Side::Segments, Needs::SignedIn, |api, call| {
        Box::pin(std::future::ready(show(&api, &call)))
    }),
    Route::new(Method::POST, PATH, Side::Segments, Needs::Public, |api, call| Box::pin(sign_in(api, call))),
    Route::new(Method::DELETE, PATH, Side::Segments, Needs::SignedIn, |api, call| Box::pin(sign_out(api, call))),
    Route::new(Method::PUT, "/api/session/password", Side::Segments, Needs::SignedIn, |api, call| {
        Box::pin(change_password(api, call))
    }),
    Route::new(Method::POST, "/api/join", Side::Segments, Needs::Public, |api, call| Box::pin(join(api, call))),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    email: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Join {
    secret: String,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    name: Option<String>,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ChangePassword {
    current_password: String,
    new_password: String,
}

fn show(api: &Api, call: &Call) -> HandlerResult {
    Ok(not_kept(reply::json(StatusCode::OK, &CallerView::of(&call.principal, api.auth.is_open()))))
}

/// From where somebody comes, as owned by a task.
pub(super) struct Arrival {
    address: IpAddr,
    agent: String,
    now: i64,
}

impl Arrival {
    pub(super) fn of(api: &Api, call: &Call) -> Arrival {
        let agent = call.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default().to_owned();
        let address = call.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Arrival { address, agent, now: (api.options.clock)() }
    }

    pub(super) fn visitor(&self) -> Visitor<'_> {
        Visitor { address: self.address, agent: &self.agent, now: self.now }
    }
}

/// An attempt that is slowed down holds a place of its own kind, of which there are few: a flood of wrong passwords takes none
/// from other requests.
async fn sign_in(api: Arc<Api>, call: Call) -> HandlerResult {
    Media::of(&call.headers, &[Media::Json])?;
    let Ok(_place) = Arc::clone(&api.sign_ins).try_acquire_owned() else { return Err(Problem::busy(1)) };
    let from = Arrival::of(&api, &call);
    let body = api.body(&call.headers, call.body).await?;
    let SignIn { email, password } = json::parse_object(&body)?;
    let delay = api.auth.before_sign_in(&email, &from.visitor())?;
    tokio::time::sleep(delay).await;
    let (member, secret) = api.blocking(move |api| api.auth.sign_in(&email, &password, &from.visitor())).await?;
    Ok(signed_in(&api, StatusCode::OK, &member, &secret))
}

async fn join(api: Arc<Api>, call: Call) -> HandlerResult {
    Media::of(&call.headers, &[Media::Json])?;
    let Ok(_place) = Arc::clone(&api.sign_ins).try_acquire_owned() else { return Err(Problem::busy(1)) };
    let from = Arrival::of(&api, &call);
    let body = api.body(&call.headers, call.body).await?;
    let Join { secret, email, name, password } = json::parse_object(&body)?;
    let joining = Joining { secret, email, name, password };
    let (member, secret) = api.blocking(move |api| api.auth.join(&joining, &from.visitor())).await?;
    Ok(signed_in(&api, StatusCode::CREATED, &member, &secret))
}

async fn change_password(api: Arc<Api>, call: Call) -> HandlerResult {
    Media::of(&call.headers, &[Media::Json])?;
    let Ok(_place) = Arc::clone(&api.sign_ins).try_acquire_owned() else { return Err(Problem::busy(1)) };
    let from = Arrival::of(&api, &call);
    let body = api.body(&call.headers, call.body).await?;
    let ChangePassword { current_password, new_password } = json::parse_object(&body)?;
    let principal = call.principal;
    // Whoever finds an open browser must not guess without end either.
    let delay = api.auth.before_sign_in(principal.caller().author(), &from.visitor())?;
    tokio::time::sleep(delay).await;
    let secret = api
        .blocking(move |api| api.auth.change_password(&principal, &current_password, &new_password, &from.visitor()))
        .await?;
    let mut response = reply::no_content();
    set_cookie(&api, &mut response, Some(&secret));
    Ok(response)
}

/// Ends the session here. Whoever came by a provider of identities is told where to sign out there, too.
async fn sign_out(api: Arc<Api>, call: Call) -> HandlerResult {
    let principal = call.principal;
    let now = (api.options.clock)();
    let ended = move |api: &Api| {
        api.auth.sign_out(&principal)?;
        Ok::<_, AuthError>(api.auth.provider_sign_out(&principal, now))
    };
    let mut response = match api.blocking(ended).await? {
        Some(url) => reply::json(StatusCode::OK, &json!({"continueAt": url})),
        None => reply::no_content(),
    };
    set_cookie(&api, &mut response, None);
    Ok(response)
}

fn signed_in(api: &Api, status: StatusCode, member: &Member, secret: &Secret) -> Response {
    let mut response = not_kept(reply::json(status, &CallerView::of_member(member)));
    set_cookie(api, &mut response, Some(secret));
    response
}

/// The answer, which no cache keeps.
pub(super) fn not_kept(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The cookie of a session as a header, or its removal.
pub(super) fn session_cookie(api: &Api, secret: Option<&Secret>) -> Option<HeaderValue> {
    let name = cookie_name(api);
    let secure = if name.starts_with("__Host-") { "; Secure" } else { "" };
    let (value, seconds) = secret.map_or(("", 0), |secret| (secret.expose(), COOKIE_SECONDS));
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    let mut cookie = HeaderValue::from_str(&cookie).ok()?;
    cookie.set_sensitive(true);
    Some(cookie)
}

fn set_cookie(api: &Api, response: &mut Response, secret: Option<&Secret>) {
    if let Some(cookie) = session_cookie(api, secret) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
}

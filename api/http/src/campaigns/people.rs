//! Suppressions, the mails of the sandbox, and the links by which people unsubscribe.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use audience_protocol::SuppressionInput;
use hyper::{Method, StatusCode};
use warp::reply::Response;

use crate::api::Api;
use crate::body::Media;
use crate::json;
use crate::preconditions::author;
use crate::problem::{HandlerResult, Problem};
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Route, Side};

const SUPPRESSIONS: &str = "/api/suppressions";
const READ: Needs = Needs::Permission(Permission::CampaignRead);
const WRITE: Needs = Needs::Permission(Permission::CampaignWrite);
/// Mails show what is known of people.
const PEOPLE: Needs = Needs::Permission(Permission::PiiRead);
const LINK: &str = "/u/{token}";

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::GET, SUPPRESSIONS, Side::Segments, READ, |api, call| Box::pin(list(api, call))),
    Route::new(Method::POST, SUPPRESSIONS, Side::Segments, WRITE, |api, call| Box::pin(suppress(api, call))),
    Route::new(Method::DELETE, "/api/suppressions/{address}", Side::Segments, WRITE, |api, call| {
        Box::pin(allow(api, call))
    }),
    Route::new(Method::GET, "/api/sandbox/mails", Side::Segments, PEOPLE, |api, call| Box::pin(mails(api, call))),
    Route::new(Method::GET, LINK, Side::Segments, Needs::Public, |api, call| Box::pin(ask(api, call))),
    Route::new(Method::POST, LINK, Side::Segments, Needs::Public, |api, call| Box::pin(unsubscribe(api, call))),
];

async fn list(api: Arc<Api>, _: Call) -> HandlerResult {
    let items = api.blocking(|api| api.platform.campaigns.suppressions()).await?;
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

async fn suppress(api: Arc<Api>, call: Call) -> HandlerResult {
    let author = author(&call)?;
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| {
        let input: SuppressionInput = json::parse_object(&body)?;
        let suppression = api.platform.campaigns.suppress(input, &author)?;
        Ok::<_, Problem>(reply::json(StatusCode::CREATED, &suppression))
    })
    .await
}

async fn allow(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let (author, address) = (author(&call)?, call.take_id());
    api.blocking(move |api| api.platform.campaigns.allow_again(&address, &author)).await?;
    Ok(reply::no_content())
}

async fn mails(api: Arc<Api>, _: Call) -> HandlerResult {
    let items = api.blocking(|api| api.platform.campaigns.sandbox_mails()).await?;
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

/// Asks, and changes nothing: scanners of mails follow every link.
async fn ask(_: Arc<Api>, _: Call) -> HandlerResult {
    Ok(page("<p>Do you want no more of these mails?</p><form method=\"post\"><button>Unsubscribe</button></form>"))
}

/// One click (RFC 8058): no login, no cookie and no page in between. The body says nothing that matters.
async fn unsubscribe(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let token = call.take_id();
    api.blocking(move |api| api.platform.campaigns.unsubscribe(&token)).await?;
    Ok(page("<p>You are unsubscribed.</p>"))
}

fn page(body: &str) -> Response {
    let head = "<!doctype html><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>Unsubscribe</title>";
    reply::bytes(StatusCode::OK, "text/html; charset=utf-8", format!("{head}{body}"))
}

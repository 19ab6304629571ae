//! `/api/invitations`: links by which people become members.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use hyper::{Method, StatusCode};
use serde::Deserialize;

use super::members::role;
use super::session::not_kept;
use super::views::InvitationView;
use crate::api::Api;
use crate::body::Media;
use crate::json;
use crate::problem::HandlerResult;
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Route, Side};

const PATH: &str = "/api/invitations";
const READ: Needs = Needs::Permission(Permission::MemberRead);
const WRITE: Needs = Needs::Permission(Permission::MemberWrite);

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, Side::Segments, READ, |api, call| Box::pin(list(api, call))),
    Route::new(Method::POST, PATH, Side::Segments, WRITE, |api, call| Box::pin(invite(api, call))),
    Route::new(Method::DELETE, "/api/invitations/{id}", Side::Segments, WRITE, |api, call| {
        Box::pin(withdraw(api, call))
    }),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InvitationBody {
    email: String,
    role: String,
}

async fn list(api: Arc<Api>, call: Call) -> HandlerResult {
    let now = (api.options.clock)();
    let invitations = api.blocking(move |api| api.auth.invitations(&call.principal, now)).await?;
    let items: Vec<_> = invitations.iter().map(|invitation| InvitationView::of(invitation, None)).collect();
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

async fn invite(api: Arc<Api>, call: Call) -> HandlerResult {
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    let InvitationBody { email, role: named } = json::parse_object(&body)?;
    let (role, principal, now) = (role(&named)?, call.principal, (api.options.clock)());
    let made = api.blocking(move |api| api.auth.invite(&principal, &email, role, now)).await?;
    let view = InvitationView::of(&made.0, Some(api.auth.link(&made.1)));
    Ok(not_kept(reply::json(StatusCode::CREATED, &view)))
}

async fn withdraw(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let (id, principal) = (call.take_id(), call.principal);
    api.blocking(move |api| api.auth.withdraw(&principal, &id)).await?;
    Ok(reply::no_content())
}

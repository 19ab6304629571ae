//! `/api/sessions`: who is signed in, and from where.

use std::sync::Arc;

use audience_auth::{AuthError, Needs, Session};
use hyper::{Method, StatusCode};

use super::views::SessionView;
use crate::api::Api;
use crate::problem::HandlerResult;
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Route, Side};

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/sessions", Side::Segments, Needs::SignedIn, |api, call| Box::pin(list(api, call))),
    Route::new(Method::DELETE, "/api/sessions/{id}", Side::Segments, Needs::SignedIn, |api, call| {
        Box::pin(end(api, call))
    }),
];

/// One's own, or everybody's with `member:read`.
async fn list(api: Arc<Api>, call: Call) -> HandlerResult {
    let (principal, now) = (call.principal, (api.options.clock)());
    let items = api
        .blocking(move |api| {
            let sessions = api.auth.sessions(&principal, now)?;
            let view = |(session, email): &(Arc<Session>, String)| SessionView::of(session, email, &principal);
            Ok::<Vec<SessionView>, AuthError>(sessions.iter().map(view).collect())
        })
        .await?;
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

/// One's own, or anybody's with `member:write`.
async fn end(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let (id, principal) = (call.take_id(), call.principal);
    api.blocking(move |api| api.auth.end_session(&principal, &id)).await?;
    Ok(reply::no_content())
}

//! `/api/events/recent`: the newest events as they came in, refused ones with the reason.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::problem::HandlerResult;
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

const PII: Needs = Needs::Permission(Permission::PiiRead);

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/api/events/recent", Side::Segments, PII, |api, call| Box::pin(recent(api, call)))];

async fn recent(api: Arc<Api>, _call: Call) -> HandlerResult {
    let events = api.blocking(|api| api.platform.events.recent_events()).await?;
    Ok(reply::json(StatusCode::OK, &events))
}

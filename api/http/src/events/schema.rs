//! `/api/schema`: what events and traits look like.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::problem::HandlerResult;
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

const READ: Needs = Needs::Permission(Permission::EventRead);

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/api/schema", Side::Segments, READ, |api, call| Box::pin(schema(api, call)))];

async fn schema(api: Arc<Api>, _call: Call) -> HandlerResult {
    let schema = api.blocking(|api| api.platform.events.schema()).await?;
    Ok(reply::json(StatusCode::OK, &schema))
}

//! `/api/system`: the process in a few figures, now and over the last hour.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::problem::HandlerResult;
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Route, Side};

const READ: Needs = Needs::Permission(Permission::SystemRead);

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/system", Side::Segments, READ, |api, call| Box::pin(system(api, call))),
    Route::new(Method::GET, "/api/system/hour", Side::Segments, READ, |api, call| Box::pin(hour(api, call))),
];

/// The figures of the last hour.
async fn hour(api: Arc<Api>, _call: Call) -> HandlerResult {
    let items = api.blocking(|api| api.platform.operations.system_hour()).await?;
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

/// The system's figures. Only the HTTP side knows the refused events.
async fn system(api: Arc<Api>, _call: Call) -> HandlerResult {
    let mut view = api.blocking(|api| api.platform.operations.system()).await?;
    view.events.rejected += api.metrics.events_refused();
    Ok(reply::json(StatusCode::OK, &view))
}

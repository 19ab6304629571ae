//! `/metrics`: those of HTTP, of the platform and of the program.

use std::sync::Arc;

use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::problem::{HandlerResult, Problem};
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/metrics", Side::Every, |api, call| Box::pin(show(api, call)))];

async fn show(api: Arc<Api>, _: Call) -> HandlerResult {
    let text = api
        .blocking(|api| {
            api.metrics
                .write(&api.platform.operations.metrics(), &(api.options.figures)())
                .map_err(|_| Problem::internal())
        })
        .await?;
    Ok(reply::bytes(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", text))
}

//! `/metrics`: those of HTTP, of the platform and of the program.

use std::sync::Arc;

use audience_auth::Needs;
use hyper::{Method, StatusCode};
use warp::reply::Response;

use crate::api::Api;
use crate::metrics;
use crate::problem::{HandlerResult, Problem};
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};
use crate::tenant_way;

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/metrics", Side::Every, Needs::Service, |api, call| Box::pin(show(api, call)))];

async fn show(api: Arc<Api>, call: Call) -> HandlerResult {
    let is_default = call.principal.tenant().is_default();
    let text = api
        .blocking(move |api| {
            if !is_default {
                // What others do in this process is none of the tenant's.
                let own = api.metrics.write(&api.platform.operations.metrics(), "");
                return own.map_err(|_| Problem::internal());
            }
            api.metrics.set_health(&api.platform.operations.health(), api.is_draining());
            let quotas = api.options.quotas.figures();
            let tls = api.options.tls.as_ref().map_or_else(String::new, |tls| tls.figures());
            api.metrics
                .write(
                    &api.platform.operations.metrics(),
                    &[
                        api.auth.figures(),
                        quotas,
                        tls,
                        api.platform.campaigns.figures(),
                        (api.options.figures)(),
                        tenant_way::figures(api),
                    ]
                    .concat(),
                )
                .map_err(|_| Problem::internal())
        })
        .await?;
    Ok(answer(text))
}

/// The answer at the path of metrics while the process starts; `None` at other paths.
pub(crate) fn of_start(path: &str, figures: fn() -> String) -> Option<Response> {
    (path == "/metrics").then(|| answer(metrics::of_start(&figures())))
}

fn answer(text: String) -> Response {
    reply::bytes(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", text)
}

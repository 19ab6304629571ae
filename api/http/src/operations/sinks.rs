//! `/api/sinks`: the sinks, and their comparison with the memberships.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::problem::HandlerResult;
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

const READ: Needs = Needs::Permission(Permission::SystemRead);
const WRITE: Needs = Needs::Permission(Permission::SystemWrite);

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/sinks", Side::Segments, READ, |api, call| Box::pin(list(api, call))),
    Route::new(Method::POST, "/api/sinks/{name}/verify", Side::Segments, WRITE, |api, call| {
        Box::pin(verify(api, call))
    }),
    Route::new(Method::POST, "/api/sinks/{name}/rebuild", Side::Segments, WRITE, |api, call| {
        Box::pin(rebuild(api, call))
    }),
];

async fn list(api: Arc<Api>, _: Call) -> HandlerResult {
    let sinks = api.blocking(|api| api.platform.operations.sinks()).await?;
    Ok(reply::json(StatusCode::OK, &sinks))
}

async fn verify(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let name = call.take_id();
    let sinks = api
        .blocking(move |api| {
            api.platform.operations.verify_sink(&name)?;
            api.platform.operations.sinks()
        })
        .await?;
    Ok(reply::json(StatusCode::ACCEPTED, &sinks))
}

async fn rebuild(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let name = call.take_id();
    let sinks = api
        .blocking(move |api| {
            api.platform.operations.rebuild_sink(&name)?;
            api.platform.operations.sinks()
        })
        .await?;
    Ok(reply::json(StatusCode::ACCEPTED, &sinks))
}

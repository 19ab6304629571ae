//! `/api/demo`: a generated shop for an instance without data.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::problem::HandlerResult;
use crate::reply;
use crate::request::Call;
use crate::route::{Resource, Route, Side};

const PATH: &str = "/api/demo";

const READ: Needs = Needs::Permission(Permission::SegmentRead);
const WRITE: Needs = Needs::Permission(Permission::SystemWrite);

const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, Side::Segments, READ, |api, call| Box::pin(show(api, call))),
    Route::new(Method::POST, PATH, Side::Segments, WRITE, |api, call| Box::pin(load(api, call))),
];

pub(crate) const RESOURCE: Resource = Resource { routes: &[ROUTES], openapi: include_str!("openapi.json") };

async fn show(api: Arc<Api>, _call: Call) -> HandlerResult {
    let view = api.blocking(|api| api.platform.demo.demo()).await?;
    Ok(reply::json(StatusCode::OK, &view))
}

async fn load(api: Arc<Api>, _call: Call) -> HandlerResult {
    let view = api.blocking(|api| api.platform.demo.load_demo()).await?;
    Ok(reply::json(StatusCode::ACCEPTED, &view))
}

//! `/api/segments/{id}/pipeline`: what a version of a segment becomes in the engine.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::problem::{HandlerResult, Problem};
use crate::query::Query;
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

const READ: Needs = Needs::Permission(Permission::SegmentRead);

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/api/segments/{id}/pipeline", Side::Segments, READ, |api, call| {
        Box::pin(show(api, call))
    })];

async fn show(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let query = Query::read(&call.query);
    let wrong = |_| Problem::bad_request("invalid_parameter", "version is the number of one of the segment's versions");
    let version = query.one("version")?.map(str::parse::<u64>).transpose().map_err(wrong)?;
    let id = call.take_id();
    let pipeline = api.blocking(move |api| api.platform.segments.segment_pipeline(&id, version)).await?;
    Ok(reply::json(StatusCode::OK, &pipeline))
}

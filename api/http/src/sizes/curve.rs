//! `POST /api/segments/preview/sizes`: the size that rules would have had over the past.

use std::sync::Arc;
use std::time::Instant;

use audience_auth::{Needs, Permission};
use audience_protocol::CurveInput;
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::body::Media;
use crate::json;
use crate::problem::{HandlerResult, Problem};
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

const PREVIEW: Needs = Needs::Permission(Permission::SegmentPreview);

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::POST, "/api/segments/preview/sizes", Side::Segments, PREVIEW, |api, call| {
        Box::pin(compute(api, call))
    })];

async fn compute(api: Arc<Api>, call: Call) -> HandlerResult {
    Media::of(&call.headers, &[Media::Json])?;
    let body = api.body(&call.headers, call.body).await?;
    let input: CurveInput = json::parse(&body)?;
    let Ok(place) = Arc::clone(&api.explanations).try_acquire_owned() else { return Err(Problem::busy(1)) };
    let curve = api
        .blocking(move |api| {
            let _place = place;
            let deadline = Instant::now() + api.options.request_timeout;
            api.platform.sizes.size_curve(&input, &|| Instant::now() < deadline && !api.is_draining())
        })
        .await?;
    Ok(reply::json(StatusCode::OK, &curve))
}

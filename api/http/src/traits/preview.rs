//! `POST /api/traits/{name}/preview`: who would enter and leave by another definition, before it is stored.

use std::sync::Arc;
use std::time::Instant;

use audience_auth::{Needs, Permission};
use audience_protocol::TraitPreviewInput;
use hyper::{Method, StatusCode};

use super::input;
use crate::api::Api;
use crate::body::Media;
use crate::problem::{HandlerResult, Problem};
use crate::query::Query;
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

/// Users of each kind that may be named.
const MOST_SAMPLES: u32 = 100;

/// It names users.
const PREVIEW: Needs = Needs::Permission(Permission::SegmentPreview);

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::POST, "/api/traits/{name}/preview", Side::Segments, PREVIEW, |api, call| {
        Box::pin(preview(api, call))
    })];

async fn preview(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let name = call.take_id();
    Media::of(&call.headers, &[Media::Json])?;
    let sample_size = Query::read(&call.query).number("sampleSize", MOST_SAMPLES)?;
    let body = api.body(&call.headers, call.body).await?;
    let Ok(place) = Arc::clone(&api.previews).try_acquire_owned() else { return Err(Problem::busy(1)) };
    let deadline = Instant::now() + api.options.request_timeout;
    api.blocking(move |api| {
        let _place = place;
        let definition = input::named(input::read(&body)?, &name)?.definition;
        let preview = TraitPreviewInput { definition, sample_size };
        let mut watch = || Instant::now() < deadline && !api.is_draining();
        let effect = api.platform.traits.preview_trait(preview, &mut watch)?;
        Ok::<_, Problem>(reply::json(StatusCode::OK, &effect))
    })
    .await
}

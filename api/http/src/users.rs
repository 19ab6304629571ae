//! `/api/users`: users and the segments that they are in.

use std::sync::Arc;

use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::reply;
use crate::route::{Answer, Call, Route, Side};

pub(crate) const ROUTES: &[Route] = &[
    // The one that most requests are for: answered in place, from memory.
    Route::new(Method::GET, "/api/users/{id}/segments", Side::Segments, |api, call| {
        Box::pin(std::future::ready(segments(&api, &call)))
    }),
    Route::new(Method::GET, "/api/users/{id}", Side::Segments, |api, call| Box::pin(show(api, call))),
];

fn segments(api: &Api, call: &Call) -> Answer {
    let id = call.parameters.first().map_or("", String::as_str);
    Ok(reply::json(StatusCode::OK, &api.platform.user_segments(id)?))
}

async fn show(api: Arc<Api>, mut call: Call) -> Answer {
    let id = call.take_id();
    let view = api.blocking(move |api| api.platform.user(&id)).await?;
    Ok(reply::json(StatusCode::OK, &view))
}

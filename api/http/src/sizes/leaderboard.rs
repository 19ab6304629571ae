//! `/api/segments/{id}/leaderboard`: the first members of a segment by the measure that its rule ranks by.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use audience_protocol::Leaderboard;
use hyper::{Method, StatusCode};
use serde::Serialize;

use crate::api::Api;
use crate::problem::HandlerResult;
use crate::query::Query;
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

const READ: Needs = Needs::Permission(Permission::UserRead);

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/api/segments/{id}/leaderboard", Side::Segments, READ, |api, call| {
        Box::pin(show(api, call))
    })];

/// A leaderboard, without the values where the caller may not see them.
#[derive(Serialize)]
struct MaskableLeaderboard {
    #[serde(flatten)]
    leaderboard: Leaderboard,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    masked: bool,
}

async fn show(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let (id, limit) = (call.take_id(), Query::read(&call.query).limit()?.items());
    let mut leaderboard = api.blocking(move |api| api.platform.sizes.segment_leaderboard(&id, limit)).await?;
    let masked = call.principal.may(Permission::PiiRead).is_err();
    if masked {
        leaderboard.items.iter_mut().for_each(|leader| leader.value = None);
    }
    Ok(reply::json(StatusCode::OK, &MaskableLeaderboard { leaderboard, masked }))
}

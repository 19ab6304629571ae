//! `/api/changes`: changes of the past, the newest first.

use std::sync::Arc;

use audience_protocol::ChangePlace;
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::changes::follower::{READ, filter};
use crate::cursor::List;
use crate::problem::HandlerResult;
use crate::query::Query;
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

const CHANGES: List = List::named("changes");

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/api/changes", Side::Segments, READ, |api, call| Box::pin(past(api, call)))];

async fn past(api: Arc<Api>, call: Call) -> HandlerResult {
    let query = Query::read(&call.query);
    let (filter, limit) = (filter(&query)?, query.limit()?.items());
    let before = match CHANGES.asked(&query)? {
        Some(place) => Some(ChangePlace::parse(&place).ok_or_else(|| CHANGES.not_given())?),
        None => None,
    };
    let page = api.blocking(move |api| api.platform.changes.past_changes(before, &filter, limit)).await?;
    Ok(reply::json(StatusCode::OK, &CHANGES.give(page)))
}

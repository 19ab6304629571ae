//! `/api/events/refused`: messages of libraries that were refused, kept whole.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::cursor::List;
use crate::problem::HandlerResult;
use crate::query::Query;
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

const REFUSED: List = List::named("refused");

const PII: Needs = Needs::Permission(Permission::PiiRead);

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/api/events/refused", Side::Segments, PII, |api, call| Box::pin(list(api, call)))];

async fn list(api: Arc<Api>, call: Call) -> HandlerResult {
    let query = Query::read(&call.query);
    let asked = REFUSED.asked(&query)?.map(|text| text.parse::<u64>().map_err(|_| REFUSED.not_given()));
    let (before, limit) = (asked.transpose()?, query.limit()?);
    let page = api.blocking(move |api| api.platform.events.refused_messages(before, limit)).await?;
    Ok(reply::json(StatusCode::OK, &REFUSED.give(page)))
}

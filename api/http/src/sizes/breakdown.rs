//! `/api/segments/{id}/breakdown`: the members of a segment by the value of a trait.

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

/// Members of a value that is shown without `pii:read`, at least: a value of few may name them.
const FEWEST: u64 = 10;

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/api/segments/{id}/breakdown", Side::Segments, READ, |api, call| {
        Box::pin(show(api, call))
    })];

async fn show(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let query = Query::read(&call.query);
    let missing = || Problem::bad_request("invalid_parameter", "trait names the trait that members are counted by");
    let field = query.one("trait")?.ok_or_else(missing)?.to_owned();
    let (id, limit) = (call.take_id(), query.limit()?.items());
    let may_see_all = call.principal.may(Permission::PiiRead).is_ok();
    let mut breakdown = api.blocking(move |api| api.platform.sizes.segment_breakdown(&id, &field, limit)).await?;
    if !may_see_all {
        let (many, few): (Vec<_>, Vec<_>) = breakdown.items.into_iter().partition(|value| value.count >= FEWEST);
        breakdown.items = many;
        breakdown.rest += few.iter().map(|value| value.count).sum::<u64>();
    }
    Ok(reply::json(StatusCode::OK, &breakdown))
}

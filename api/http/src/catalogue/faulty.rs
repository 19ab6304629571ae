//! `/api/catalogue/faulty`: what was stored by other ways than this API, and does not run.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::problem::HandlerResult;
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Route, Side};

const READ: Needs = Needs::Permission(Permission::SegmentRead);

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/api/catalogue/faulty", Side::Segments, READ, |api, call| Box::pin(list(api, call)))];

async fn list(api: Arc<Api>, _: Call) -> HandlerResult {
    let items = api.blocking(|api| api.platform.catalogue.faulty_documents()).await?;
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

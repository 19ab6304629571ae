//! `/api/catalogue/faulty`: what was stored by other ways than this API, and does not run.

use std::sync::Arc;

use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::reply;
use crate::route::{Answer, Call, Route, Side};
use crate::segments::Items;

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/api/catalogue/faulty", Side::Segments, |api, call| Box::pin(list(api, call)))];

async fn list(api: Arc<Api>, _: Call) -> Answer {
    let items = api.blocking(|api| api.platform.catalogue.faulty_documents()).await?;
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

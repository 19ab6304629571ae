//! `/api/users` and a user's events, `/api/schema`, `/api/system`.

use std::sync::Arc;

use audience_protocol::{UserEventQuery, UserQuery};
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::cursor;
use crate::query::Query;
use crate::reply;
use crate::route::{Answer, Call, Route, Side};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/users", Side::Segments, |api, call| Box::pin(list(api, call))),
    Route::new(Method::GET, "/api/users/{id}/events", Side::Segments, |api, call| Box::pin(events(api, call))),
    Route::new(Method::GET, "/api/schema", Side::Segments, |api, call| Box::pin(schema(api, call))),
    Route::new(Method::GET, "/api/system", Side::Segments, |api, call| Box::pin(system(api, call))),
];

async fn list(api: Arc<Api>, call: Call) -> Answer {
    let query = Query::read(&call.query);
    let asked = UserQuery {
        prefix: query.one("q")?.unwrap_or_default().to_owned(),
        after: cursor::USERS.asked(&query)?,
        limit: query.limit(&api.options)?,
    };
    let page = api.blocking(move |api| api.platform.users.users(&asked)).await?;
    Ok(reply::json(StatusCode::OK, &cursor::USERS.give(page)))
}

async fn events(api: Arc<Api>, mut call: Call) -> Answer {
    let query = Query::read(&call.query);
    let id = call.take_id();
    let asked = UserEventQuery {
        event_type: query.one("eventType")?.map(str::to_owned),
        after: cursor::USER_EVENTS.asked(&query)?,
        limit: query.limit(&api.options)?,
    };
    let page = api.blocking(move |api| api.platform.users.user_events(&id, &asked)).await?;
    Ok(reply::json(StatusCode::OK, &cursor::USER_EVENTS.give(page)))
}

async fn schema(api: Arc<Api>, _call: Call) -> Answer {
    let schema = api.blocking(|api| api.platform.events.schema()).await?;
    Ok(reply::json(StatusCode::OK, &schema))
}

/// What was refused is known here and nowhere else.
async fn system(api: Arc<Api>, _call: Call) -> Answer {
    let mut view = api.blocking(|api| api.platform.operations.system()).await?;
    view.events.rejected += api.metrics.events_refused();
    Ok(reply::json(StatusCode::OK, &view))
}

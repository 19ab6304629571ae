//! `/api/users`: users, the segments that they are in, their events, and their end.

use std::sync::Arc;

use audience_protocol::{PlatformError, UserEventQuery, UserQuery};
use hyper::{Method, StatusCode};

use crate::api::Api;
use crate::cursor::List;
use crate::preconditions::author;
use crate::problem::{HandlerResult, Problem};
use crate::query::Query;
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

const USERS: List = List::named("users");
const USER_EVENTS: List = List::named("events of a user");

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/users", Side::Segments, |api, call| Box::pin(list(api, call))),
    Route::new(Method::GET, "/api/users/{id}/events", Side::Segments, |api, call| Box::pin(events(api, call))),
    Route::new(Method::GET, "/api/users/{id}/segments", Side::Segments, |api, call| Box::pin(segments(api, call))),
    Route::new(Method::GET, "/api/users/{id}", Side::Segments, |api, call| Box::pin(show(api, call))),
    Route::new(Method::DELETE, "/api/users/{id}", Side::Segments, |api, call| Box::pin(erase(api, call))),
];

async fn list(api: Arc<Api>, call: Call) -> HandlerResult {
    let query = Query::read(&call.query);
    let asked = UserQuery {
        prefix: query.one("q")?.unwrap_or_default().to_owned(),
        after: USERS.asked(&query)?,
        limit: query.limit()?,
    };
    let page = api.blocking(move |api| api.platform.users.users(&asked)).await?;
    Ok(reply::json(StatusCode::OK, &USERS.give(page)))
}

async fn events(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let query = Query::read(&call.query);
    let id = call.take_id();
    let asked = UserEventQuery {
        event_type: query.one("eventType")?.map(str::to_owned),
        after: USER_EVENTS.asked(&query)?,
        limit: query.limit()?,
    };
    let page = api.blocking(move |api| api.platform.users.user_events(&id, &asked)).await?;
    Ok(reply::json(StatusCode::OK, &USER_EVENTS.give(page)))
}

/// The one that most requests are for: answered in place where it is from memory.
async fn segments(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    let segments = match api.platform.users.reads_block() {
        false => api.platform.users.user_segments(&id)?,
        true => api.blocking(move |api| api.platform.users.user_segments(&id)).await?,
    };
    if segments.is_empty() && api.options.engine.is_some() {
        // The store knows nobody by an id that was merged into another: the engine knows whose it is. Most who are in no
        // segment are just that, so an engine that is away keeps nobody from the answer.
        let mut problem = Problem::from(PlatformError::NeedsEngine("whom an id was merged into"));
        problem.otherwise = Some(|| reply::json(StatusCode::OK, &[(); 0]));
        return Err(problem);
    }
    Ok(reply::json(StatusCode::OK, &segments))
}

async fn show(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    let view = api.blocking(move |api| api.platform.users.user(&id)).await?;
    Ok(reply::json(StatusCode::OK, &view))
}

async fn erase(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let (id, author) = (call.take_id(), author(&call.headers)?);
    api.blocking(move |api| api.platform.users.erase_user(&id, &author)).await?;
    Ok(reply::no_content())
}

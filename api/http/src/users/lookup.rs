//! `/api/users`: users, the segments that they are in, their events, and their end.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use audience_protocol::{FOUND_USERS, Page, PageLimit, PlatformError, UserEventQuery, UserQuery, UserSearch, UserView};
use hyper::{Method, StatusCode};
use serde::Serialize;
use warp::reply::Response;

use crate::api::Api;
use crate::cursor::List;
use crate::preconditions::author;
use crate::problem::{HandlerResult, Problem};
use crate::query::Query;
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};
use crate::users::columns;

const USERS: List = List::named("users");
const USER_EVENTS: List = List::named("events of a user");

const READ: Needs = Needs::Permission(Permission::UserRead);
const PII: Needs = Needs::Permission(Permission::PiiRead);
const ERASE: Needs = Needs::Permission(Permission::UserErase);

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/users", Side::Segments, READ, |api, call| Box::pin(list(api, call))),
    Route::new(Method::GET, "/api/users/{id}/events", Side::Segments, PII, |api, call| Box::pin(events(api, call))),
    Route::new(Method::GET, "/api/users/{id}/segments", Side::Segments, READ, |api, call| {
        Box::pin(segments(api, call))
    }),
    Route::new(Method::GET, "/api/users/{id}", Side::Segments, READ, |api, call| Box::pin(show(api, call))),
    Route::new(Method::DELETE, "/api/users/{id}", Side::Segments, ERASE, |api, call| Box::pin(erase(api, call))),
];

/// The users that a list is of.
enum Asked {
    /// All whose ids begin so.
    Known(UserQuery),
    /// The members of a segment.
    Members { segment: String, after: Option<String>, limit: PageLimit },
    /// Those with a value of a trait.
    Found(UserSearch),
}

impl Asked {
    fn read(query: &Query, limit: PageLimit) -> Result<Asked, Problem> {
        let faulty = |detail: &str| Problem::bad_request("invalid_parameter", detail);
        let after = USERS.asked(query)?;
        let (prefix, segment) = (query.one("q")?, query.one("segment")?.map(str::to_owned));
        let (equals, starts) = (query.one("equals")?, query.one("startsWith")?);
        let Some(field) = query.one("trait")? else {
            if equals.is_some() || starts.is_some() {
                return Err(faulty("equals and startsWith go with trait, which they are about"));
            }
            return match (segment, prefix) {
                (None, prefix) => {
                    Ok(Asked::Known(UserQuery { prefix: prefix.unwrap_or_default().to_owned(), after, limit }))
                }
                (Some(segment), None) => Ok(Asked::Members { segment, after, limit }),
                (Some(_), Some(_)) => Err(faulty("q finds among all users; members are found by trait")),
            };
        };
        let (value, is_prefix) = match (equals, starts) {
            (Some(value), None) => (value, false),
            (None, Some(value)) => (value, true),
            _ => return Err(faulty("trait goes with either equals or startsWith")),
        };
        if prefix.is_some() || after.is_some() {
            return Err(faulty("a search by trait takes neither q nor cursor: it names its first users at once"));
        }
        let (field, value) = (field.to_owned(), value.to_owned());
        Ok(Asked::Found(UserSearch { field, value, is_prefix, segment, limit: limit.items().min(FOUND_USERS) }))
    }

    /// The ids of a page, and how many fit in all if that was counted.
    fn ids(&self, api: &Api) -> Result<(Page<String>, Option<u64>), PlatformError> {
        Ok(match self {
            Asked::Known(query) => {
                let Page { items, next_cursor } = api.platform.users.users(query)?;
                (Page { items: items.into_iter().map(|user| user.user_id).collect(), next_cursor }, None)
            }
            Asked::Members { segment, after, limit } => {
                (api.platform.segments.members(segment, after.as_deref(), *limit)?, None)
            }
            Asked::Found(search) => {
                let found = api.platform.users.find_users(search)?;
                (Page { items: found.items, next_cursor: None }, Some(found.total))
            }
        })
    }
}

async fn list(api: Arc<Api>, call: Call) -> HandlerResult {
    let query = Query::read(&call.query);
    let asked = Asked::read(&query, query.limit()?)?;
    let columns = columns::asked(&query)?;
    if !columns.is_empty() || matches!(asked, Asked::Found(_)) {
        call.principal.may(Permission::PiiRead)?;
    }
    let table = api
        .blocking(move |api| {
            let (ids, total) = asked.ids(api)?;
            columns::table(api, USERS.give(ids), &columns, total)
        })
        .await?;
    Ok(reply::json(StatusCode::OK, &table))
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
    let read = match api.platform.users.reads_block() {
        false => api.platform.users.user_segments(&id),
        true => api.blocking(move |api| Ok::<_, Problem>(api.platform.users.user_segments(&id))).await?,
    };
    let segments = match read {
        // The engine knows it too.
        Err(PlatformError::Unavailable(_)) if api.options.engine.is_some() => return Err(ask_engine(unread)),
        read => read?,
    };
    if segments.is_empty() && api.options.engine.is_some() {
        // The store knows nobody by an id that was merged into another: the engine knows whose it is. Most who are in no
        // segment are just that, so an engine that is away keeps nobody from the answer.
        return Err(ask_engine(|| reply::json(StatusCode::OK, &[(); 0])));
    }
    Ok(reply::json(StatusCode::OK, &segments))
}

/// Has the engine answer, where one does.
fn ask_engine(otherwise: fn() -> Response) -> Problem {
    let mut problem =
        Problem::from(PlatformError::NeedsEngine("which segments a user is in, and whom an id was merged into"));
    problem.otherwise = Some(otherwise);
    problem
}

/// The answer where neither the store of memberships nor the engine gives one.
fn unread() -> Response {
    let why = "the store of memberships is away or not whole, and the engine does not answer";
    Problem::unavailable("memberships_away", why).into_response()
}

/// A user, without the traits where the caller may not see them.
#[derive(Serialize)]
struct MaskableUser {
    #[serde(flatten)]
    view: UserView,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    masked: bool,
}

async fn show(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    let mut view = api.blocking(move |api| api.platform.users.user(&id)).await?;
    let masked = call.principal.may(Permission::PiiRead).is_err();
    if masked {
        view.traits.clear();
        view.computed_traits.clear();
    }
    Ok(reply::json(StatusCode::OK, &MaskableUser { view, masked }))
}

async fn erase(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let (id, author) = (call.take_id(), author(&call)?);
    api.blocking(move |api| api.platform.users.erase_user(&id, &author)).await?;
    Ok(reply::no_content())
}

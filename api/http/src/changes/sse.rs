//! `/api/stream`: changes as server-sent events.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;

use audience_protocol::GivenChange;
use bytes::Bytes;
use futures_util::{Stream, stream};
use hyper::Method;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use warp::Reply as _;
use warp::reply::Response;

use crate::api::Api;
use crate::changes::follower::{Next, READ, Subscriber, filter, place};
use crate::problem::HandlerResult;
use crate::query::Query;
use crate::request::Call;
use crate::route::{Route, Side};

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/api/stream", Side::Segments, READ, |api, call| Box::pin(follow(api, call)))];

/// Milliseconds that clients are told to wait before they reconnect.
const RETRY_MILLISECONDS: u32 = 1_000;

async fn follow(api: Arc<Api>, call: Call) -> HandlerResult {
    let query = Query::read(&call.query);
    let follower = Subscriber::new(api, place(&query, &call.headers)?, filter(&query)?, write, call.principal)?;
    // An id without data is no event, but is where a client comes again that gets none before it is cut off.
    let begin = format!(": changes of memberships\nretry: {RETRY_MILLISECONDS}\nid: {}\n\n", follower.place);
    let events = stream::unfold((follower, Some(begin)), |(mut follower, begin)| async move {
        let text = match begin {
            Some(begin) => begin,
            None => next(&mut follower).await?,
        };
        Some((Ok::<_, Infallible>(Bytes::from(text)), (follower, None)))
    });
    Ok(endless(events))
}

/// An answer of server-sent events that goes on.
pub(super) fn endless(events: impl Stream<Item = Result<Bytes, Infallible>> + Send + Sync + 'static) -> Response {
    let mut response = warp::reply::stream(events).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers before they hand them on leave this one alone.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

async fn next(follower: &mut Subscriber) -> Option<String> {
    Some(match follower.next().await? {
        Next::Changes(text) => text,
        Next::Quiet => format!(": heartbeat\nid: {}\n\n", follower.place),
        Next::Reset => format!(
            "id: {}\nevent: reset\ndata: {{\"reason\":\"what was missed is not kept any more; read the members again\"}}\n\n",
            follower.place
        ),
    })
}

/// JSON has no line ends in it, so that each is one line of data.
fn write(out: &mut String, change: GivenChange<'_>) {
    let event = if change.is_entered { "entered" } else { "left" };
    // Writing to a text does not fail.
    let _ = write!(out, "id: {}\nevent: {event}\ndata: {}\n\n", change.next, change.json);
}

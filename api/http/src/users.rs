//! `/api/users`: users and the segments that they are in.

use std::sync::Arc;
use std::task::Poll;

use audience_protocol::PlatformError;
use bytes::Bytes;
use futures_util::stream;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, StatusCode};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use warp::Reply as _;

use crate::api::{Api, author};
use crate::problem::Problem;
use crate::reply;
use crate::route::{Answer, Call, Route, Side};

/// Pieces of an export that wait for the client.
const PIECES: usize = 4;

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/users/{id}/segments", Side::Segments, |api, call| Box::pin(segments(api, call))),
    Route::new(Method::GET, "/api/users/{id}", Side::Segments, |api, call| Box::pin(show(api, call))),
    Route::new(Method::DELETE, "/api/users/{id}", Side::Segments, |api, call| Box::pin(erase(api, call))),
    Route::new(Method::GET, "/api/users/{id}/export", Side::Segments, |api, call| Box::pin(export(api, call))),
];

/// The one that most requests are for: answered in place where it is from memory.
async fn segments(api: Arc<Api>, mut call: Call) -> Answer {
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

async fn show(api: Arc<Api>, mut call: Call) -> Answer {
    let id = call.take_id();
    let view = api.blocking(move |api| api.platform.users.user(&id)).await?;
    Ok(reply::json(StatusCode::OK, &view))
}

async fn erase(api: Arc<Api>, mut call: Call) -> Answer {
    let (id, author) = (call.take_id(), author(&call.headers)?);
    api.blocking(move |api| api.platform.users.erase_user(&id, &author)).await?;
    Ok(reply::no_content())
}

/// Sends an export as it is made. A client that takes nothing for as long as a request may take is given up. Where the
/// platform fails on the way the connection is broken off, so that half a document is not taken for a whole one.
async fn export(api: Arc<Api>, mut call: Call) -> Answer {
    let id = call.take_id();
    let Ok(place) = Arc::clone(&api.exports).try_acquire_owned() else { return Err(Problem::busy(1)) };
    let patience = api.options.request_timeout;
    let (sender, mut pieces) = mpsc::channel::<Result<Bytes, Problem>>(PIECES);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let _place = place;
        let send = |piece| runtime.block_on(sender.send_timeout(piece, patience)).is_ok();
        if let Err(error) = api.platform.users.export_user(&id, &mut |piece| send(Ok(piece.into()))) {
            send(Err(error.into()));
        }
    });
    let late = || Problem::unavailable("timeout", "no answer within the time limit");
    // Nothing comes where the work panicked; the panic is in the log.
    let first = tokio::time::timeout(patience, pieces.recv()).await.map_err(|_| late())?;
    let mut first = Some(first.ok_or_else(Problem::internal)??);
    let document = stream::poll_fn(move |context| match first.take() {
        Some(first) => Poll::Ready(Some(Ok(first))),
        None => pieces.poll_recv(context).map(|piece| piece.map(|piece| piece.map_err(|problem| broken(&problem)))),
    });
    let mut response = warp::reply::stream(document).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn broken(problem: &Problem) -> std::io::Error {
    tracing::error!(detail = problem.detail, "an export was broken off");
    std::io::Error::other(problem.detail.clone())
}

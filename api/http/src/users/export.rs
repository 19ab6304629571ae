//! `/api/users/{id}/export`: all that is held of a user.

use std::sync::Arc;
use std::task::Poll;

use audience_auth::{Needs, Permission};
use audience_protocol::AuditNote;
use bytes::Bytes;
use futures_util::stream;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use warp::Reply as _;

use crate::api::Api;
use crate::problem::{HandlerResult, Problem};
use crate::request::Call;
use crate::route::{Route, Side};

/// Pieces of an export that wait for the client.
const PIECES: usize = 4;

const EXPORT: Needs = Needs::Permission(Permission::UserExport);

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/api/users/{id}/export", Side::Segments, EXPORT, |api, call| {
        Box::pin(export(api, call))
    })];

/// Sends an export as it is made. A client that takes nothing for as long as a request may take is given up. Where the
/// platform fails on the way the connection is broken off, so that half a document is not taken for a whole one.
async fn export(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    api.note_export(&call.principal, AuditNote::of("exported", "user", &id)).await;
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

//! `/api/standby/log`: what a standby lacks of the log.

use std::sync::Arc;

use audience_auth::{Needs, Permission};
use hyper::{Method, StatusCode};
use tokio::sync::oneshot;

use crate::api::Api;
use crate::problem::{HandlerResult, Problem};
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

/// Bytes of a question: positions and versions.
const MOST: usize = 64 << 10;

const FOLLOW: Needs = Needs::Permission(Permission::SystemFollow);

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::POST, "/api/standby/log", Side::Every, FOLLOW, |api, call| Box::pin(ship(api, call)))];

async fn ship(api: Arc<Api>, call: Call) -> HandlerResult {
    let held = api.body_within(&call.headers, call.body, MOST).await?;
    let (sender, shipped) = oneshot::channel();
    // Requests that wait for the standby may hold every thread that is there for them.
    let work = move || drop(sender.send(api.platform.operations.ship(&held)));
    let thread = std::thread::Builder::new().name("standby".to_owned()).spawn(work);
    thread.map_err(|_| Problem::internal())?;
    let shipped = shipped.await.map_err(|_| Problem::internal())??;
    Ok(reply::bytes(StatusCode::OK, "application/octet-stream", shipped))
}

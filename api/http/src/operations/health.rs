//! Health: whether the process lives, whether it can be given work, and how its parts are.

use std::collections::BTreeMap;
use std::sync::Arc;

use audience_auth::Needs;
use audience_protocol::{ComponentHealth, Health};
use hyper::{Method, StatusCode};
use serde::Serialize;
use warp::reply::Response;

use crate::api::Api;
use crate::reply;
use crate::route::{Route, Side};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/health/live", Side::Every, Needs::Public, |api, _| {
        Box::pin(std::future::ready(Ok(live(&api))))
    }),
    Route::new(Method::GET, "/health/ready", Side::Every, Needs::Public, |api, _| {
        Box::pin(std::future::ready(Ok(ready(&api))))
    }),
    Route::new(Method::GET, "/actuator/health", Side::Every, Needs::Public, |api, _| {
        Box::pin(std::future::ready(Ok(health(&api))))
    }),
];

#[derive(Serialize)]
struct HealthBody {
    status: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    components: BTreeMap<String, ComponentHealth>,
    /// `open` where nobody is asked to sign in.
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<&'static str>,
}

/// Liveness: whether the process may yet take something. One that never will is to be started again.
fn live(api: &Api) -> Response {
    let (code, status, components) = match api.platform.operations.failure() {
        None => (StatusCode::OK, "UP", BTreeMap::new()),
        Some(failure) => {
            let process = ComponentHealth::of_fault(Some(failure));
            (StatusCode::SERVICE_UNAVAILABLE, "DOWN", BTreeMap::from([("process".to_owned(), process)]))
        }
    };
    reply::json(code, &HealthBody { status, components, access: None })
}

/// The answer at the paths of health while the process starts; `None` at other paths.
pub(crate) fn of_start(path: &str, waits_for: &str) -> Option<Response> {
    let (code, status) = match path {
        "/health/live" => (StatusCode::OK, "UP"),
        "/health/ready" | "/actuator/health" => (StatusCode::SERVICE_UNAVAILABLE, "DOWN"),
        _ => return None,
    };
    let start = ComponentHealth::of_fault(Some(waits_for.to_owned()));
    let components = BTreeMap::from([("start".to_owned(), start)]);
    Some(reply::json(
        code,
        &HealthBody { status, components: if code.is_success() { BTreeMap::new() } else { components }, access: None },
    ))
}

/// Readiness: whether the process can take work. A part that is down, such as a sink, does not keep it away if the others go on.
fn ready(api: &Arc<Api>) -> Response {
    let Health { ready, components } = api.platform.operations.health();
    let is_down = !ready && is_any_down(&components);
    respond(ready && !api.is_draining(), is_down, components, None)
}

/// Health: whether every part is up.
fn health(api: &Arc<Api>) -> Response {
    let Health { ready, components } = api.platform.operations.health();
    let is_down = is_any_down(&components);
    let access = api.auth.is_open().then_some("open");
    respond(ready && !is_down && !api.is_draining(), is_down, components, access)
}

fn is_any_down(components: &BTreeMap<String, ComponentHealth>) -> bool {
    components.values().any(|component| !component.is_up())
}

fn respond(
    is_up: bool,
    is_down: bool,
    components: BTreeMap<String, ComponentHealth>,
    access: Option<&'static str>,
) -> Response {
    let (code, status) = match (is_up, is_down) {
        (true, _) => (StatusCode::OK, "UP"),
        (false, true) => (StatusCode::SERVICE_UNAVAILABLE, "DOWN"),
        // Starting or stopping: nothing is broken.
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "OUT_OF_SERVICE"),
    };
    reply::json(code, &HealthBody { status, components, access })
}

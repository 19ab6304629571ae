//! Health: whether the process lives, whether it can be given work, and how its parts are.

use std::collections::BTreeMap;
use std::sync::Arc;

use audience_protocol::{ComponentHealth, Health};
use hyper::{Method, StatusCode};
use serde::Serialize;
use warp::reply::Response;

use crate::api::Api;
use crate::reply;
use crate::route::{Answer, Route, Side};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/health/live", Side::Every, |_, _| Box::pin(std::future::ready(live()))),
    Route::new(Method::GET, "/health/ready", Side::Every, |api, _| Box::pin(std::future::ready(Ok(ready(&api))))),
    Route::new(Method::GET, "/actuator/health", Side::Every, |api, _| Box::pin(std::future::ready(Ok(health(&api))))),
];

#[derive(Serialize)]
struct Body {
    status: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    components: BTreeMap<String, ComponentHealth>,
}

fn live() -> Answer {
    Ok(reply::json(StatusCode::OK, &Body { status: "UP", components: BTreeMap::new() }))
}

/// What is said at these paths while a start goes on; nothing at others.
pub(crate) fn of_start(path: &str, waits_for: &str) -> Option<Response> {
    let (code, status) = match path {
        "/health/live" => (StatusCode::OK, "UP"),
        "/health/ready" | "/actuator/health" => (StatusCode::SERVICE_UNAVAILABLE, "DOWN"),
        _ => return None,
    };
    let start = ComponentHealth { status: "DOWN", detail: Some(waits_for.to_owned()) };
    let components = BTreeMap::from([("start".to_owned(), start)]);
    Some(reply::json(code, &Body { status, components: if code.is_success() { BTreeMap::new() } else { components } }))
}

/// Whether work is to come here. A part that is down does not keep it away where the others go on: a sink, say.
fn ready(api: &Arc<Api>) -> Response {
    let Health { ready, components } = api.platform.operations.health();
    let is_down = !ready && is_any_down(&components);
    respond(ready && !api.is_draining(), is_down, components)
}

/// Whether all is well.
fn health(api: &Arc<Api>) -> Response {
    let Health { ready, components } = api.platform.operations.health();
    let is_down = is_any_down(&components);
    respond(ready && !is_down && !api.is_draining(), is_down, components)
}

fn is_any_down(components: &BTreeMap<String, ComponentHealth>) -> bool {
    components.values().any(|component| component.status != "UP")
}

fn respond(is_up: bool, is_down: bool, components: BTreeMap<String, ComponentHealth>) -> Response {
    let (code, status) = match (is_up, is_down) {
        (true, _) => (StatusCode::OK, "UP"),
        (false, true) => (StatusCode::SERVICE_UNAVAILABLE, "DOWN"),
        // Starting or stopping: nothing is broken.
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "OUT_OF_SERVICE"),
    };
    reply::json(code, &Body { status, components })
}

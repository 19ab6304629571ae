//! The way of a request: to its handler, to the console, or on to an engine.

use std::sync::Arc;
use std::time::Instant;

use audience_protocol::SPANS;
use hyper::{Method, StatusCode};
use tracing::{Instrument as _, Span};
use warp::path::FullPath;
use warp::reply::Response;

use crate::api::Api;
use crate::console;
use crate::forward::Forward;
use crate::options::Scope;
use crate::problem::{HandlerResult, NEEDS_ENGINE, Problem};
use crate::reply::no_sniff;
use crate::request::{Call, IncomingRequest};
use crate::route::Side;
use crate::router::{self, PathNode};

/// Answers a request.
pub(crate) async fn answer(api: Arc<Api>, scope: Scope, path: FullPath, request: IncomingRequest) -> Response {
    let started = Instant::now();
    let method = request.method.clone();
    let found = router::find(scope, path.as_str());
    let is_free = found.as_ref().is_none_or(|(node, _)| node.template == "/");
    if is_free && let Some(page) = console::answer(scope, path.as_str(), &method, &request.headers) {
        api.metrics.observe(Some(console::FILES), &method, page.status(), started.elapsed());
        return no_sniff(page);
    }
    let template = found.as_ref().map(|(node, _)| node.template);
    let span = span_of(&method, template);
    let in_flight = api.metrics.begin();
    let mut request = request;
    let limit = api.options.max_body_bytes;
    let elsewhere = api.engine.as_ref().map(|engine| Forward::of(engine, path.as_str(), &mut request, limit));
    let mut answer = match found {
        Some((node, segments)) => call(Arc::clone(&api), node, &segments, request).instrument(span.clone()).await,
        None => Err(Problem::unknown_path()),
    };
    if let (Some(forward), Err(problem)) = (elsewhere, &answer)
        && problem.code == NEEDS_ENGINE
    {
        let asked = forward.ask(api.options.request_timeout).instrument(span.clone()).await;
        // A process that is still starting answers 503 too.
        let is_away = asked.as_ref().is_ok_and(|answer| answer.status() == StatusCode::SERVICE_UNAVAILABLE);
        answer = match problem.otherwise {
            Some(otherwise) if is_away || asked.is_err() => Ok(otherwise()),
            _ => asked,
        };
    }
    let response = no_sniff(answer.unwrap_or_else(Problem::into_response));
    drop(in_flight);
    span.record("http.response.status_code", response.status().as_u16());
    api.metrics.observe(template, &method, response.status(), started.elapsed());
    response
}

async fn call(api: Arc<Api>, node: &'static PathNode, segments: &[&str], request: IncomingRequest) -> HandlerResult {
    let handler = node.handler(&request.method).ok_or_else(|| Problem::method(&request.method, &node.allow()))?;
    let parameters = router::parameters(node, segments)?;
    let IncomingRequest { query, headers, body, upgrade, .. } = request;
    let call = Call { parameters, query, headers, body, upgrade };
    if node.side == Side::Every {
        return handler(api, call).await;
    }
    let Ok(_permit) = api.requests.try_acquire() else { return Err(Problem::busy(1)) };
    handler(Arc::clone(&api), call).await
}

/// The span of a request, named by its route: what stands in the path may be the id of a user.
fn span_of(method: &Method, template: Option<&'static str>) -> Span {
    let route = template.unwrap_or("(unknown)");
    tracing::info_span!(
        target: SPANS,
        "http",
        otel.name = %format_args!("{method} {route}"),
        otel.kind = "server",
        http.request.method = %method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
    )
}

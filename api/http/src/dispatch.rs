//! The way of a request: to its handler, to the console, or on to an engine.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use audience_auth::{Needs, Principal};
use audience_protocol::SPANS;
use audience_trace::TRACEPARENT;
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};
use tracing::{Instrument as _, Span};
use warp::path::FullPath;
use warp::reply::Response;

use crate::admission;
use crate::api::Api;
use crate::body_key;
use crate::call_body::CallBody;
use crate::caller_address;
use crate::console;
use crate::forward::Forward;
use crate::limits::RequestLimits;
use crate::options::Scope;
use crate::problem::{HandlerResult, NEEDS_ENGINE, Problem};
use crate::request::{Call, IncomingRequest};
use crate::route::{Handler, Side};
use crate::router::{self, PathNode};
use crate::tenant_way;
use crate::work_place::WorkPlace;

/// Answers a request.
pub(crate) async fn answer(api: Arc<Api>, scope: Scope, path: FullPath, request: IncomingRequest) -> Response {
    let started = Instant::now();
    let method = request.method.clone();
    let found = router::find(scope, path.as_str());
    let is_free = found.as_ref().is_none_or(|(node, _)| node.template == "/");
    if is_free && let Some(page) = console::answer(scope, path.as_str(), &method, &request.headers) {
        api.metrics.observe(Some(console::FILES), &method, page.status(), started.elapsed());
        return page;
    }
    let template = found.as_ref().map(|(node, _)| node.template);
    let span = span_of(&method, template);
    audience_trace::continue_from(&span, request.headers.get(TRACEPARENT).map(HeaderValue::as_bytes));
    let in_flight = api.metrics.begin();
    let answer = match found {
        Some((node, segments)) => lead(&api, node, &segments, path.as_str(), request).instrument(span.clone()).await,
        None => Err(Problem::unknown_path()),
    };
    let response = answer.unwrap_or_else(Problem::into_response);
    drop(in_flight);
    span.record("http.response.status_code", response.status().as_u16());
    api.metrics.observe(template, &method, response.status(), started.elapsed());
    response
}

/// Counts the request and asks at the door; then it is answered.
async fn lead(
    api: &Arc<Api>,
    node: &'static PathNode,
    segments: &[&str],
    path: &str,
    mut request: IncomingRequest,
) -> HandlerResult {
    let found = node.handler(&request.method);
    let (needs, handler) = found.ok_or_else(|| Problem::method(&request.method, &node.allow()))?;
    let address = caller_address::of(&api.options.trusted_proxies, &request);
    let is_counted = RequestLimits::apply_to(node.side, needs);
    let limits = if is_counted { RequestLimits::of_address(api, address)? } else { RequestLimits::default() };
    let body_key = body_key::taken(api, node.template, &mut request).await?;
    let principal = admission::admit(api, node.template, needs, &request, body_key.as_deref())?;
    // Of a public route nobody is known whose quota it could be.
    let is_known = is_counted && needs != Needs::Public;
    let limits = if is_known { limits.of_caller(api, &principal).await? } else { limits };
    let of_tenant = tenant_way::api_of(api, principal.tenant());
    let answer = match of_tenant.and_then(|api| Ok((api, router::parameters(node, segments)?))) {
        Ok((api, parameters)) => proceed(&api, (node, handler), path, (principal, address, parameters), request).await,
        Err(problem) => Err(problem),
    };
    Ok(limits.marked(answer.unwrap_or_else(Problem::into_response)))
}

/// The handler answers, or an engine elsewhere.
async fn proceed(
    api: &Arc<Api>,
    (node, handler): (&'static PathNode, Handler),
    path: &str,
    (principal, address, parameters): (Principal, Option<IpAddr>, Vec<String>),
    mut request: IncomingRequest,
) -> HandlerResult {
    let limit = api.options.max_body_bytes;
    let elsewhere = api.engine.as_ref();
    let elsewhere =
        elsewhere.map(|engine| Forward::of(engine, path, address, &mut request, (limit, api.memory.hold())));
    let IncomingRequest { query, headers, body, upgrade, .. } = request;
    let place = match node.side {
        Side::Every => WorkPlace::none(&api.requests),
        _ => WorkPlace::take(&api.requests)?,
    };
    let body = CallBody { parts: body, place: Arc::clone(&place) };
    let call = Call { principal, address, parameters, query, headers, body, upgrade };
    let answer = handler(Arc::clone(api), call).await;
    drop(place);
    match (elsewhere, answer) {
        (Some(forward), Err(problem)) if problem.code == NEEDS_ENGINE => {
            let asked = forward.ask(api.options.request_timeout).await;
            // A process that is still starting answers 503 too.
            let is_away = asked.as_ref().is_ok_and(|answer| answer.status() == StatusCode::SERVICE_UNAVAILABLE);
            match problem.otherwise {
                Some(otherwise) if is_away || asked.is_err() => Ok(otherwise()),
                _ => asked,
            }
        }
        (_, answer) => answer,
    }
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

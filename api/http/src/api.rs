//! What the handlers share, and the way of a request through it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use audience_protocol::{Platform, SPANS};
use hyper::header::{HeaderMap, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, StatusCode};
use tokio::sync::Semaphore;
use tracing::{Instrument as _, Span};
use warp::path::FullPath;
use warp::reply::Response;

use crate::body::{self, Media, Parts};
use crate::console;
use crate::forward::{Engine, Forward};
use crate::idempotency::Idempotency;
use crate::live::Live;
use crate::metrics::HttpMetrics;
use crate::options::{ApiOptions, Scope};
use crate::preview::PREVIEWS;
use crate::problem::{NEEDS_ENGINE, Problem};
use crate::route::{self, Answer, Call, Side};

/// Exports of users at a time.
const EXPORTS: usize = 4;
/// Explanations at a time.
const EXPLANATIONS: usize = 4;

/// The platform with what the HTTP side keeps beside it.
pub(crate) struct Api {
    pub(crate) platform: Platform,
    pub(crate) options: ApiOptions,
    pub(crate) metrics: HttpMetrics,
    pub(crate) idempotency: Arc<Idempotency>,
    pub(crate) draining: AtomicBool,
    /// Places for exports: each holds a user's history for a while.
    pub(crate) exports: Arc<Semaphore>,
    /// Places for explanations, for the same reason; what finds none waits.
    pub(crate) explanations: Arc<Semaphore>,
    /// Places for previews.
    pub(crate) previews: Arc<Semaphore>,
    pub(crate) live: Live,
    requests: Semaphore,
    blocking: Arc<Semaphore>,
    engine: Option<Engine>,
}

/// The parts of a request, as warp takes it apart.
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Parts,
    /// Where a WebSocket is asked for.
    pub(crate) upgrade: Option<warp::ws::Ws>,
    /// The connection itself, where something else than HTTP is asked for.
    pub(crate) connection: Option<OnUpgrade>,
}

impl Api {
    pub(crate) fn new(platform: Platform, options: ApiOptions) -> Self {
        Api {
            live: Live::new(&*platform.changes, &options),
            platform,
            metrics: HttpMetrics::new(),
            idempotency: Arc::new(Idempotency::new(&options)),
            draining: AtomicBool::new(false),
            exports: Arc::new(Semaphore::new(EXPORTS)),
            previews: Arc::new(Semaphore::new(PREVIEWS)),
            explanations: Arc::new(Semaphore::new(EXPLANATIONS)),
            requests: Semaphore::new(options.max_requests),
            blocking: Arc::new(Semaphore::new(options.max_requests)),
            engine: options.engine.clone().map(Engine::new),
            options,
        }
    }

    /// Answers a request.
    pub(crate) async fn answer(self: Arc<Self>, scope: Scope, path: FullPath, request: Request) -> Response {
        let started = Instant::now();
        let method = request.method.clone();
        let found = route::find(scope, path.as_str());
        let is_free = found.as_ref().is_none_or(|(node, _)| node.template == "/");
        if is_free && let Some(page) = console::answer(scope, path.as_str(), &method, &request.headers) {
            self.metrics.observe(Some(console::FILES), &method, page.status(), started.elapsed());
            return no_sniff(page);
        }
        let template = found.as_ref().map(|(node, _)| node.template);
        let span = span_of(&method, template);
        let in_flight = self.metrics.begin();
        let mut request = request;
        let limit = self.options.max_body_bytes;
        let elsewhere = self.engine.as_ref().map(|engine| Forward::of(engine, path.as_str(), &mut request, limit));
        let mut answer = match found {
            Some((node, segments)) => Arc::clone(&self).call(node, &segments, request).instrument(span.clone()).await,
            None => Err(Problem::unknown_path()),
        };
        if let (Some(forward), Err(problem)) = (elsewhere, &answer)
            && problem.code == NEEDS_ENGINE
        {
            let asked = forward.ask(self.options.request_timeout).instrument(span.clone()).await;
            // One that has only begun to start answers too, but nothing of this.
            let is_away = asked.as_ref().is_ok_and(|answer| answer.status() == StatusCode::SERVICE_UNAVAILABLE);
            answer = match problem.otherwise {
                Some(otherwise) if is_away || asked.is_err() => Ok(otherwise()),
                _ => asked,
            };
        }
        let response = no_sniff(answer.unwrap_or_else(Problem::into_response));
        drop(in_flight);
        span.record("http.response.status_code", response.status().as_u16());
        self.metrics.observe(template, &method, response.status(), started.elapsed());
        response
    }

    async fn call(self: Arc<Self>, node: &'static route::Node, segments: &[&str], request: Request) -> Answer {
        let handler = node.handler(&request.method).ok_or_else(|| Problem::method(&request.method, &node.allow()))?;
        let parameters = route::parameters(node, segments)?;
        let Request { query, headers, body, upgrade, .. } = request;
        let call = Call { parameters, query, headers, body, upgrade };
        if node.side == Side::Every {
            return handler(self, call).await;
        }
        let Ok(_permit) = self.requests.try_acquire() else { return Err(Problem::busy(1)) };
        handler(Arc::clone(&self), call).await
    }

    /// Runs what may block on a thread for it. At the time limit the client gets 503, while the work goes on to its
    /// end, and holds its place.
    pub(crate) async fn blocking<T, E, F>(self: &Arc<Self>, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<Problem>,
        F: FnOnce(&Api) -> Result<T, E> + Send + 'static,
    {
        let (api, span) = (Arc::clone(self), Span::current());
        let task = async move {
            let permit = Arc::clone(&api.blocking).acquire_owned().await.map_err(|_| Problem::internal())?;
            let run = move || {
                let _permit = permit;
                span.in_scope(|| work(&api).map_err(Into::into))
            };
            // The task ends without a result only where the work panicked; the panic is in the log.
            tokio::task::spawn_blocking(run).await.unwrap_or_else(|_| Err(Problem::internal()))
        };
        let late = || Problem::unavailable("timeout", "no answer within the time limit; it may still come to pass");
        tokio::time::timeout(self.options.request_timeout, task).await.unwrap_or_else(|_| Err(late()))
    }

    /// The body of a call as a whole.
    pub(crate) async fn body(&self, headers: &HeaderMap, parts: Parts) -> Result<bytes::Bytes, Problem> {
        body::whole(headers, parts, self.options.max_body_bytes, self.options.request_timeout).await
    }

    /// A body that may be left out; what it is said to be is looked at only where there is one.
    pub(crate) async fn optional_json(&self, headers: &HeaderMap, parts: Parts) -> Result<bytes::Bytes, Problem> {
        let body = self.body(headers, parts).await?;
        if !body.is_empty() {
            Media::of(headers, &[Media::Json])?;
        }
        Ok(body)
    }

    /// Whether the server is on its way down.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
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

pub(crate) fn no_sniff(mut response: Response) -> Response {
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Who makes a change: `X-Author`, or `api`.
pub(crate) fn author(headers: &HeaderMap) -> Result<String, Problem> {
    let Some(header) = headers.get("x-author") else { return Ok("api".into()) };
    let text = std::str::from_utf8(header.as_bytes()).unwrap_or_default().trim();
    if text.is_empty() || text.len() > 256 {
        return Err(Problem::bad_request("invalid_header", "X-Author is UTF-8 text of 1 to 256 bytes"));
    }
    Ok(text.to_owned())
}

//! Requests that only a process with an engine can answer, passed on to one, with its answers as they come.

use std::error::Error as _;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use audience_trace::TRACEPARENT;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH,
    CONTENT_TYPE, COOKIE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, LOCATION, RETRY_AFTER,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, Request as HttpRequest, Response as HttpResponse, StatusCode};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use warp::Reply as _;
use warp::reply::Response;

use crate::body::{self, Recorded};
use crate::body_memory::HeldMemory;
use crate::caller_address::FORWARDED_FOR;
use crate::problem::{HandlerResult, Problem};
use crate::request::IncomingRequest;

/// Headers of a request that mean something to the handlers.
/// The credentials among them: the engine asks for itself who comes.
const ASKED: [HeaderName; 8] = [
    ACCEPT,
    AUTHORIZATION,
    COOKIE,
    IF_MATCH,
    IF_NONE_MATCH,
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("x-author"),
    HeaderName::from_static("idempotency-key"),
];
/// Those that speak of its body.
const OF_BODY: [HeaderName; 2] = [CONTENT_TYPE, CONTENT_ENCODING];
/// Those that ask for a WebSocket. Whether scripts of the site may ask for it is looked at here.
const OF_SOCKET: [HeaderName; 4] = [CONNECTION, UPGRADE, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION];
/// Headers of an answer that mean something to the client.
const ANSWERED: [HeaderName; 9] = [
    ALLOW,
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    ETAG,
    LOCATION,
    RETRY_AFTER,
    HeaderName::from_static("idempotency-replayed"),
];
/// Those that open a WebSocket.
const OPENED: [HeaderName; 3] = [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT];

/// How long an idle connection to the engine is kept: shorter than servers and proxies keep theirs.
const IDLE: Duration = Duration::from_secs(20);
/// Connections that are kept without a request, at most.
const IDLE_CONNECTIONS: usize = 32;

/// The process with an engine, and connections to it that are used again.
#[derive(Clone)]
pub(crate) struct RemoteEngine {
    /// `host:port`.
    authority: String,
    connections: EngineConnections,
}

#[derive(Clone)]
enum EngineConnections {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl RemoteEngine {
    pub(crate) fn new(authority: String, tls: Option<Arc<ClientConfig>>) -> Self {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(IDLE_CONNECTIONS);
        let connections = match tls {
            None => EngineConnections::Plain(builder.build_http()),
            Some(tls) => {
                let mut connector = HttpConnector::new();
                connector.enforce_http(false);
                EngineConnections::Tls(builder.build(HttpsConnector::from((connector, tls))))
            }
        };
        RemoteEngine { authority, connections }
    }

    fn scheme(&self) -> &'static str {
        match self.connections {
            EngineConnections::Plain(_) => "http",
            EngineConnections::Tls(_) => "https",
        }
    }

    fn request(&self, request: HttpRequest<Full<Bytes>>) -> ResponseFuture {
        match &self.connections {
            EngineConnections::Plain(client) => client.request(request),
            EngineConnections::Tls(client) => client.request(request),
        }
    }
}

/// A request for another process, should it turn out to be one.
pub(crate) struct Forward {
    engine: RemoteEngine,
    method: Method,
    path: String,
    headers: HeaderMap,
    of_body: HeaderMap,
    /// The part of the body that the handler has read.
    body: Arc<Mutex<Recorded>>,
    /// The connection to the client, where it asks for a WebSocket.
    client: Option<OnUpgrade>,
}

impl Forward {
    /// A request; from now on what is read of its body is kept, at most so many bytes.
    pub(crate) fn of(
        engine: &RemoteEngine,
        path: &str,
        address: Option<IpAddr>,
        request: &mut IncomingRequest,
        (limit, memory): (usize, HeldMemory),
    ) -> Self {
        let path = match request.query.as_str() {
            "" => path.to_owned(),
            query => format!("{path}?{query}"),
        };
        let body = std::mem::replace(&mut request.body, Box::pin(stream::empty()));
        let (body, recorded) = body::recorded(body, limit, memory);
        request.body = body;
        let mut headers = named(&request.headers, &ASKED);
        // The engine believes it where this process is one of its trusted proxies.
        let address = address.and_then(|address| HeaderValue::from_str(&address.to_string()).ok());
        headers.extend(address.map(|address| (FORWARDED_FOR, address)));
        let client = request.upgrade.is_some().then(|| request.connection.take()).flatten();
        if client.is_some() {
            headers.extend(named(&request.headers, &OF_SOCKET));
        }
        let of_body = named(&request.headers, &OF_BODY);
        let (engine, method) = (engine.clone(), request.method.clone());
        Forward { engine, method, path, headers, of_body, body: recorded, client }
    }

    /// Asks, and hands on the answer while it comes. Its head must come within that time.
    pub(crate) async fn ask(self, patience: Duration) -> HandlerResult {
        let engine = self.engine.authority.clone();
        let away = |why: String| {
            tracing::warn!(engine, why, "the engine does not answer");
            Problem::unavailable("engine_away", "the process with the engine does not answer")
        };
        match tokio::time::timeout(patience, self.send()).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => Err(away(why)),
            Err(_) => Err(away(format!("nothing came within {patience:?}"))),
        }
    }

    async fn send(self) -> Result<Response, String> {
        let request = self.request()?;
        let answer = self.engine.request(request).await;
        let answer = answer.map_err(|error| error.source().map_or_else(|| error.to_string(), ToString::to_string))?;
        match self.client {
            Some(client) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => Ok(join(client, answer)),
            _ => Ok(hand_on(answer)),
        }
    }

    fn request(&self) -> Result<HttpRequest<Full<Bytes>>, String> {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner).body();
        let body = body.ok_or("the body is larger than what is handed on")?;
        let is_empty = body.is_empty();
        let uri = format!("{}://{}{}", self.engine.scheme(), self.engine.authority, self.path);
        let request = HttpRequest::builder().method(self.method.clone()).uri(uri).body(Full::new(body));
        let mut request = request.map_err(|error| error.to_string())?;
        request.headers_mut().extend(self.headers.clone());
        request.headers_mut().extend(traceparent());
        if !is_empty {
            request.headers_mut().extend(self.of_body.clone());
        }
        Ok(request)
    }
}

fn hand_on(answer: HttpResponse<Incoming>) -> Response {
    let (head, body) = answer.into_parts();
    let mut response = warp::reply::stream(pieces(body)).into_response();
    *response.status_mut() = head.status;
    response.headers_mut().extend(named(&head.headers, &ANSWERED));
    response
}

/// Joins the connection of a client with that to the engine, which speak WebSocket from here on. As many may be joined as the
/// engine lets follow.
fn join(client: OnUpgrade, mut answer: HttpResponse<Incoming>) -> Response {
    let mut response = warp::reply().into_response();
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().extend(named(answer.headers(), &OPENED));
    let engine = hyper::upgrade::on(&mut answer);
    tokio::spawn(async move {
        let (client, engine): (Upgraded, Upgraded) = match tokio::try_join!(client, engine) {
            Ok(both) => both,
            Err(error) => return tracing::warn!(%error, "a WebSocket to the engine could not be opened"),
        };
        let (mut client, mut engine) = (TokioIo::new(client), TokioIo::new(engine));
        // Whichever side ends, ends both.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut engine).await;
    });
    response
}

/// The header by which the engine's spans are below that of this request; none where no spans are exported.
fn traceparent() -> Option<(HeaderName, HeaderValue)> {
    let context = audience_trace::current()?.to_string();
    Some((HeaderName::from_static(TRACEPARENT), HeaderValue::from_str(&context).ok()?))
}

/// The headers of these names.
fn named(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    names.iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect()
}

fn pieces(mut body: Incoming) -> impl futures_util::Stream<Item = Result<Bytes, hyper::Error>> {
    stream::poll_fn(move |context| {
        Pin::new(&mut body).poll_frame(context).map(|frame| {
            // A frame that is no data is a trailer, which is not passed on.
            frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default()))
        })
    })
}

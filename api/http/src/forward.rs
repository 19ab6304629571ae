//! What only a process with an engine can answer, asked there and handed on as it comes.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HOST, HeaderMap, HeaderName, HeaderValue, IF_MATCH,
    IF_NONE_MATCH, RETRY_AFTER, TRANSFER_ENCODING,
};
use hyper::{Method, Request as HttpRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use warp::Reply as _;
use warp::reply::Response;

use crate::api::Request;
use crate::problem::Problem;
use crate::route::Answer;

/// Headers of a request that mean something to the handlers.
const ASKED: [HeaderName; 6] = [
    ACCEPT,
    AUTHORIZATION,
    IF_MATCH,
    IF_NONE_MATCH,
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("x-author"),
];
/// Headers of an answer that mean something to the client.
const ANSWERED: [HeaderName; 4] = [CONTENT_TYPE, CONTENT_LENGTH, ETAG, RETRY_AFTER];

/// A request for another process.
pub(crate) struct Forward {
    engine: String,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: String,
}

impl Forward {
    /// A request whose body is JSON that was read already.
    pub(crate) fn post(engine: &str, path: &str, headers: &HeaderMap, body: &Bytes) -> Self {
        let mut headers = named(headers, &ASKED);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = String::from_utf8_lossy(body).into_owned();
        Forward { engine: engine.to_owned(), method: Method::POST, path: path.to_owned(), headers, body }
    }

    /// Whether a request may be asked elsewhere: one without a body, which is read only once, and without a WebSocket.
    pub(crate) fn is_possible(request: &Request) -> bool {
        let is_empty = request.headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
        is_empty && !request.headers.contains_key(TRANSFER_ENCODING) && request.upgrade.is_none()
    }

    /// A request that has no body.
    pub(crate) fn of(engine: &str, path: &str, request: &Request) -> Self {
        let path = match request.query.as_str() {
            "" => path.to_owned(),
            query => format!("{path}?{query}"),
        };
        let headers = named(&request.headers, &ASKED);
        Forward { engine: engine.to_owned(), method: request.method.clone(), path, headers, body: String::new() }
    }

    /// Asks, and hands on the answer while it comes. Its head must come within that time.
    pub(crate) async fn ask(self, patience: Duration) -> Answer {
        let engine = self.engine.clone();
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
        let stream = TcpStream::connect(&self.engine).await.map_err(|error| error.to_string())?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
        // Lives as long as the answer's body does.
        tokio::spawn(connection);
        let host = HeaderValue::from_str(&self.engine).map_err(|error| error.to_string())?;
        let mut request = HttpRequest::builder().method(self.method).uri(self.path).body(self.body);
        if let Ok(request) = &mut request {
            *request.headers_mut() = self.headers;
            request.headers_mut().insert(HOST, host);
        }
        let answer = sender.send_request(request.map_err(|error| error.to_string())?).await;
        let (head, body) = answer.map_err(|error| error.to_string())?.into_parts();
        let mut response = warp::reply::stream(pieces(body)).into_response();
        *response.status_mut() = head.status;
        response.headers_mut().extend(named(&head.headers, &ANSWERED));
        Ok(response)
    }
}

/// The headers of these names.
fn named(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    names.iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect()
}

fn pieces(mut body: Incoming) -> impl futures_util::Stream<Item = Result<Bytes, hyper::Error>> {
    stream::poll_fn(move |context| {
        Pin::new(&mut body).poll_frame(context).map(|frame| {
            // What is no data is a trailer, of which nothing is handed on.
            frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default()))
        })
    })
}

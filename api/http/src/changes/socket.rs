//! `/api/ws`: changes over a WebSocket.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use audience_protocol::{ChangeFilter, GivenChange};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::header::UPGRADE;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use warp::Reply as _;
use warp::ws::{Message, WebSocket};

use crate::api::Api;
use crate::changes::follower::{Next, READ, Subscriber, check, filter, place};
use crate::cors;
use crate::problem::{HandlerResult, Problem};
use crate::query::Query;
use crate::request::Call;
use crate::route::{Route, Side};
use crate::subscribers::long_after_closing;

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, PATH, Side::Segments, READ, |api, call| Box::pin(open(api, call)))];

const PATH: &str = "/api/ws";

/// Bytes of a message from a client.
const MAX_MESSAGE_BYTES: usize = 256 << 10;
/// The time for which a client that takes nothing is told of the end.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The codes with which a connection is closed: the server ends; what came is not understood.
const GOING_AWAY: u16 = 1001;

/// A message of a client.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientMessage {
    subscribe: Subscribe,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscribe {
    #[serde(default)]
    segments: Vec<String>,
    #[serde(default)]
    users: Vec<String>,
}

async fn open(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let query = Query::read(&call.query);
    let (from, filter) = (place(&query, &call.headers)?, filter(&query)?);
    cors::check_socket(&api.options, &call.headers)?;
    let Some(upgrade) = call.upgrade.take() else {
        let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", "this path is for a WebSocket");
        return Err(problem.with_text(UPGRADE, "websocket"));
    };
    let closing = api.subscribers.closing();
    let follower = Subscriber::new(api, from, filter, write, call.principal)?;
    let upgrade = upgrade.max_message_size(MAX_MESSAGE_BYTES).max_frame_size(MAX_MESSAGE_BYTES);
    let serve = move |socket| async move {
        tokio::select! {
            () = serve(socket, follower) => {}
            () = long_after_closing(closing, LAST_WORDS) => {}
        }
    };
    Ok(upgrade.on_upgrade(serve).into_response())
}

/// Serves a client to its end. One that is gone, or does not keep to the protocol, is not told so.
async fn serve(socket: WebSocket, mut follower: Subscriber) {
    let (mut sender, mut said) = socket.split();
    let mut text = control("ready", &follower);
    loop {
        for line in text.lines() {
            if sender.feed(Message::text(line)).await.is_err() {
                return;
            }
        }
        if sender.flush().await.is_err() {
            return;
        }
        text = tokio::select! {
            next = follower.next() => match next {
                Some(Next::Changes(changes)) => changes,
                Some(Next::Quiet) => control("heartbeat", &follower),
                Some(Next::Reset) => control("reset", &follower),
                None => {
                    let _ = sender.send(Message::close_with(GOING_AWAY, "the server ends; come again")).await;
                    return;
                }
            },
            message = said.next() => match message {
                Some(Ok(message)) if message.is_text() => subscribe(&message, &mut follower),
                Some(Ok(message)) if !message.is_close() => continue,
                _ => return,
            },
        };
    }
}

/// Takes over another filter; gives the answer.
fn subscribe(message: &Message, follower: &mut Subscriber) -> String {
    let said = serde_json::from_slice::<ClientMessage>(message.as_bytes()).map_err(|error| error.to_string());
    let filter = said.and_then(|ClientMessage { subscribe: Subscribe { segments, users } }| {
        let filter = ChangeFilter { segments, users, only_entered: None };
        check(&filter).map_err(|problem| problem.detail.clone())?;
        Ok(filter)
    });
    match filter {
        Ok(filter) => {
            follower.filter = Arc::new(filter);
            control("subscribed", follower)
        }
        Err(detail) => json!({"event": "error", "detail": detail}).to_string(),
    }
}

/// A message that is no change. It has an `event`.
fn control(event: &str, follower: &Subscriber) -> String {
    json!({"event": event, "id": follower.place.to_string()}).to_string()
}

/// A change is a line here, and a frame on the way.
fn write(out: &mut String, change: GivenChange<'_>) {
    // Writing to a text does not fail.
    let _ = writeln!(out, "{{\"id\":\"{}\",{}", change.next, change.json.trim_start_matches('{'));
}

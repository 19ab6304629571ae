//! `/v1/…`: events as the libraries of Segment's HTTP tracking API send them, and those made like them.
//!
//! A [message](message) is rewritten, as text, into an event of ours, and then goes the way of every event. What old libraries
//! get wrong is [mended](text), [times](time) are read leniently, and clocks corrected. Members without a meaning here
//! (`integrations`, …) are left out; the write key is the door's.

pub(crate) mod everything;
mod message;
pub(crate) mod posthog;
pub(crate) mod text;
mod time;

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use audience_auth::Needs;
use audience_rules::event::EventDefaults;
use audience_rules::fault::{Fault, code};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use memchr::memmem::Finder;
use serde::Serialize;

use crate::api::Api;
use crate::body::Media;
use crate::events::decoded::{DecodedEvents, conclude, keep_refused_body};
use crate::json::{self, ScanError};
use crate::problem::{HandlerResult, Problem};
use crate::progress::RejectedEvent;
use crate::reply;
use crate::request::Call;
use crate::route::{Handler, Route, Side};
use message::{Surroundings, TrackingMessage, rewrite};

/// A batch.
const BATCH: Handler = |api, call| Box::pin(post(api, call, None));
const TRACK: Handler = |api, call| Box::pin(post(api, call, Some("track")));
const IDENTIFY: Handler = |api, call| Box::pin(post(api, call, Some("identify")));
const PAGE: Handler = |api, call| Box::pin(post(api, call, Some("page")));
const SCREEN: Handler = |api, call| Box::pin(post(api, call, Some("screen")));
const GROUP: Handler = |api, call| Box::pin(post(api, call, Some("group")));
const ALIAS: Handler = |api, call| Box::pin(post(api, call, Some("alias")));

pub(crate) const ROUTES: &[Route] = &[
    of("/v1/identify", IDENTIFY),
    of("/v1/track", TRACK),
    of("/v1/page", PAGE),
    of("/v1/screen", SCREEN),
    of("/v1/group", GROUP),
    of("/v1/alias", ALIAS),
    of("/v1/batch", BATCH),
    // Libraries for servers.
    of("/v1/import", BATCH),
    // Libraries for browsers and phones.
    of("/v1/i", IDENTIFY),
    of("/v1/t", TRACK),
    of("/v1/p", PAGE),
    of("/v1/s", SCREEN),
    of("/v1/g", GROUP),
    of("/v1/a", ALIAS),
    of("/v1/b", BATCH),
];

const fn of(path: &'static str, handler: Handler) -> Route {
    Route::new(Method::POST, path, Side::Ingestion, Needs::Ingest, handler)
}

#[derive(Serialize)]
struct TrackingAnswer {
    success: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<RejectedEvent>,
}

async fn post(api: Arc<Api>, call: Call, kind: Option<&'static str>) -> HandlerResult {
    // Libraries for browsers say text/plain to be spared a preflight, and some say whatever their HTTP client does by default:
    // the bytes tell.
    let media = Media::of(&call.headers, &[Media::Json, Media::Text, Media::Form, Media::Bytes])?;
    let body = api.body(&call.headers, call.body).await?;
    if media == Media::Form && !text::without_mark(&body).trim_ascii_start().starts_with(b"{") {
        return Err(Problem::media("the body must be application/json"));
    }
    api.blocking(move |api| accept(api, &body, kind)).await
}

/// Carries out a message, or (without a kind) a batch.
fn accept(api: &Api, body: &Bytes, kind: Option<&'static str>) -> HandlerResult {
    let path = path_of(kind);
    let mut decoded = DecodedEvents::with_capacity(api, body.len()).keeping(path);
    let defaults = EventDefaults { accepted_at: (api.options.clock)() };
    let read = decode(body, kind, api.options.max_events, &mut decoded, &defaults);
    read.inspect_err(|problem| keep_refused_body(api, path, body, problem))?;
    let progress = decoded.ingest(api)?;
    let list = if kind.is_some() { None } else { Some("/batch") };
    let progress = conclude(progress, |rejected| match list {
        Some(list) => format!("{list}/{}{}", rejected.index, rejected.pointer),
        None => rejected.pointer.clone(),
    })?;
    Ok(reply::json(StatusCode::OK, &TrackingAnswer { success: true, rejected: progress.rejected }))
}

/// Decodes a message, or (without a kind) a batch of at most `limit`.
fn decode(
    body: &[u8],
    kind: Option<&str>,
    limit: usize,
    decoded: &mut DecodedEvents,
    defaults: &EventDefaults,
) -> Result<(), Problem> {
    let body = &*text::mended(text::without_mark(body));
    let message = whole_message(body)?;
    let Some(kind) = kind else { return push_batch(limit, &message, decoded, defaults) };
    let around = Surroundings { now: Some(defaults.accepted_at), zone: decoded.zone, ..Surroundings::default() };
    push(decoded, (&message, body), kind, around, 0, defaults).map_err(|scan| json::scan_problem(body, scan))
}

/// The path under which refused messages of a kind are kept.
fn path_of(kind: Option<&str>) -> &'static str {
    match kind {
        Some("track") => "/v1/track",
        Some("identify") => "/v1/identify",
        Some("page") => "/v1/page",
        Some("screen") => "/v1/screen",
        Some("group") => "/v1/group",
        Some("alias") => "/v1/alias",
        _ => "/v1/batch",
    }
}

/// Takes apart a body that is one object.
fn whole_message(body: &[u8]) -> Result<TrackingMessage<'_>, Problem> {
    let scanned = |scan| json::scan_problem(body, scan);
    let start = json::skip_space(body, 0);
    let Some((message, end)) = TrackingMessage::read(body, start).map_err(scanned)? else {
        return Err(json::malformed(body).unwrap_or_else(|| Problem::fault("", "wrong_type", "the body is an object")));
    };
    json::at_end(body, end).map_err(scanned)?;
    json::malformed(body).map_or(Ok(message), Err)
}

/// The places of a list's messages.
fn messages_of(list: &[u8], limit: usize) -> Result<Vec<Range<usize>>, Problem> {
    if !list.starts_with(b"[") {
        return Err(Problem::fault("/batch", "wrong_type", "batch is a list of messages"));
    }
    let mut messages = Vec::new();
    json::elements(list, 0, limit, &mut messages).map_err(|scan| json::scan_problem(list, scan))?;
    if messages.is_empty() {
        return Err(Problem::bad_request("no_events", "there is no message in the batch"));
    }
    if messages.len() > limit {
        let detail = format!("a batch holds at most {limit} messages");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_events", detail));
    }
    Ok(messages)
}

/// Decodes every message of a batch, whose `type` says what it is.
fn push_batch(
    limit: usize,
    body: &TrackingMessage<'_>,
    decoded: &mut DecodedEvents,
    defaults: &EventDefaults,
) -> Result<(), Problem> {
    let list = body.get("batch").unwrap_or_default();
    let scanned = |scan| json::scan_problem(body.json, scan);
    let messages = messages_of(list, limit)?;
    let now = Some(defaults.accepted_at);
    let around = Surroundings { context: body.get("context"), sent_at: body.get("sentAt"), now, zone: decoded.zone };
    for (index, range) in messages.into_iter().enumerate() {
        let text = &list[range.clone()];
        let mut refuse = |pointer: &str, code, message: &str| {
            let fault = Fault { pointer: pointer.into(), code, message: message.into() };
            decoded.refuse(text, index, defaults, fault);
        };
        let Some((message, _)) = TrackingMessage::read(list, range.start).map_err(scanned)? else {
            refuse("", "wrong_type", "a message is an object");
            continue;
        };
        let Some(kind) = message.kind() else {
            refuse("/type", "unknown_word", "type is one of identify, track, page, screen, group, alias");
            continue;
        };
        push(decoded, (&message, text), kind, around, index, defaults).map_err(scanned)?;
    }
    Ok(())
}

/// Decodes one message, of that text.
fn push<'a>(
    decoded: &mut DecodedEvents,
    (message, text): (&TrackingMessage<'a>, &[u8]),
    kind: &str,
    around: Surroundings<'a>,
    index: usize,
    defaults: &EventDefaults,
) -> Result<(), ScanError> {
    if kind == "track" && message.get("event").is_none() {
        decoded.refuse(text, index, defaults, Fault::whole(code::MISSING_MEMBER, "a track's `event` is missing"));
        return Ok(());
    }
    let mut event = Vec::with_capacity(512);
    rewrite(message, kind, around, &mut event)?;
    if let Err(fault) = decoded.decode(&event, defaults) {
        decoded.refuse(text, index, defaults, in_the_senders_words(kind, fault));
    }
    Ok(())
}

/// A fault with the place that it has in the message.
fn in_the_senders_words(kind: &str, mut fault: Fault) -> Fault {
    let renamed = match kind {
        "group" => [("/properties/groupId", "/groupId"), ("/properties", "/traits")].as_slice(),
        _ => &[],
    };
    let found = renamed.iter().find_map(|(ours, theirs)| Some((theirs, fault.pointer.strip_prefix(ours)?)));
    if let Some((theirs, rest)) = found {
        fault.pointer = format!("{theirs}{rest}");
    }
    fault
}

/// An event of our form as it is decoded: one that is a message of Segment's, by what it has, is read as that.
pub(super) fn recognised(event: &[u8]) -> Option<(Vec<u8>, &'static str)> {
    static TYPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"type\""));
    TYPE.find(event)?;
    let (message, _) = TrackingMessage::read(event, json::skip_space(event, 0)).ok()??;
    let kind = message.kind_among_events()?;
    let mut out = Vec::with_capacity(event.len());
    rewrite(&message, kind, Surroundings::default(), &mut out).ok()?;
    Some((out, kind))
}

/// Decodes an event of our form, or a message of Segment's among such.
pub(super) fn push_event(decoded: &mut DecodedEvents, event: &[u8], index: usize, defaults: &EventDefaults) {
    let fault = match recognised(event) {
        Some((rewritten, kind)) => {
            decoded.decode(&rewritten, defaults).map_err(|fault| in_the_senders_words(kind, fault))
        }
        None => decoded.decode(event, defaults),
    };
    if let Err(fault) = fault {
        decoded.refuse(event, index, defaults, fault);
    }
}

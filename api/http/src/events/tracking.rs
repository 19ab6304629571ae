//! `/v1/…`: events as the libraries of Segment's HTTP tracking API send them.
//!
//! A message is rewritten, as text, into an event of ours, and then goes the way of every event. Members without a
//! meaning here (`integrations`, `sentAt`, `originalTimestamp`, …) are left out. The write key is not looked at.

use std::borrow::Cow;
use std::sync::Arc;

use audience_auth::Needs;
use audience_rules::event::EventDefaults;
use audience_rules::fault::Fault;
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde::Serialize;

use crate::api::Api;
use crate::body::Media;
use crate::events::decoded::{DecodedEvents, conclude, note_refused_body};
use crate::json::{self, JsonMember, ScanError};
use crate::problem::{HandlerResult, Problem};
use crate::progress::RejectedEvent;
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::POST, "/v1/identify", Side::Ingestion, Needs::Ingest, |api, call| {
        Box::pin(post(api, call, Some("identify")))
    }),
    Route::new(Method::POST, "/v1/track", Side::Ingestion, Needs::Ingest, |api, call| {
        Box::pin(post(api, call, Some("track")))
    }),
    Route::new(Method::POST, "/v1/page", Side::Ingestion, Needs::Ingest, |api, call| {
        Box::pin(post(api, call, Some("page")))
    }),
    Route::new(Method::POST, "/v1/screen", Side::Ingestion, Needs::Ingest, |api, call| {
        Box::pin(post(api, call, Some("screen")))
    }),
    Route::new(Method::POST, "/v1/group", Side::Ingestion, Needs::Ingest, |api, call| {
        Box::pin(post(api, call, Some("group")))
    }),
    Route::new(Method::POST, "/v1/alias", Side::Ingestion, Needs::Ingest, |api, call| {
        Box::pin(post(api, call, Some("alias")))
    }),
    Route::new(Method::POST, "/v1/batch", Side::Ingestion, Needs::Ingest, |api, call| Box::pin(post(api, call, None))),
];

#[derive(Serialize)]
struct TrackingAnswer {
    success: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<RejectedEvent>,
}

/// A message taken apart.
struct TrackingMessage<'a> {
    json: &'a [u8],
    members: Vec<JsonMember>,
}

impl<'a> TrackingMessage<'a> {
    /// Takes apart the object at `at`; `None` where there is no object.
    fn read(json: &'a [u8], at: usize) -> Result<Option<(Self, usize)>, ScanError> {
        if json.get(at) != Some(&b'{') {
            return Ok(None);
        }
        let (members, end) = json::members(json, at)?;
        Ok(Some((TrackingMessage { json, members }, end)))
    }

    /// The text of a member, the last of that name; a null is as none.
    fn get(&self, key: &str) -> Option<&'a [u8]> {
        let member = self.members.iter().rfind(|member| &self.json[member.key.clone()] == key.as_bytes())?;
        let value = &self.json[member.value.clone()];
        (value != b"null").then_some(value)
    }

    /// The same for an id, which some libraries send empty.
    fn id(&self, key: &str) -> Option<&'a [u8]> {
        self.get(key).filter(|value| *value != b"\"\"")
    }
}

/// An event being written.
struct EventWriter<'a> {
    out: &'a mut Vec<u8>,
    comma: bool,
}

impl EventWriter<'_> {
    fn member(&mut self, key: &str, value: Option<&[u8]>) {
        let Some(value) = value else { return };
        self.out.extend_from_slice(if self.comma { b",\"" } else { b"\"" });
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out.extend_from_slice(value);
        self.comma = true;
    }
}

/// Writes a message as an event; `context` is that of the batch around it.
fn rewrite(
    message: &TrackingMessage<'_>,
    kind: &str,
    context: Option<&[u8]>,
    out: &mut Vec<u8>,
) -> Result<(), ScanError> {
    out.push(b'{');
    let mut event = EventWriter { out, comma: false };
    for key in ["userId", "anonymousId", "previousId"] {
        event.member(key, message.id(key));
    }
    for key in ["messageId", "timestamp"] {
        event.member(key, message.get(key));
    }
    event.member("context", message.get("context").or(context));
    match kind {
        "track" => {
            event.member("eventType", message.get("event"));
            event.member("properties", message.get("properties"));
        }
        "identify" => {
            event.member("eventType", Some(b"\"identify\""));
            event.member("traits", message.get("traits"));
        }
        "group" => {
            event.member("eventType", Some(b"\"group\""));
            event.member("properties", extended(message, "traits", &["groupId"])?.as_deref());
        }
        "page" | "screen" => {
            event.member("eventType", Some(format!("\"{kind}\"").as_bytes()));
            event.member("properties", extended(message, "properties", &["name", "category"])?.as_deref());
        }
        _ => event.member("eventType", Some(b"\"alias\"")),
    }
    out.push(b'}');
    Ok(())
}

/// The object under `key` with members of the message put into it, where it has none of their names.
fn extended<'a>(message: &TrackingMessage<'a>, key: &str, names: &[&str]) -> Result<Option<Cow<'a, [u8]>>, ScanError> {
    let object = message.get(key).unwrap_or(b"{}");
    let Some((inner, _)) = TrackingMessage::read(object, 0)? else { return Ok(Some(Cow::Borrowed(object))) };
    let mut text = vec![b'{'];
    let mut writer = EventWriter { out: &mut text, comma: false };
    for name in names.iter().filter(|name| inner.get(name).is_none()) {
        writer.member(name, message.get(name));
    }
    for member in &inner.members {
        let key = &object[member.key.clone()];
        // A null of a name that was put in would be a second member of that name.
        if names.iter().any(|name| name.as_bytes() == key && inner.get(name).is_none()) {
            continue;
        }
        writer.member(&String::from_utf8_lossy(key), Some(&object[member.value.clone()]));
    }
    text.push(b'}');
    Ok(Some(Cow::Owned(text)))
}

async fn post(api: Arc<Api>, call: Call, kind: Option<&'static str>) -> HandlerResult {
    // The browser library says text/plain to be spared a preflight.
    Media::of(&call.headers, &[Media::Json, Media::Text])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| accept(api, &body, kind)).await
}

/// Carries out a message, or (without a kind) a batch.
fn accept(api: &Api, body: &Bytes, kind: Option<&'static str>) -> HandlerResult {
    let scanned = |scan| json::scan_problem(body, scan);
    let message = whole_message(body).inspect_err(|problem| note_refused_body(api, body, problem))?;
    let mut decoded = DecodedEvents::default();
    let defaults = EventDefaults { accepted_at: (api.options.clock)() };
    match kind {
        Some(kind) => push(&mut decoded, (&message, body), kind, None, 0, &defaults).map_err(scanned)?,
        None => push_batch(api, &message, &mut decoded, &defaults)?,
    }
    let progress = decoded.ingest(api)?;
    let list = if kind.is_some() { None } else { Some("/batch") };
    let progress = conclude(progress, |rejected| match list {
        Some(list) => format!("{list}/{}{}", rejected.index, rejected.pointer),
        None => rejected.pointer.clone(),
    })?;
    Ok(reply::json(StatusCode::OK, &TrackingAnswer { success: true, rejected: progress.rejected }))
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

/// Decodes every message of a batch, whose `type` says what it is.
fn push_batch(
    api: &Api,
    body: &TrackingMessage<'_>,
    decoded: &mut DecodedEvents,
    defaults: &EventDefaults,
) -> Result<(), Problem> {
    let Some(list) = body.get("batch").filter(|list| list.starts_with(b"[")) else {
        return Err(Problem::fault("/batch", "wrong_type", "batch is a list of messages"));
    };
    let (limit, mut messages) = (api.options.max_events, Vec::new());
    let scanned = |scan| json::scan_problem(body.json, scan);
    json::elements(list, 0, limit, &mut messages).map_err(scanned)?;
    if messages.is_empty() {
        return Err(Problem::bad_request("no_events", "there is no message in the batch"));
    }
    if messages.len() > limit {
        let detail = format!("a batch holds at most {limit} messages");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_events", detail));
    }
    let context = body.get("context");
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
        let kind = match message.get("type") {
            Some(b"\"track\"") => "track",
            Some(b"\"identify\"") => "identify",
            Some(b"\"page\"") => "page",
            Some(b"\"screen\"") => "screen",
            Some(b"\"group\"") => "group",
            Some(b"\"alias\"") => "alias",
            _ => {
                refuse("/type", "unknown_word", "type is one of identify, track, page, screen, group, alias");
                continue;
            }
        };
        push(decoded, (&message, text), kind, context, index, defaults).map_err(scanned)?;
    }
    Ok(())
}

/// Decodes one message, of that text.
fn push(
    decoded: &mut DecodedEvents,
    (message, text): (&TrackingMessage<'_>, &[u8]),
    kind: &str,
    context: Option<&[u8]>,
    index: usize,
    defaults: &EventDefaults,
) -> Result<(), ScanError> {
    let mut event = Vec::with_capacity(512);
    rewrite(message, kind, context, &mut event)?;
    let Err(mut fault) = decoded.decode(&event, defaults) else { return Ok(()) };
    // Faults are told in the words of the sender.
    let renamed = match kind {
        "track" => [("/eventType", "/event")].as_slice(),
        "group" => &[("/properties/groupId", "/groupId"), ("/properties", "/traits")],
        _ => &[],
    };
    for (ours, theirs) in renamed {
        if let Some(rest) = fault.pointer.strip_prefix(ours) {
            fault.pointer = format!("{theirs}{rest}");
            break;
        }
    }
    decoded.refuse(text, index, defaults, fault);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(kind: &str, message: &str) -> String {
        let (message, _) = TrackingMessage::read(message.as_bytes(), 0).unwrap().unwrap();
        let mut out = Vec::new();
        rewrite(&message, kind, Some(b"{\"b\":1}"), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn messages() {
        for (kind, message, event) in [
            (
                "track",
                r#"{"userId":"u","event":"buy","properties":{"amount":1.50},"sentAt":"x","context":{"ip":"1"}}"#,
                r#"{"userId":"u","context":{"ip":"1"},"eventType":"buy","properties":{"amount":1.50}}"#,
            ),
            (
                "identify",
                r#"{"anonymousId":"a","userId":"","traits":{"age":3},"timestamp":"t","messageId":"m"}"#,
                r#"{"anonymousId":"a","messageId":"m","timestamp":"t","context":{"b":1},"eventType":"identify","traits":{"age":3}}"#,
            ),
            (
                "page",
                r#"{"userId":"u","name":"Home","properties":{"path":"/"}}"#,
                r#"{"userId":"u","context":{"b":1},"eventType":"page","properties":{"name":"Home","path":"/"}}"#,
            ),
            (
                "screen",
                r#"{"userId":"u","name":"Home","category":null,"properties":{"name":"Own","x":[1]}}"#,
                r#"{"userId":"u","context":{"b":1},"eventType":"screen","properties":{"name":"Own","x":[1]}}"#,
            ),
            (
                "group",
                r#"{"userId":"u","groupId":"g","traits":{"groupId":null,"plan":"x"}}"#,
                r#"{"userId":"u","context":{"b":1},"eventType":"group","properties":{"groupId":"g","plan":"x"}}"#,
            ),
            (
                "alias",
                r#"{"userId":"u","previousId":"p","userId":"v"}"#,
                r#"{"userId":"v","previousId":"p","context":{"b":1},"eventType":"alias"}"#,
            ),
            ("page", r#"{"userId":null,"properties":7}"#, r#"{"context":{"b":1},"eventType":"page","properties":7}"#),
        ] {
            assert_eq!(rewritten(kind, message), event, "{kind}");
        }
    }
}

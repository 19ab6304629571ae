//! `/batch` and `/capture`: events as the libraries of PostHog send them.
//!
//! `$identify` and `$set` set traits, `$unset` removes them, `$create_alias` merges, and what stands under `$set` of another event
//! is an identify of its own beside it. All else is an event of its name.
//!
//! A `distinct_id` may be that of a device as well as that of a person: it names somebody only in `$identify` and `$create_alias`,
//! and is an `anonymousId` else. So `$identify` merges the `$anon_distinct_id` of whoever was not identified before.

use std::collections::BTreeMap;
use std::sync::Arc;

use audience_auth::Needs;
use audience_rules::event::EventDefaults;
use audience_rules::fault::{Fault, code};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde::Serialize;

use super::message::{EventWriter, Surroundings, TrackingMessage, joined_objects, timestamp, with_notes};
use super::text;
use crate::api::Api;
use crate::body::Media;
use crate::events::decoded::{DecodedEvents, conclude, keep_refused_body};
use crate::json::{self, ScanError};
use crate::problem::{HandlerResult, Problem};
use crate::progress::RejectedEvent;
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

/// The path under which refused messages are kept.
const PATH: &str = "/batch";

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::POST, PATH, Side::Ingestion, Needs::Ingest, |api, call| Box::pin(post(api, call))),
    Route::new(Method::POST, "/capture", Side::Ingestion, Needs::Ingest, |api, call| Box::pin(post(api, call))),
];

/// Members of events of ours, and what they are called here.
const NAMES: [(&str, &str); 4] = [
    ("/userId", "/distinct_id"),
    ("/anonymousId", "/distinct_id"),
    ("/messageId", "/uuid"),
    ("/previousId", "/properties/alias"),
];

#[derive(Serialize)]
struct CaptureAnswer {
    status: u8,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rejected: Vec<RejectedEvent>,
}

async fn post(api: Arc<Api>, call: Call) -> HandlerResult {
    Media::of(&call.headers, &[Media::Json, Media::Text])?;
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| accept(api, &body)).await
}

/// Carries out a message, or several under `batch`.
fn accept(api: &Api, body: &Bytes) -> HandlerResult {
    let mut decoded = DecodedEvents::with_capacity(api, body.len()).keeping(PATH);
    let defaults = EventDefaults { accepted_at: (api.options.clock)() };
    let read = decode(body, api.options.max_events, &mut decoded, &defaults);
    let is_batch = read.inspect_err(|problem| keep_refused_body(api, PATH, body, problem))?;
    answer(api, decoded, |rejected| match is_batch {
        true => format!("/batch/{}{}", rejected.index, rejected.pointer),
        false => rejected.pointer.clone(),
    })
}

/// Decodes a message, or a batch of at most `limit`; returns whether it is one.
pub(super) fn decode(
    body: &[u8],
    limit: usize,
    decoded: &mut DecodedEvents,
    defaults: &EventDefaults,
) -> Result<bool, Problem> {
    let body = &*text::mended(text::without_mark(body));
    let scanned = |scan| json::scan_problem(body, scan);
    let message = super::whole_message(body)?;
    let around = Surroundings {
        context: None,
        sent_at: message.get("sent_at"),
        now: Some(defaults.accepted_at),
        zone: decoded.zone,
    };
    let Some(list) = message.get("batch") else {
        push(decoded, (&message, body), around, 0, defaults).map_err(scanned)?;
        return Ok(false);
    };
    for (index, range) in super::messages_of(list, limit)?.into_iter().enumerate() {
        let text = &list[range.clone()];
        match TrackingMessage::read(list, range.start).map_err(scanned)? {
            Some((message, _)) => push(decoded, (&message, text), around, index, defaults).map_err(scanned)?,
            None => decoded.refuse(text, index, defaults, Fault::whole(code::WRONG_TYPE, "a message is an object")),
        }
    }
    Ok(true)
}

fn answer(api: &Api, decoded: DecodedEvents, pointer: impl Fn(&RejectedEvent) -> String) -> HandlerResult {
    let progress = conclude(decoded.ingest(api)?, pointer)?;
    Ok(reply::json(StatusCode::OK, &CaptureAnswer { status: 1, rejected: progress.rejected }))
}

/// Decodes the events of one message, of that text.
fn push<'a>(
    decoded: &mut DecodedEvents,
    (message, text): (&TrackingMessage<'a>, &[u8]),
    around: Surroundings<'a>,
    index: usize,
    defaults: &EventDefaults,
) -> Result<(), ScanError> {
    if message.get("event").is_none() {
        decoded.refuse(text, index, defaults, Fault::whole(code::MISSING_MEMBER, "`event` is missing"));
        return Ok(());
    }
    for event in events_of(message, around)? {
        let Err(mut fault) = decoded.decode(&event, defaults) else { continue };
        if let Some((_, theirs)) = NAMES.iter().find(|(ours, _)| *ours == fault.pointer) {
            fault.pointer = (*theirs).to_owned();
        }
        decoded.refuse(text, index, defaults, fault);
        break;
    }
    Ok(())
}

/// The events that a message is.
fn events_of<'a>(message: &TrackingMessage<'a>, around: Surroundings<'a>) -> Result<Vec<Vec<u8>>, ScanError> {
    let properties = message.object("properties");
    let inner = TrackingMessage::read(properties.unwrap_or(b"{}"), 0)?.map(|(inner, _)| inner);
    let property = |key: &str| inner.as_ref().and_then(|inner| inner.id(key));
    let name = message.get("event").and_then(|event| serde_json::from_slice::<String>(event).ok());
    let user = message.id("distinct_id").or_else(|| property("distinct_id"));
    let set = match (property("$set"), message.object("$set")) {
        (Some(one), Some(other)) => Some(joined_objects(one, other).into_owned()),
        (one, other) => one.or(other).map(<[u8]>::to_vec),
    };
    let set = without_unset(set, message.get("$unset").or_else(|| property("$unset")));
    let (time, notes) = timestamp(message, around);
    let context = with_notes(None, &notes);
    let event = |id: Option<&[u8]>, members: &[(&str, Option<&[u8]>)]| {
        let mut out = vec![b'{'];
        let mut writer = EventWriter { out: &mut out, comma: false };
        writer.member("messageId", id);
        writer.member("timestamp", time.as_deref());
        writer.member("context", context.as_deref());
        members.iter().for_each(|(key, value)| writer.member(key, *value));
        out.push(b'}');
        out
    };
    let id = message.id("uuid").or_else(|| property("$insert_id"));
    let (identify, alias) = (("eventType", Some(&b"\"identify\""[..])), ("eventType", Some(&b"\"alias\""[..])));
    let traits = ("traits", set.as_deref());
    Ok(match name.as_deref() {
        Some("$identify") => {
            let device = ("anonymousId", property("$anon_distinct_id"));
            vec![event(id, &[("userId", user), identify, device, traits])]
        }
        Some("$set" | "$unset") => vec![event(id, &[("anonymousId", user), identify, traits])],
        Some("$create_alias") => vec![event(id, &[("userId", user), alias, ("previousId", property("alias"))])],
        _ => {
            let named =
                [("type", Some(&b"\"track\""[..])), ("event", message.get("event")), ("properties", properties)];
            let mut events = vec![event(id, &[&[("anonymousId", user)], &named[..]].concat())];
            // Another event with an id of its own, so that it counts once, too.
            let own = id.and_then(|id| id.strip_suffix(b"\"")).map(|id| [id, b"#set\""].concat());
            events.extend(set.is_some().then(|| event(own.as_deref(), &[("anonymousId", user), identify, traits])));
            events
        }
    })
}

/// The traits to set, with a null for each that the list of names under `$unset` removes.
fn without_unset(set: Option<Vec<u8>>, unset: Option<&[u8]>) -> Option<Vec<u8>> {
    let names: Vec<String> = unset.and_then(|list| serde_json::from_slice(list).ok()).unwrap_or_default();
    if names.is_empty() {
        return set;
    }
    let nulls: BTreeMap<String, ()> = names.into_iter().map(|name| (name, ())).collect();
    let nulls = serde_json::to_vec(&nulls).unwrap_or_default();
    Some(set.map_or_else(|| nulls.clone(), |set| joined_objects(&set, &nulls).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(message: &str) -> Vec<serde_json::Value> {
        let (message, _) = TrackingMessage::read(message.as_bytes(), 0).unwrap().unwrap();
        let events = events_of(&message, Surroundings::default()).unwrap();
        events.iter().map(|event| serde_json::from_slice(event).unwrap()).collect()
    }

    #[test]
    fn messages_of_every_kind() {
        let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        for (message, wanted) in [
            (
                r#"{"event":"buy","distinct_id":"u","uuid":"m","properties":{"amount":1.5,"$set":{"a":1}},"timestamp":"t"}"#,
                r##"[{"anonymousId":"u","messageId":"m","timestamp":"t","type":"track","event":"buy","properties":{"amount":1.5,"$set":{"a":1}}},
                    {"anonymousId":"u","messageId":"m#set","timestamp":"t","eventType":"identify","traits":{"a":1}}]"##,
            ),
            (
                r#"{"event":"$identify","properties":{"distinct_id":"u","$anon_distinct_id":"a","$set":{"b":2}},"$set":{"c":3}}"#,
                r#"[{"userId":"u","eventType":"identify","anonymousId":"a","traits":{"b":2,"c":3}}]"#,
            ),
            (
                r#"{"event":"$set","distinct_id":"u","$set":{"c":3},"$unset":["d"]}"#,
                r#"[{"anonymousId":"u","eventType":"identify","traits":{"c":3,"d":null}}]"#,
            ),
            (
                r#"{"event":"$unset","distinct_id":"u","properties":{"$unset":["d"]}}"#,
                r#"[{"anonymousId":"u","eventType":"identify","traits":{"d":null}}]"#,
            ),
            (
                r#"{"event":"$create_alias","distinct_id":"u","properties":{"distinct_id":"u","alias":"old"}}"#,
                r#"[{"userId":"u","eventType":"alias","previousId":"old"}]"#,
            ),
            (r#"{"event":"view","distinct_id":"d"}"#, r#"[{"anonymousId":"d","type":"track","event":"view"}]"#),
        ] {
            assert_eq!(serde_json::Value::from(events(message)), json(wanted), "{message}");
        }
    }
}

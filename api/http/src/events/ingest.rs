//! `POST /api/events`: events in, durable when answered.

use std::ops::Range;
use std::sync::Arc;

use audience_auth::Needs;
use audience_rules::event::EventDefaults;
use bytes::Bytes;
use hyper::{Method, StatusCode};
use warp::reply::Response;

use crate::api::Api;
use crate::body::Media;
use crate::events::decoded::{DecodedEvents, accepted, conclude, note_refused_body};
use crate::events::tracking::text::without_mark;
use crate::events::{ndjson, tracking};
use crate::idempotency::{self, KeptAnswer, KeyState, Reservation};
use crate::json::{self, ScanError};
use crate::problem::{HandlerResult, Problem};
use crate::progress::{IngestProgress, RejectedEvent};
use crate::reply;
use crate::request::Call;
use crate::route::{Route, Side};

const PATH: &str = "/api/events";

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::POST, PATH, Side::Ingestion, Needs::Ingest, |api, call| Box::pin(post(api, call)))];

/// Members that may stand beside a `batch`; the Segment libraries send these.
const BESIDE_BATCH: [&str; 7] = ["batch", "context", "integrations", "messageId", "sentAt", "timestamp", "writeKey"];

/// The places of a body's events.
pub(crate) struct EventLayout {
    pub(crate) events: Vec<Range<usize>>,
    /// The pointer to the list; `None` where the body is one event.
    list: Option<&'static str>,
}

impl EventLayout {
    fn single(event: Range<usize>) -> Self {
        EventLayout { events: std::iter::once(event).collect(), list: None }
    }

    fn pointer(&self, rejected: &RejectedEvent) -> String {
        match self.list {
            Some(list) => format!("{list}/{}{}", rejected.index, rejected.pointer),
            None => rejected.pointer.clone(),
        }
    }
}

async fn post(api: Arc<Api>, call: Call) -> HandlerResult {
    let media = Media::of(&call.headers, &[Media::Json, Media::Ndjson])?;
    let key = idempotency::key(&call)?;
    if media == Media::Ndjson && key.is_none() {
        return ndjson::stream(api, call).await;
    }
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| once(api, key.as_deref(), media, &body)).await
}

/// Carries out a body, or gives the answer that its key has.
fn once(api: &Api, key: Option<&str>, media: Media, body: &Bytes) -> HandlerResult {
    let mut reservation = None;
    if let Some(key) = key {
        match api.idempotency.begin(PATH, key, idempotency::fingerprint(media.name(), body))? {
            KeyState::Again(kept) => return Ok(kept.again()),
            KeyState::First(first) => reservation = Some(first),
        }
    }
    let outcome = if media == Media::Ndjson { ndjson::accept(api, body) } else { accept(api, body) };
    Ok(keep(outcome, reservation))
}

/// Carries out a JSON body.
fn accept(api: &Api, body: &Bytes) -> Result<IngestProgress, Problem> {
    let limit = api.options.max_events;
    let body = without_mark(body);
    let layout = layout(body, limit)
        .map_err(|fault| fault.unwrap_or_else(|scan| json::scan_problem(body, scan)))
        .inspect_err(|problem| note_refused_body(api, body, problem))?;
    if layout.events.is_empty() {
        return Err(Problem::bad_request("no_events", "there is no event in the list"));
    }
    if layout.events.len() > limit {
        let detail = format!("a list holds at most {limit} events; NDJSON has no such limit");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_events", detail));
    }
    let defaults = EventDefaults { accepted_at: (api.options.clock)() };
    let mut decoded = DecodedEvents::with_capacity(api, body.len());
    for (index, range) in layout.events.iter().enumerate() {
        tracking::push_event(&mut decoded, &body[range.clone()], index, &defaults);
    }
    if !decoded.rejected.is_empty() {
        // A body that is no JSON is refused as a whole.
        let malformed = json::malformed(body).map_or(Ok(()), Err);
        malformed.inspect_err(|problem| note_refused_body(api, body, problem))?;
    }
    let progress = decoded.ingest(api)?;
    conclude(progress, |rejected| layout.pointer(rejected))
}

/// Finds the events of a body: one, a list, or `{"batch": […]}`.
fn layout(body: &[u8], limit: usize) -> Result<EventLayout, Result<Problem, ScanError>> {
    let start = json::skip_space(body, 0);
    let mut events = Vec::new();
    if body.get(start) == Some(&b'[') {
        let end = json::elements(body, start, limit, &mut events).map_err(Err)?;
        json::at_end(body, end).map_err(Err)?;
        return Ok(EventLayout { events, list: Some("") });
    }
    if body.get(start) != Some(&b'{') {
        let end = json::value_end(body, start).map_err(Err)?;
        json::at_end(body, end).map_err(Err)?;
        return Ok(EventLayout::single(start..end));
    }
    let (members, end) = json::members(body, start).map_err(Err)?;
    json::at_end(body, end).map_err(Err)?;
    let Some(batch) = members.iter().rfind(|member| json::is_key(body, member, "batch")) else {
        return Ok(EventLayout::single(start..end));
    };
    let is_stranger = |member: &&json::JsonMember| !BESIDE_BATCH.iter().any(|key| json::is_key(body, member, key));
    let stranger = members.iter().find(is_stranger);
    if let Some(stranger) = stranger {
        let name = String::from_utf8_lossy(&body[stranger.key.clone()]).replace('~', "~0").replace('/', "~1");
        let message = "a body with a batch is no event itself";
        return Err(Ok(Problem::fault(format!("/{name}"), "unknown_key", message)));
    }
    if body.get(batch.value.start) != Some(&b'[') {
        return Err(Ok(Problem::fault("/batch", "wrong_type", "batch is a list of events")));
    }
    json::elements(body, batch.value.start, limit, &mut events).map_err(Err)?;
    Ok(EventLayout { events, list: Some("/batch") })
}

/// The answer of an outcome. It is kept where it would be the same if all were done again; a key whose request may yet
/// succeed is set free.
fn keep(outcome: Result<IngestProgress, Problem>, reservation: Option<Reservation>) -> Response {
    let kept = match &outcome {
        Ok(progress) => Some(KeptAnswer {
            status: StatusCode::ACCEPTED,
            media: "application/json",
            headers: Vec::new(),
            body: reply::to_json(progress).into(),
        }),
        Err(problem) if problem.status == StatusCode::BAD_REQUEST => {
            let (status, body) = (problem.status, problem.to_json().into());
            Some(KeptAnswer { status, media: "application/problem+json", headers: Vec::new(), body })
        }
        Err(_) => None,
    };
    if let (Some(reservation), Some(kept)) = (reservation, &kept) {
        reservation.keep(kept.clone());
    }
    match (kept, outcome) {
        (Some(kept), _) => kept.into_response(),
        (None, Err(problem)) => problem.into_response(),
        (None, Ok(progress)) => accepted(&progress),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> (Vec<&str>, Option<&'static str>) {
        let layout = layout(body.as_bytes(), 100).map_err(|_| body).unwrap();
        (layout.events.into_iter().map(|range| &body[range]).collect(), layout.list)
    }

    #[test]
    fn layouts() {
        assert_eq!(texts(r#" {"a":{"batch":1}} "#), (vec![r#"{"a":{"batch":1}}"#], None));
        assert_eq!(texts(r#"[{"a":1}, 2]"#), (vec![r#"{"a":1}"#, "2"], Some("")));
        assert_eq!(texts(r#"{"sentAt":"x","batch":[{"a":1}]}"#), (vec![r#"{"a":1}"#], Some("/batch")));
        assert_eq!(texts("7"), (vec!["7"], None));
    }

    #[test]
    fn no_layouts() {
        let problem = |body: &str| match layout(body.as_bytes(), 100) {
            Err(Ok(problem)) => problem.errors[0].pointer.clone(),
            Err(Err(scan)) => json::scan_problem(body.as_bytes(), scan).code.into(),
            Ok(_) => "none".into(),
        };
        assert_eq!(problem(r#"{"batch":{}}"#), "/batch");
        assert_eq!(problem(r#"{"batch":[],"user/Id":"u"}"#), "/user~1Id");
        for body in ["", "[1", "[1]]", "{\"batch\":[}", "{}{}", "\"a"] {
            assert_eq!(problem(body), "malformed_json", "{body}");
        }
        assert_eq!(problem(&"[".repeat(10_000)), "too_deep");
    }
}

//! `POST /api/events`: events in, durable when answered.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::fault::Fault;
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde::Serialize;
use warp::reply::Response;

use crate::api::Api;
use crate::body::Media;
use crate::idempotency::{self, Begun, Kept, Reservation};
use crate::json::{self, Scan};
use crate::ndjson;
use crate::problem::{Problem, Progress};
use crate::reply;
use crate::route::{Answer, Call, Route, Side};

const PATH: &str = "/api/events";

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::POST, PATH, Side::Ingestion, |api, call| Box::pin(post(api, call)))];

/// What a `batch` may have beside it; the Segment libraries send these.
const BESIDE_BATCH: [&[u8]; 7] =
    [b"batch", b"context", b"integrations", b"messageId", b"sentAt", b"timestamp", b"writeKey"];

thread_local! {
    static DECODER: RefCell<EventDecoder> = RefCell::new(EventDecoder::new());
}

/// An event that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Rejected {
    /// Its place in the request, from 0.
    pub(crate) index: usize,
    /// Into the event.
    pub(crate) pointer: String,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// Events decoded, one record behind the other.
#[derive(Default)]
pub(crate) struct Decoded {
    pub(crate) records: Vec<u8>,
    pub(crate) count: usize,
    pub(crate) rejected: Vec<Rejected>,
}

impl Decoded {
    /// Decodes one event more.
    pub(crate) fn push(&mut self, event: &[u8], index: usize, defaults: &EventDefaults) {
        let start = self.records.len();
        let decoded = DECODER.with_borrow_mut(|decoder| decoder.decode(event, defaults, &mut self.records));
        match decoded {
            Ok(()) => self.count += 1,
            Err(fault) => {
                self.records.truncate(start);
                let (pointer, code, message) = (fault.pointer, fault.code, fault.message);
                self.rejected.push(Rejected { index, pointer, code, message });
            }
        }
    }

    /// Hands the records to the platform and counts the outcome.
    pub(crate) fn ingest(self, api: &Api) -> Result<Progress, Problem> {
        let Decoded { records, count, rejected } = self;
        if count > 0 {
            api.platform.events.ingest(records, count)?;
        }
        api.metrics.events(count, rejected.iter().map(|rejected| rejected.code));
        Ok(Progress { accepted: count, rejected })
    }
}

/// Where the events of a body are.
pub(crate) struct Layout {
    pub(crate) events: Vec<Range<usize>>,
    /// The pointer to the list; `None` where the body is one event.
    list: Option<&'static str>,
}

impl Layout {
    fn single(event: Range<usize>) -> Self {
        Layout { events: std::iter::once(event).collect(), list: None }
    }

    fn pointer(&self, rejected: &Rejected) -> String {
        match self.list {
            Some(list) => format!("{list}/{}{}", rejected.index, rejected.pointer),
            None => rejected.pointer.clone(),
        }
    }
}

async fn post(api: Arc<Api>, call: Call) -> Answer {
    let media = Media::of(&call.headers, &[Media::Json, Media::Ndjson])?;
    let key = idempotency::key(&call.headers)?.map(str::to_owned);
    if media == Media::Ndjson && key.is_none() {
        return ndjson::stream(api, call).await;
    }
    let body = api.body(&call.headers, call.body).await?;
    api.blocking(move |api| once(api, key.as_deref(), media, &body)).await
}

/// Carries out a body, or gives the answer that its key has.
fn once(api: &Api, key: Option<&str>, media: Media, body: &Bytes) -> Answer {
    let mut reservation = None;
    if let Some(key) = key {
        match api.idempotency.begin(PATH, key, idempotency::fingerprint(media.name(), body))? {
            Begun::Again(kept) => return Ok(kept.again()),
            Begun::First(first) => reservation = Some(first),
        }
    }
    let outcome = if media == Media::Ndjson { ndjson::accept(api, body) } else { accept(api, body) };
    Ok(keep(outcome, reservation))
}

/// Carries out a JSON body.
fn accept(api: &Api, body: &Bytes) -> Result<Progress, Problem> {
    let limit = api.options.max_events;
    let layout = layout(body, limit).map_err(|fault| fault.unwrap_or_else(|scan| json::scan_problem(body, scan)))?;
    if layout.events.is_empty() {
        return Err(Problem::bad_request("no_events", "there is no event in the list"));
    }
    if layout.events.len() > limit {
        let detail = format!("a list holds at most {limit} events; NDJSON has no such limit");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_events", detail));
    }
    let defaults = EventDefaults { accepted_at: (api.options.clock)() };
    let mut decoded = Decoded { records: Vec::with_capacity(body.len()), ..Decoded::default() };
    for (index, range) in layout.events.iter().enumerate() {
        decoded.push(&body[range.clone()], index, &defaults);
    }
    if !decoded.rejected.is_empty() {
        // A body that is no JSON is refused as a whole.
        json::malformed(body).map_or(Ok(()), Err)?;
    }
    let progress = decoded.ingest(api)?;
    conclude(progress, |rejected| layout.pointer(rejected))
}

/// The outcome: 400 where nothing was accepted.
pub(crate) fn conclude(progress: Progress, pointer: impl Fn(&Rejected) -> String) -> Result<Progress, Problem> {
    if progress.accepted > 0 {
        return Ok(progress);
    }
    let fault = |rejected: &Rejected| Fault {
        pointer: pointer(rejected),
        code: rejected.code,
        message: rejected.message.clone(),
    };
    let mut problem = Problem::invalid(progress.rejected.iter().map(fault).collect());
    if problem.errors.len() != 1 {
        problem.detail = format!("none of the {} events is acceptable", problem.errors.len());
    }
    Err(problem.after(0, progress.rejected))
}

/// Finds the events of a body: one, a list, or `{"batch": […]}`.
fn layout(body: &[u8], limit: usize) -> Result<Layout, Result<Problem, Scan>> {
    let start = json::skip_space(body, 0);
    let mut events = Vec::new();
    if body.get(start) == Some(&b'[') {
        let end = json::elements(body, start, limit, &mut events).map_err(Err)?;
        json::at_end(body, end).map_err(Err)?;
        return Ok(Layout { events, list: Some("") });
    }
    if body.get(start) != Some(&b'{') {
        let end = json::value_end(body, start).map_err(Err)?;
        json::at_end(body, end).map_err(Err)?;
        return Ok(Layout::single(start..end));
    }
    let (members, end) = json::members(body, start).map_err(Err)?;
    json::at_end(body, end).map_err(Err)?;
    let Some(batch) = members.iter().find(|member| &body[member.key.clone()] == b"batch") else {
        return Ok(Layout::single(start..end));
    };
    let stranger = members.iter().find(|member| !BESIDE_BATCH.contains(&&body[member.key.clone()]));
    if let Some(stranger) = stranger {
        let name = String::from_utf8_lossy(&body[stranger.key.clone()]).replace('~', "~0").replace('/', "~1");
        let message = "a body with a batch is no event itself";
        return Err(Ok(Problem::fault(format!("/{name}"), "unknown_key", message)));
    }
    if body.get(batch.value.start) != Some(&b'[') {
        return Err(Ok(Problem::fault("/batch", "wrong_type", "batch is a list of events")));
    }
    json::elements(body, batch.value.start, limit, &mut events).map_err(Err)?;
    Ok(Layout { events, list: Some("/batch") })
}

/// The answer of an outcome. It is kept where it would be the same if all were done again; a key whose request may yet
/// succeed is set free.
fn keep(outcome: Result<Progress, Problem>, reservation: Option<Reservation>) -> Response {
    let kept = match &outcome {
        Ok(progress) => Some(Kept {
            status: StatusCode::ACCEPTED,
            media: "application/json",
            headers: Vec::new(),
            body: reply::to_json(progress).into(),
        }),
        Err(problem) if problem.status == StatusCode::BAD_REQUEST => {
            let (status, body) = (problem.status, problem.to_json().into());
            Some(Kept { status, media: "application/problem+json", headers: Vec::new(), body })
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

/// 202.
pub(crate) fn accepted(progress: &Progress) -> Response {
    reply::json(StatusCode::ACCEPTED, progress)
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

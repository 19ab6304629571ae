//! Events on their way from a body to the platform.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use audience_protocol::{RECENT_EVENTS, RefusedEvent, RefusedMessage};
use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::fault::Fault;
use audience_rules::placeholders::Placeholders;
use audience_rules::zone::ZoneId;
use hyper::StatusCode;
use warp::reply::Response;

use crate::api::Api;
use crate::limits::RequestLimits;
use crate::problem::Problem;
use crate::progress::{IngestProgress, RejectedEvent};
use crate::reply;

/// The door that events of this API come through.
const DOOR: &str = "HTTP";

thread_local! {
    static DECODER: RefCell<EventDecoder> = RefCell::new(EventDecoder::new());
}

/// Decoded events, one record after the other.
pub(crate) struct DecodedEvents {
    placeholders: Arc<Placeholders>,
    /// The zone of times without an offset.
    pub(crate) zone: ZoneId,
    pub(crate) records: Vec<u8>,
    pub(crate) count: usize,
    pub(crate) rejected: Vec<RejectedEvent>,
    /// The newest that were refused, for those who look on.
    refused: VecDeque<RefusedEvent>,
    /// The path whose refused messages are kept, and these.
    kept: Option<(&'static str, Vec<RefusedMessage>)>,
}

impl DecodedEvents {
    /// Nothing yet, with room for the records of a body of so many bytes.
    pub(crate) fn with_capacity(api: &Api, bytes: usize) -> DecodedEvents {
        DecodedEvents::in_zone(api.platform.events.zone(), api.options.placeholders.clone(), bytes)
    }

    /// The same, in the zone of times without an offset, and with the words that are no ids.
    pub(crate) fn in_zone(zone: ZoneId, placeholders: Arc<Placeholders>, bytes: usize) -> DecodedEvents {
        DecodedEvents {
            placeholders,
            zone,
            records: Vec::with_capacity(bytes),
            count: 0,
            rejected: Vec::new(),
            refused: VecDeque::new(),
            kept: None,
        }
    }

    /// The same, of messages to a path whose senders look at no fault: those that are refused are kept whole.
    pub(crate) fn keeping(self, path: &'static str) -> DecodedEvents {
        DecodedEvents { kept: Some((path, Vec::new())), ..self }
    }

    /// Decodes one event more, or gives the fault that it has.
    pub(crate) fn decode(&mut self, event: &[u8], defaults: &EventDefaults) -> Result<(), Fault> {
        let start = self.records.len();
        let decoded = DECODER.with_borrow_mut(|decoder| {
            decoder.set_placeholders(&self.placeholders);
            decoder.set_zone(self.zone);
            decoder.decode(event, defaults, &mut self.records)
        });
        match decoded {
            Ok(()) => self.count += 1,
            Err(_) => self.records.truncate(start),
        }
        decoded
    }

    /// Refuses an event, which is shown as it was sent.
    pub(crate) fn refuse(&mut self, event: &[u8], index: usize, defaults: &EventDefaults, fault: Fault) {
        if let Some((path, kept)) = &mut self.kept {
            kept.push(RefusedMessage::new(defaults.accepted_at, path, event, fault.clone()));
        }
        if self.refused.len() == RECENT_EVENTS {
            self.refused.pop_front();
        }
        self.refused.push_back(RefusedEvent::new(defaults.accepted_at, DOOR, event, fault.clone()));
        let Fault { pointer, code, message } = fault;
        self.rejected.push(RejectedEvent { index, pointer, code, message });
    }

    /// Hands the records to the platform and counts the outcome. Beyond the quota of events nothing is handed over.
    pub(crate) fn ingest(self, api: &Api) -> Result<IngestProgress, Problem> {
        RequestLimits::of_events(api, self.count)?;
        self.ingest_by(api, |records, count| api.platform.events.ingest(records, count))
    }

    /// The same, counted by the quota already, and handed over in a way of its own.
    pub(crate) fn ingest_by(
        self,
        api: &Api,
        hand_over: impl FnOnce(Vec<u8>, usize) -> audience_protocol::Result<()>,
    ) -> Result<IngestProgress, Problem> {
        let DecodedEvents { records, count, rejected, refused, kept, .. } = self;
        if count > 0 {
            hand_over(records, count)?;
        }
        // After the others are durable: whoever tries all of it again repeats nothing of this list.
        if let Some((_, kept)) = kept {
            api.platform.events.keep_refused(&kept)?;
        }
        if !rejected.is_empty() {
            api.platform.events.note_refused(refused.into(), rejected.len());
        }
        api.metrics.events(count, rejected.iter().map(|rejected| rejected.code));
        Ok(IngestProgress { accepted: count, rejected })
    }
}

/// Shows a body that is refused as a whole among the events that are.
pub(crate) fn note_refused_body(api: &Api, body: &[u8], problem: &Problem) {
    let refused = RefusedEvent::new((api.options.clock)(), DOOR, body, whole_fault(problem));
    api.platform.events.note_refused(vec![refused], 1);
}

/// The same for a body to a path whose refused messages are kept.
pub(crate) fn keep_refused_body(api: &Api, path: &str, body: &[u8], problem: &Problem) {
    note_refused_body(api, body, problem);
    let fault = whole_fault(problem);
    let refused = RefusedMessage::new((api.options.clock)(), path, body, fault);
    if let Err(error) = api.platform.events.keep_refused(&[refused]) {
        tracing::warn!(%error, path, "a refused body could not be kept");
    }
}

/// The fault of a body that is refused as a whole.
fn whole_fault(problem: &Problem) -> Fault {
    match problem.errors.first() {
        Some(fault) => fault.clone(),
        None => Fault::whole(problem.code, problem.detail.clone()),
    }
}

/// The outcome: 400 where nothing was accepted.
pub(crate) fn conclude(
    progress: IngestProgress,
    pointer: impl Fn(&RejectedEvent) -> String,
) -> Result<IngestProgress, Problem> {
    if progress.accepted > 0 {
        return Ok(progress);
    }
    let fault = |rejected: &RejectedEvent| Fault {
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

/// 202.
pub(crate) fn accepted(progress: &IngestProgress) -> Response {
    reply::json(StatusCode::ACCEPTED, progress)
}

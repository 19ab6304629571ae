//! Events on their way from a body to the platform.

use std::cell::RefCell;

use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::fault::Fault;
use hyper::StatusCode;
use warp::reply::Response;

use crate::api::Api;
use crate::problem::Problem;
use crate::progress::{IngestProgress, RejectedEvent};
use crate::reply;

thread_local! {
    static DECODER: RefCell<EventDecoder> = RefCell::new(EventDecoder::new());
}

/// Decoded events, one record after the other.
#[derive(Default)]
pub(crate) struct DecodedEvents {
    pub(crate) records: Vec<u8>,
    pub(crate) count: usize,
    pub(crate) rejected: Vec<RejectedEvent>,
}

impl DecodedEvents {
    /// Decodes one event more.
    pub(crate) fn push(&mut self, event: &[u8], index: usize, defaults: &EventDefaults) {
        let start = self.records.len();
        let decoded = DECODER.with_borrow_mut(|decoder| decoder.decode(event, defaults, &mut self.records));
        match decoded {
            Ok(()) => self.count += 1,
            Err(fault) => {
                self.records.truncate(start);
                let (pointer, code, message) = (fault.pointer, fault.code, fault.message);
                self.rejected.push(RejectedEvent { index, pointer, code, message });
            }
        }
    }

    /// Hands the records to the platform and counts the outcome.
    pub(crate) fn ingest(self, api: &Api) -> Result<IngestProgress, Problem> {
        let DecodedEvents { records, count, rejected } = self;
        if count > 0 {
            api.platform.events.ingest(records, count)?;
        }
        api.metrics.events(count, rejected.iter().map(|rejected| rejected.code));
        Ok(IngestProgress { accepted: count, rejected })
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

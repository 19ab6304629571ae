//! Progress of a request with many events.

use serde::Serialize;

/// Progress of a request with many events.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct IngestProgress {
    pub(crate) accepted: usize,
    pub(crate) rejected: Vec<RejectedEvent>,
}

/// An event that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RejectedEvent {
    /// Its place in the request, from 0.
    pub(crate) index: usize,
    /// Into the event.
    pub(crate) pointer: String,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

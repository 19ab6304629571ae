//! Occurrences that have a log line and a metric. Each is one struct, whose `emit` gives both together.

use audience_contract::StoreError;
use prometheus_client::metrics::counter::Counter;

use crate::metrics::SinkMetrics;
use crate::sinks::error::FollowError;

/// A sink did not take membership changes.
pub(crate) struct SinkFailed<'a> {
    pub sink: &'a str,
    pub error: &'a FollowError,
}

impl SinkFailed<'_> {
    pub(crate) fn emit(self, metrics: &SinkMetrics) {
        let SinkFailed { sink, error } = self;
        metrics.failed(sink);
        tracing::error!(sink, %error, "The sink does not take membership changes");
    }
}

/// The store of notes did not take sizes of segments.
pub(crate) struct SizesNotNoted<'a> {
    pub error: &'a StoreError,
}

impl SizesNotNoted<'_> {
    pub(crate) fn emit(self, store_errors: &Counter) {
        store_errors.inc();
        tracing::error!(error = %self.error, "Sizes of segments could not be noted; the next round retries");
    }
}

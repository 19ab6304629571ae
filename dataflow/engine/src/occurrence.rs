//! Occurrences that have a log line and a metric. Each is one struct, whose `emit` gives both together.

use std::time::Duration;

use audience_contract::{Gap, StoreError};

use crate::engine::error::EngineError;
use crate::intake::source_metrics::SourceMetrics;
use crate::metrics::Metrics;

/// The change log did not take the changes of a tick.
pub(crate) struct CommitFailed<'a> {
    pub error: &'a StoreError,
}

impl CommitFailed<'_> {
    pub(crate) fn emit(self, metrics: &Metrics) {
        metrics.store_failed();
        tracing::error!(error = %self.error, "The change log does not take changes, and the commit is retried");
    }
}

/// A checkpoint was finished.
pub(crate) struct CheckpointTaken {
    pub number: u64,
    pub bytes: u64,
    /// Every shard has the events below this.
    pub sequence: u64,
    pub took: Duration,
}

impl CheckpointTaken {
    pub(crate) fn emit(self, metrics: &Metrics) {
        let CheckpointTaken { number, bytes, sequence, took } = self;
        metrics.checkpoint_done(bytes, took);
        tracing::info!(checkpoint = number, bytes, sequence, ?took, "A checkpoint was taken");
    }
}

/// A checkpoint was given up.
pub(crate) struct CheckpointGivenUp<'a> {
    pub error: &'a EngineError,
}

impl CheckpointGivenUp<'_> {
    pub(crate) fn emit(self, metrics: &Metrics) {
        metrics.store_failed();
        metrics.checkpoint_failed();
        tracing::error!(error = %self.error, "The checkpoint was given up; the one before stays");
    }
}

/// A start could not read which checkpoints there are.
pub(crate) struct CheckpointsUnreadable<'a> {
    pub error: &'a StoreError,
}

impl CheckpointsUnreadable<'_> {
    pub(crate) fn emit(self, metrics: &Metrics) {
        metrics.checkpoint_failed();
        tracing::error!(error = %self.error, "The checkpoints cannot be read, and the start uses the whole log");
    }
}

/// A start passed over a damaged checkpoint.
pub(crate) struct CheckpointPassedOver<'a> {
    pub number: u64,
    pub error: &'a EngineError,
}

impl CheckpointPassedOver<'_> {
    pub(crate) fn emit(self, metrics: &Metrics) {
        metrics.checkpoint_passed_over();
        let CheckpointPassedOver { number, error } = self;
        tracing::error!(checkpoint = number, %error, "The checkpoint is damaged, and the start uses an older one");
    }
}

/// The catalogue did not forget members of lists that were replaced.
pub(crate) struct ListsKept<'a> {
    pub error: &'a StoreError,
}

impl ListsKept<'_> {
    pub(crate) fn emit(self, metrics: &Metrics) {
        metrics.store_failed();
        tracing::error!(error = %self.error, "The catalogue does not forget replaced lists yet; the next checkpoint retries");
    }
}

/// An edit is in force.
pub(crate) struct EditInForce {
    pub version: u64,
    /// The time that the comparison with the rules in force took.
    pub compared: Duration,
    pub took: Duration,
}

impl EditInForce {
    pub(crate) fn emit(self, metrics: &Metrics) {
        let EditInForce { version, compared, took } = self;
        metrics.edit_done(took);
        tracing::debug!(version, ?compared, in_force = ?took, "The edit is in force");
    }
}

/// A source cannot be read.
pub(crate) struct SourceFailed<'a> {
    pub source: &'a str,
    pub error: &'a dyn std::error::Error,
}

impl SourceFailed<'_> {
    pub(crate) fn emit(self, metrics: &SourceMetrics) {
        let SourceFailed { source, error } = self;
        metrics.source_failed(source);
        tracing::error!(source, %error, "The source cannot be read");
    }
}

/// Messages of a source were gone before they were read.
pub(crate) struct MessagesLost<'a> {
    pub source: &'a str,
    pub gap: &'a Gap,
}

impl MessagesLost<'_> {
    pub(crate) fn emit(self, metrics: &SourceMetrics) {
        let Gap { partition, wanted, resumed } = *self.gap;
        metrics.lost(self.source, resumed.saturating_sub(wanted));
        tracing::error!(source = self.source, partition, wanted, resumed, "Messages of the source are lost");
    }
}

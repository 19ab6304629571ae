//! What sources and sinks tell of themselves.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabel {
    sink: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabel {
    source: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    source: String,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabel {
    source: String,
    partition: u32,
}

/// What sources and sinks tell of themselves.
pub struct ConnectorMetrics {
    messages: Family<SourceLabel, Counter>,
    refused: Family<ReasonLabel, Counter>,
    lost: Family<SourceLabel, Counter>,
    source_errors: Family<SourceLabel, Counter>,
    lag: Family<PartitionLabel, Gauge>,
    changes: Family<SinkLabel, Counter>,
    writes: Family<SinkLabel, Histogram>,
    sink_errors: Family<SinkLabel, Counter>,
    behind: Family<SinkLabel, Gauge>,
    behind_events: Family<SinkLabel, Gauge>,
    behind_users: Family<SinkLabel, Gauge>,
}

impl ConnectorMetrics {
    /// In the registry of all figures.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = ConnectorMetrics {
            messages: Family::default(),
            refused: Family::default(),
            lost: Family::default(),
            source_errors: Family::default(),
            lag: Family::default(),
            changes: Family::default(),
            writes: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 16))),
            sink_errors: Family::default(),
            behind: Family::default(),
            behind_events: Family::default(),
            behind_users: Family::default(),
        };
        registry.register("source_messages", "Messages read from a source", metrics.messages.clone());
        let refused = "Messages that were no events and went to the dead letters";
        registry.register("source_messages_refused", refused, metrics.refused.clone());
        let lost = "Offsets of a source that were passed over because their messages were gone before they were read";
        registry.register("source_messages_lost", lost, metrics.lost.clone());
        registry.register("source_errors", "Faults of a source, each tried again", metrics.source_errors.clone());
        let lag = "Messages of a partition that are not read yet";
        registry.register("source_lag_messages", lag, metrics.lag.clone());
        registry.register(
            "sink_changes",
            "Membership changes, sizes of segments or profiles of users written to a sink",
            metrics.changes.clone(),
        );
        let writes = "How long writes to a sink took";
        registry.register_with_unit("sink_write", writes, Unit::Seconds, metrics.writes.clone());
        registry.register("sink_errors", "Faults of a sink, each tried again", metrics.sink_errors.clone());
        let behind = "Ticks that are committed and not written to a sink yet";
        registry.register("sink_lag_ticks", behind, metrics.behind.clone());
        let events = "Accepted events that the profiles of a sink do not have yet";
        registry.register("sink_lag_events", events, metrics.behind_events.clone());
        let users = "Users whom a sink that goes through all profiles has not come to yet";
        registry.register("sink_lag_users", users, metrics.behind_users.clone());
        metrics
    }

    /// Messages were made durable; each of `reasons` is of one that was no event.
    pub fn read<'a>(&self, source: &str, messages: usize, reasons: impl Iterator<Item = &'a str>) {
        let source = source.to_owned();
        self.messages.get_or_create(&SourceLabel { source: source.clone() }).inc_by(messages as u64);
        for reason in reasons {
            self.refused.get_or_create(&ReasonLabel { source: source.clone(), reason: reason.to_owned() }).inc();
        }
    }

    /// Messages were gone before they were read, and are passed over.
    pub fn lost(&self, source: &str, messages: u64) {
        self.lost.get_or_create(&SourceLabel { source: source.to_owned() }).inc_by(messages);
    }

    /// A source could not be read.
    pub fn source_failed(&self, source: &str) {
        self.source_errors.get_or_create(&SourceLabel { source: source.to_owned() }).inc();
    }

    /// How far the partitions of a source are behind.
    pub fn lag(&self, source: &str, partitions: &[(u32, u64)]) {
        for (partition, messages) in partitions {
            let label = PartitionLabel { source: source.to_owned(), partition: *partition };
            self.lag.get_or_create(&label).set(i64::try_from(*messages).unwrap_or(i64::MAX));
        }
    }

    /// Changes, sizes or profiles were written to a sink.
    pub fn written(&self, sink: &str, changes: usize, took: Duration) {
        let label = SinkLabel { sink: sink.to_owned() };
        self.changes.get_or_create(&label).inc_by(changes as u64);
        self.writes.get_or_create(&label).observe(took.as_secs_f64());
    }

    /// A sink could not be written.
    pub fn sink_failed(&self, sink: &str) {
        self.sink_errors.get_or_create(&SinkLabel { sink: sink.to_owned() }).inc();
    }

    /// The profiles of a sink are so many events behind, and of all users so many are yet to be gone through.
    pub fn profiles_behind(&self, sink: &str, events: u64, users: u64) {
        for (family, number) in [(&self.behind_events, events), (&self.behind_users, users)] {
            let gauge = family.get_or_create(&SinkLabel { sink: sink.to_owned() });
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }

    /// So many ticks are committed that a sink does not have.
    pub fn behind(&self, sink: &str, ticks: u64) {
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
        self.behind.get_or_create(&SinkLabel { sink: sink.to_owned() }).set(ticks);
    }
}

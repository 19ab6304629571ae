//! Metrics of sources.

use audience_rules::event::event_code;
use audience_rules::fault::code;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabel {
    source: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceReasonLabel {
    source: String,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabel {
    source: String,
    partition: u32,
}

/// Metrics of sources, by name. Clones are the same.
#[derive(Clone)]
pub(crate) struct SourceMetrics {
    messages: Family<SourceLabel, Counter>,
    refused: Family<SourceReasonLabel, Counter>,
    dead_letters: Family<SourceLabel, Counter>,
    lost: Family<SourceLabel, Counter>,
    source_errors: Family<SourceLabel, Counter>,
    lag: Family<PartitionLabel, Gauge>,
}

impl SourceMetrics {
    /// Registers the metrics.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = SourceMetrics {
            messages: Family::default(),
            refused: Family::default(),
            dead_letters: Family::default(),
            lost: Family::default(),
            source_errors: Family::default(),
            lag: Family::default(),
        };
        registry.register("source_messages", "Messages read from a source", metrics.messages.clone());
        let refused = "Messages that were no events and went to the dead letters";
        registry.register("source_messages_refused", refused, metrics.refused.clone());
        let dead = "Messages that went to the dead letters, whatever the reason";
        registry.register("source_dead_letters", dead, metrics.dead_letters.clone());
        let lost = "Offsets of a source that were passed over because their messages were gone before they were read";
        registry.register("source_messages_lost", lost, metrics.lost.clone());
        registry.register("source_errors", "Faults of a source, each tried again", metrics.source_errors.clone());
        let lag = "Messages of a partition that are not read yet";
        registry.register("source_lag_messages", lag, metrics.lag.clone());
        metrics
    }

    /// Shows a source with nothing counted. The first increase of a series that springs into being is not seen.
    pub(crate) fn show(&self, source: &str) {
        let label = SourceLabel { source: source.to_owned() };
        for counters in [&self.messages, &self.dead_letters, &self.lost, &self.source_errors] {
            drop(counters.get_or_create(&label));
        }
        for reason in [event_code::MALFORMED_JSON, event_code::TOO_LARGE, code::MISSING_MEMBER, code::WRONG_TYPE] {
            let label = SourceReasonLabel { source: source.to_owned(), reason: reason.to_owned() };
            drop(self.refused.get_or_create(&label));
        }
    }

    /// Messages were made durable; each of `reasons` is of one that was no event.
    pub(crate) fn read<'a>(&self, source: &str, messages: usize, reasons: impl Iterator<Item = &'a str>) {
        let source = source.to_owned();
        self.messages.get_or_create(&SourceLabel { source: source.clone() }).inc_by(messages as u64);
        for reason in reasons {
            self.dead_letters.get_or_create(&SourceLabel { source: source.clone() }).inc();
            self.refused.get_or_create(&SourceReasonLabel { source: source.clone(), reason: reason.to_owned() }).inc();
        }
    }

    /// Messages were gone before they were read, and are passed over.
    pub(crate) fn lost(&self, source: &str, messages: u64) {
        self.lost.get_or_create(&SourceLabel { source: source.to_owned() }).inc_by(messages);
    }

    /// A source could not be read.
    pub(crate) fn source_failed(&self, source: &str) {
        self.source_errors.get_or_create(&SourceLabel { source: source.to_owned() }).inc();
    }

    /// The lag of a source's partitions.
    pub(crate) fn lag(&self, source: &str, partitions: &[(u32, u64)]) {
        for (partition, messages) in partitions {
            let label = PartitionLabel { source: source.to_owned(), partition: *partition };
            self.lag.get_or_create(&label).set(i64::try_from(*messages).unwrap_or(i64::MAX));
        }
    }
}

//! Metrics of sinks.

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

/// Metrics of sinks, and of stores of sizes and profiles, by name. Clones count the same.
#[derive(Clone)]
pub struct SinkMetrics {
    changes: Family<SinkLabel, Counter>,
    writes: Family<SinkLabel, Histogram>,
    errors: Family<SinkLabel, Counter>,
    up: Family<SinkLabel, Gauge>,
    wrong: Family<SinkLabel, Counter>,
    lag_ticks: Family<SinkLabel, Gauge>,
    lag_events: Family<SinkLabel, Gauge>,
    lag_users: Family<SinkLabel, Gauge>,
}

impl SinkMetrics {
    /// Registers the metrics.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = SinkMetrics {
            changes: Family::default(),
            writes: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 16))),
            errors: Family::default(),
            up: Family::default(),
            wrong: Family::default(),
            lag_ticks: Family::default(),
            lag_events: Family::default(),
            lag_users: Family::default(),
        };
        registry.register(
            "sink_changes",
            "Membership changes, sizes of segments or profiles of users written to a sink",
            metrics.changes.clone(),
        );
        let writes = "Duration of a write to a sink";
        registry.register_with_unit("sink_write", writes, Unit::Seconds, metrics.writes.clone());
        registry.register("sink_errors", "Faults of a sink, each retried", metrics.errors.clone());
        let up = "Whether a sink takes membership changes and holds them: 1, or 0 while it is away or being filled";
        registry.register("sink_up", up, metrics.up.clone());
        let wrong = "Records of users that were missing in a sink, or other than they were written, and were repaired";
        registry.register("sink_wrong_records", wrong, metrics.wrong.clone());
        let ticks = "Ticks that are committed and not yet written to a sink";
        registry.register("sink_lag_ticks", ticks, metrics.lag_ticks.clone());
        let events = "Accepted events that the profiles of a sink do not have yet";
        registry.register("sink_lag_events", events, metrics.lag_events.clone());
        let users = "Users that a sink's pass over all profiles has not reached yet";
        registry.register("sink_lag_users", users, metrics.lag_users.clone());
        metrics
    }

    /// Shows a sink with nothing counted. The first increase of a series that springs into being is not seen.
    pub fn show(&self, sink: &str) {
        drop(self.changes.get_or_create(&label(sink)));
        drop(self.errors.get_or_create(&label(sink)));
        drop(self.wrong.get_or_create(&label(sink)));
    }

    /// Counts changes, sizes or profiles that were written to a sink.
    pub fn written(&self, sink: &str, changes: usize, took: Duration) {
        self.changes.get_or_create(&label(sink)).inc_by(changes as u64);
        self.writes.get_or_create(&label(sink)).observe(took.as_secs_f64());
    }

    /// Counts a fault of a sink.
    pub fn failed(&self, sink: &str) {
        self.errors.get_or_create(&label(sink)).inc();
    }

    /// Counts records of a sink that were found wrong.
    pub fn found_wrong(&self, sink: &str, records: u64) {
        self.wrong.get_or_create(&label(sink)).inc_by(records);
    }

    /// Sets whether a sink takes what is written to it.
    pub fn set_up(&self, sink: &str, is_up: bool) {
        set(&self.up, sink, is_up.into());
    }

    /// Sets the lag of a sink in ticks.
    pub fn set_lag_ticks(&self, sink: &str, ticks: u64) {
        set(&self.lag_ticks, sink, ticks);
    }

    /// Sets the lag of a store of profiles: in events, and in users that a pass over all is yet to reach.
    pub fn set_profile_lag(&self, sink: &str, events: u64, users: u64) {
        set(&self.lag_events, sink, events);
        set(&self.lag_users, sink, users);
    }
}

fn label(sink: &str) -> SinkLabel {
    SinkLabel { sink: sink.to_owned() }
}

fn set(gauges: &Family<SinkLabel, Gauge>, sink: &str, number: u64) {
    gauges.get_or_create(&label(sink)).set(i64::try_from(number).unwrap_or(i64::MAX));
}

//! The metrics of the platform.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use audience_background::clock::{self, ClockState};
use audience_catalogue::{CATALOGUE_ERRORS, CATALOGUE_WENT_BACK};
use audience_emit::{SinkMetrics, WebhookMetrics};
use audience_protocol::CheckpointFigures;
use audience_protocol::PlatformError;
use audience_rules::ast::Millis;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::intake::source_metrics::SourceMetrics;
use crate::standby::figures::StandbyMetrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SegmentLabel {
    segment: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabel {
    change: &'static str,
}

/// The figures that are looked up when metrics are asked for.
pub(crate) struct FigureSnapshot {
    /// The segments with their sizes.
    pub sizes: Vec<(String, u64)>,
    /// Users that are known.
    pub users: u64,
    /// Accepted events that wait for a tick.
    pub waiting_events: u64,
    /// Documents of the catalogue that do not run.
    pub faulty_documents: u64,
    /// The number of times that changes of the catalogue could not be read.
    pub catalogue_errors: u64,
    /// The number of times that the catalogue came back older than it was.
    pub catalogue_went_back: u64,
    /// The lag of the last tick's clock.
    pub frontier_lag_seconds: f64,
}

/// The metrics of the platform.
pub(crate) struct Metrics {
    registry: Registry,
    events: Counter,
    identifies_refused: Counter,
    ticks: Counter,
    changes: Family<ChangeLabel, Counter>,
    frontier_lag: Gauge<f64, std::sync::atomic::AtomicU64>,
    clock_ahead: Gauge<f64, std::sync::atomic::AtomicU64>,
    clock_jump: Gauge<f64, std::sync::atomic::AtomicU64>,
    event_latency: Histogram,
    edit_latency: Histogram,
    segment_size: Family<SegmentLabel, Gauge>,
    users: Gauge,
    faulty_documents: Gauge,
    traits_hidden: Gauge,
    catalogue_errors: Counter,
    catalogue_went_back: Counter,
    waiting_events: Gauge,
    store_errors: Counter,
    history_errors: Counter,
    history_lag: Gauge,
    history_oldest: Gauge<f64, std::sync::atomic::AtomicU64>,
    history_alone: Gauge,
    checkpoint_errors: Counter,
    checkpoints_passed_over: Counter,
    checkpoint_bytes: Gauge,
    checkpoint_duration: Gauge<f64, std::sync::atomic::AtomicU64>,
    checkpoint_age: Gauge<f64, std::sync::atomic::AtomicU64>,
    checkpoint_timestamp: Gauge<f64, std::sync::atomic::AtomicU64>,
    last_checkpoint: Mutex<Option<Instant>>,
    audit_fault: Gauge<f64, std::sync::atomic::AtomicU64>,
    /// Metrics of sources.
    pub sources: SourceMetrics,
    /// Metrics of sinks.
    pub sinks: SinkMetrics,
    /// Metrics of webhooks.
    pub webhooks: WebhookMetrics,
    /// Metrics of the standby.
    pub(crate) standby: StandbyMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let latency = || Histogram::new(exponential_buckets(0.001, 2.0, 16));
        let mut registry = Registry::with_prefix("audience");
        let (sources, sinks) = (SourceMetrics::new(&mut registry), SinkMetrics::new(&mut registry));
        let webhooks = WebhookMetrics::new(&mut registry);
        let standby = StandbyMetrics::new(&mut registry);
        let mut metrics = Metrics {
            registry,
            sources,
            sinks,
            webhooks,
            standby,
            events: Counter::default(),
            identifies_refused: Counter::default(),
            ticks: Counter::default(),
            changes: Family::default(),
            frontier_lag: Gauge::default(),
            clock_ahead: Gauge::default(),
            clock_jump: Gauge::default(),
            event_latency: latency(),
            edit_latency: latency(),
            segment_size: Family::default(),
            users: Gauge::default(),
            faulty_documents: Gauge::default(),
            traits_hidden: Gauge::default(),
            catalogue_errors: Counter::default(),
            catalogue_went_back: Counter::default(),
            waiting_events: Gauge::default(),
            store_errors: Counter::default(),
            history_errors: Counter::default(),
            history_lag: Gauge::default(),
            history_oldest: Gauge::default(),
            history_alone: Gauge::default(),
            checkpoint_errors: Counter::default(),
            checkpoints_passed_over: Counter::default(),
            checkpoint_bytes: Gauge::default(),
            checkpoint_duration: Gauge::default(),
            checkpoint_age: Gauge::default(),
            checkpoint_timestamp: Gauge::default(),
            last_checkpoint: Mutex::new(None),
            audit_fault: Gauge::default(),
        };
        metrics.register();
        metrics.register_clock();
        metrics.register_identities();
        metrics.register_audit();
        metrics
    }
}

impl Metrics {
    fn register_clock(&mut self) {
        let registry = &mut self.registry;
        let ahead = "How far time is ahead of the clock of the machine; it stands still until that has caught up";
        registry.register_with_unit("clock_ahead", ahead, Unit::Seconds, self.clock_ahead.clone());
        let jump = "How far the clock of the machine has jumped, where that is not followed yet";
        registry.register_with_unit("clock_jump", jump, Unit::Seconds, self.clock_jump.clone());
    }

    fn register_identities(&mut self) {
        let refused = "`identify` events that merged nobody, since their anonymous id stands for a named user";
        self.registry.register("identifies_refused", refused, self.identifies_refused.clone());
        let hidden = "`identify` traits that a computed trait of the same name hides";
        self.registry.register("traits_hidden", hidden, self.traits_hidden.clone());
    }

    fn register_audit(&mut self) {
        let fault =
            "When the audit log was last found to differ from a checkpoint's digests of it, since 1970; 0 for never";
        self.registry.register_with_unit("audit_fault_timestamp", fault, Unit::Seconds, self.audit_fault.clone());
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("engine_events", "Events that the engine has done", self.events.clone());
        registry.register("engine_ticks", "Ticks that the engine has done", self.ticks.clone());
        registry.register("membership_changes", "Membership changes given out", self.changes.clone());
        registry.register_with_unit(
            "event_to_membership",
            "From the acceptance of the oldest event of a tick to its memberships being committed",
            Unit::Seconds,
            self.event_latency.clone(),
        );
        registry.register_with_unit(
            "rule_edit_to_membership",
            "From the commit of an edit to its memberships being served",
            Unit::Seconds,
            self.edit_latency.clone(),
        );
        let lag = "How far the clock of the last tick done is behind now";
        registry.register_with_unit("frontier_lag", lag, Unit::Seconds, self.frontier_lag.clone());
        registry.register("segment_size", "Members of a segment", self.segment_size.clone());
        registry.register("users", "Users that are known", self.users.clone());
        let faulty = "Documents of the catalogue that are faulty; the version before runs";
        registry.register("catalogue_faulty_documents", faulty, self.faulty_documents.clone());
        registry.register("catalogue_errors", CATALOGUE_ERRORS, self.catalogue_errors.clone());
        registry.register("catalogue_went_back", CATALOGUE_WENT_BACK, self.catalogue_went_back.clone());
        let lag = "Accepted events that wait for a tick";
        registry.register("source_lag_events", lag, self.waiting_events.clone());
        registry.register(
            "store_errors",
            "Writes to a store that failed and were tried again",
            self.store_errors.clone(),
        );
        let errors = "Files of the history that could not be written, each tried again";
        registry.register("history_errors", errors, self.history_errors.clone());
        let lag = "Accepted events that are not in the history yet";
        registry.register("history_lag_events", lag, self.history_lag.clone());
        let oldest = "Age of the oldest accepted event that is not in the history yet";
        registry.register_with_unit("history_oldest", oldest, Unit::Seconds, self.history_oldest.clone());
        let alone = "Accepted events that stand in the history alone, and no more in the data directory";
        registry.register("history_alone_events", alone, self.history_alone.clone());
        let errors = "Checkpoints that were given up, and starts that could not read any";
        registry.register("checkpoint_errors", errors, self.checkpoint_errors.clone());
        let passed_over = "Checkpoints that the start passed over because they are damaged or of an unknown format";
        registry.register("checkpoints_passed_over", passed_over, self.checkpoints_passed_over.clone());
        let size = "Size of the newest checkpoint";
        registry.register_with_unit("checkpoint_size", size, Unit::Bytes, self.checkpoint_bytes.clone());
        let duration = "How long the newest checkpoint took";
        registry.register_with_unit("checkpoint_duration", duration, Unit::Seconds, self.checkpoint_duration.clone());
        let age = "Since the newest checkpoint was finished, in this run";
        registry.register_with_unit("checkpoint_age", age, Unit::Seconds, self.checkpoint_age.clone());
        let timestamp = "Time of the newest checkpoint of this run, since 1970; 0 before the first";
        registry.register_with_unit(
            "checkpoint_timestamp",
            timestamp,
            Unit::Seconds,
            self.checkpoint_timestamp.clone(),
        );
        // From the beginning: the first increase of a series that springs into being is not seen.
        for change in ["entered", "left"] {
            drop(self.changes.get_or_create(&ChangeLabel { change }));
        }
    }

    /// Ticks were committed.
    pub(crate) fn ticks_done(&self, ticks: u64, events: u64, (entered, left): (u64, u64), oldest: Option<Instant>) {
        self.ticks.inc_by(ticks);
        self.events.inc_by(events);
        self.changes.get_or_create(&ChangeLabel { change: "entered" }).inc_by(entered);
        self.changes.get_or_create(&ChangeLabel { change: "left" }).inc_by(left);
        if let Some(oldest) = oldest {
            self.event_latency.observe(oldest.elapsed().as_secs_f64());
        }
    }

    /// So many `identify` events did not merge.
    pub(crate) fn identifies_refused(&self, count: u64) {
        self.identifies_refused.inc_by(count);
    }

    /// Notes how many `identify` traits a computed one hides.
    pub(crate) fn note_hidden_traits(&self, count: usize) {
        self.traits_hidden.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// An edit is served.
    pub(crate) fn edit_done(&self, took: Duration) {
        self.edit_latency.observe(took.as_secs_f64());
    }

    /// The counter of writes to stores that failed.
    pub(crate) fn store_errors(&self) -> Counter {
        self.store_errors.clone()
    }

    /// A write to a store failed.
    pub(crate) fn store_failed(&self) {
        self.store_errors.inc();
    }

    /// A file of the history could not be written.
    pub(crate) fn history_failed(&self) {
        self.history_errors.inc();
    }

    /// Sets the count of accepted events that are in the history alone.
    pub(crate) fn history_alone(&self, events: u64) {
        self.history_alone.set(i64::try_from(events).unwrap_or(i64::MAX));
    }

    /// Sets the count of accepted events that are not in the history yet.
    pub(crate) fn history_lag(&self, events: u64, oldest: Duration) {
        self.history_lag.set(i64::try_from(events).unwrap_or(i64::MAX));
        self.history_oldest.set(oldest.as_secs_f64());
    }

    /// A checkpoint was given up, or none could be read.
    pub(crate) fn checkpoint_failed(&self) {
        self.checkpoint_errors.inc();
    }

    /// A checkpoint was passed over because it is damaged.
    pub(crate) fn checkpoint_passed_over(&self) {
        self.checkpoints_passed_over.inc();
    }

    /// A checkpoint was finished.
    pub(crate) fn checkpoint_done(&self, bytes: u64, took: Duration) {
        self.checkpoint_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.checkpoint_duration.set(took.as_secs_f64());
        self.checkpoint_timestamp.set(clock::now() as f64 / 1000.0);
        *self.last_checkpoint.lock() = Some(Instant::now());
    }

    /// The newest time at which the audit log was found to be other than its digests say, in epoch milliseconds.
    pub(crate) fn audit_fault_found(&self, at: Option<Millis>) {
        self.audit_fault.set(at.map_or(0.0, |at| at as f64 / 1000.0));
    }

    /// Membership changes given out so far.
    pub(crate) fn changes_given(&self) -> u64 {
        ["entered", "left"].into_iter().map(|change| self.changes.get_or_create(&ChangeLabel { change }).get()).sum()
    }

    /// The newest checkpoint of this run.
    pub(crate) fn checkpoint_figures(&self) -> CheckpointFigures {
        let Some(last) = *self.last_checkpoint.lock() else { return CheckpointFigures::default() };
        CheckpointFigures {
            age_seconds: Some(last.elapsed().as_secs_f64()),
            size_bytes: u64::try_from(self.checkpoint_bytes.get()).ok(),
            duration_seconds: Some(self.checkpoint_duration.get()),
        }
    }

    /// The text form, without the closing mark.
    pub(crate) fn encode(&self, snapshot: FigureSnapshot) -> Result<String, PlatformError> {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.segment_size.clear();
        for (segment, size) in snapshot.sizes {
            self.segment_size.get_or_create(&SegmentLabel { segment }).set(whole(size));
        }
        self.users.set(whole(snapshot.users));
        self.faulty_documents.set(whole(snapshot.faulty_documents));
        self.catalogue_errors.inner().store(snapshot.catalogue_errors, Ordering::Relaxed);
        self.catalogue_went_back.inner().store(snapshot.catalogue_went_back, Ordering::Relaxed);
        self.waiting_events.set(whole(snapshot.waiting_events));
        self.frontier_lag.set(snapshot.frontier_lag_seconds);
        let ClockState { ahead, jump } = clock::state();
        self.clock_ahead.set(ahead as f64 / 1000.0);
        self.clock_jump.set(jump as f64 / 1000.0);
        if let Some(last) = *self.last_checkpoint.lock() {
            self.checkpoint_age.set(last.elapsed().as_secs_f64());
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode_registry(&mut text, &self.registry)
            .map_err(|error| PlatformError::Unavailable(error.to_string()))?;
        Ok(text)
    }
}

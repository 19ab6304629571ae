//! The figures of a standby, as its primary knows them.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The lag of a standby.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct StandbyLag {
    /// True if it asks.
    pub is_connected: bool,
    /// True if everything that is given out waits for it, and the lease is known to say so: it may take over.
    pub is_followed: bool,
    /// Accepted events that it does not have.
    pub events: u64,
    /// Their bytes, as far as they were accepted in this run.
    pub bytes: u64,
    /// The age of the oldest of them.
    pub seconds: f64,
}

/// Metrics of a standby.
#[derive(Debug)]
pub(crate) struct StandbyMetrics {
    connected: Gauge,
    followed: Gauge,
    events: Gauge,
    bytes: Gauge,
    seconds: Gauge<f64, AtomicU64>,
    epoch: Gauge,
}

impl StandbyMetrics {
    /// Metrics in a registry, all 0 while there is no standby.
    pub(crate) fn new(registry: &mut Registry) -> StandbyMetrics {
        let metrics = StandbyMetrics {
            connected: Gauge::default(),
            followed: Gauge::default(),
            events: Gauge::default(),
            bytes: Gauge::default(),
            seconds: Gauge::default(),
            epoch: Gauge::default(),
        };
        registry.register("standby_connected", "Whether a standby follows, 1 or 0", metrics.connected.clone());
        let followed = "Whether all that is given out waits for the standby, and the lease is known to say so, 1 or 0";
        registry.register("standby_followed", followed, metrics.followed.clone());
        registry.register("standby_lag_events", "Accepted events that the standby lacks", metrics.events.clone());
        let bytes = "Bytes of the events of this run that the standby lacks";
        registry.register_with_unit("standby_lag", bytes, Unit::Bytes, metrics.bytes.clone());
        let seconds = "Age of the oldest event of this run that the standby lacks";
        registry.register_with_unit("standby_lag", seconds, Unit::Seconds, metrics.seconds.clone());
        registry.register("lease_epoch", "The epoch of the lease; 0 without a lease", metrics.epoch.clone());
        metrics
    }

    /// Sets what is known now.
    pub(crate) fn set(&self, lag: StandbyLag, epoch: u64) {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.connected.set(lag.is_connected.into());
        self.followed.set(lag.is_followed.into());
        self.events.set(whole(lag.events));
        self.bytes.set(whole(lag.bytes));
        self.seconds.set(lag.seconds);
        self.epoch.set(whole(epoch));
    }
}

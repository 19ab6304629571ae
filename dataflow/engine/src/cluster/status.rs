//! How a process that only computes is doing.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use audience_kernel::operator::TickOutput;
use audience_protocol::{ComponentHealth, Health, OperationsResource};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// How a process that only computes is doing: its health and its figures.
pub struct HostStatus {
    registry: Registry,
    runs: Counter,
    ticks: Counter,
    events: Counter,
    changes: Counter,
    users: Gauge<u64, AtomicU64>,
    connected: Gauge,
    /// Users of each worker of this process.
    users_of: Mutex<BTreeMap<usize, u64>>,
    /// Why it computes nothing just now.
    waits: Mutex<Option<&'static str>>,
}

impl Default for HostStatus {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("audience");
        let (runs, ticks, events, changes) =
            (Counter::default(), Counter::default(), Counter::default(), Counter::default());
        let (users, connected) = (Gauge::default(), Gauge::default());
        registry.register("worker_runs", "Runs that this process has taken part in", runs.clone());
        registry.register("worker_ticks", "Ticks done, over all workers of this process", ticks.clone());
        registry.register("worker_events", "Events done by the workers of this process", events.clone());
        registry.register("worker_changes", "Membership changes that they gave out", changes.clone());
        registry.register("worker_users", "Users that they hold", users.clone());
        registry.register("worker_connected", "Whether this process takes part in a run", connected.clone());
        HostStatus {
            registry,
            runs,
            ticks,
            events,
            changes,
            users,
            connected,
            users_of: Mutex::default(),
            waits: Mutex::new(Some("it has not joined the coordinator yet")),
        }
    }
}

impl HostStatus {
    /// Why nothing is computed just now; `None`: a run has begun.
    pub(super) fn waits(&self, reason: Option<&'static str>) {
        *self.waits.lock() = reason;
        self.connected.set(i64::from(reason.is_none()));
        if reason.is_none() {
            self.runs.inc();
            self.users_of.lock().clear();
        }
    }

    /// A worker has done a tick.
    pub(super) fn done(&self, worker: usize, output: &TickOutput) {
        self.ticks.inc();
        self.events.inc_by(output.events);
        self.changes.inc_by(output.change_count);
        let mut users_of = self.users_of.lock();
        users_of.insert(worker, output.users);
        self.users.set(users_of.values().sum());
    }
}

impl OperationsResource for HostStatus {
    fn health(&self) -> Health {
        let waits = *self.waits.lock();
        let engine = ComponentHealth::of_fault(waits.map(str::to_owned));
        Health { ready: waits.is_none(), components: BTreeMap::from([("engine".to_owned(), engine)]) }
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        // Writing into memory does not fail.
        let _ = prometheus_client::encoding::text::encode_registry(&mut text, &self.registry);
        text
    }
}

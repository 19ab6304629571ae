//! Sinks: each is written what the change log says, exactly once or as idempotent upserts, from its own position on.
//!
//! - [`writers`](self::writers): the writers of one sink, one or several side by side, retried after a fault.
//! - [`follow`](self::follow): one writer, from its position to the end of the change log, in pieces.
//! - [`differences`](self::differences): what a sink holds against what it is to hold, where its position leads nowhere.
//! - [`pieces`](self::pieces): the change log in pieces of whole ticks.
//! - [`watch`](self::watch): looks at a store of memberships while nothing is written to it.
//! - [`sweep`](self::sweep), [`repair`](self::repair): a store compared with the memberships, and repaired.
//! - [`snapshot`](self::snapshot): all memberships as of one progress, for a writer that changes cannot bring up to date.

mod differences;
pub(crate) mod error;
mod follow;
mod pieces;
mod repair;
mod round;
mod snapshot;
mod status;
mod sweep;
mod upstream;
mod watch;
mod writers;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::{JobHandle, Runner};
use audience_contract::{ServingStore, SharedSink, Sink};
use parking_lot::Mutex;

pub use self::status::Verification;
use self::status::{Order, SinkStatus};
use self::sweep::Sweep;
pub use self::upstream::Upstream;
use self::writers::{Medium, SinkWriters};

/// How long the end waits for sinks that get nowhere.
const UNMOVED: Duration = Duration::from_secs(4);

/// The condition of a sink or store.
#[derive(Clone, Debug, Default)]
pub struct SinkCondition {
    /// Its name.
    pub name: String,
    /// The fault that keeps it from going on.
    pub fault: Option<String>,
    /// A notice of records that it left out.
    pub notice: Option<String>,
    /// Ticks that are committed and not yet written to it.
    pub lag_ticks: u64,
    /// The comparison with the memberships that was ordered last, where it can be compared.
    pub verification: Option<Verification>,
}

/// All sinks, each with a thread that follows the change log, and the stores of sizes and profiles beside them.
///
/// Sinks do not end with other background work: [`finish`](Self::finish) lets them write everything that is committed.
pub struct Sinks {
    upstream: Arc<Upstream>,
    runner: Runner,
    sinks: Mutex<Vec<Arc<SinkStatus>>>,
    /// Stores of sizes and of profiles, by name.
    stores: Mutex<Vec<(String, JobHandle)>>,
}

impl Sinks {
    /// No sinks yet.
    pub fn new(upstream: Upstream) -> Self {
        let (upstream, runner) = (Arc::new(upstream), Runner::default());
        Sinks { upstream, runner, sinks: Mutex::default(), stores: Mutex::default() }
    }

    /// Starts to emit to a sink that one writer writes, from its position.
    pub fn add(&self, sink: Box<dyn Sink>) -> io::Result<()> {
        self.start(Medium::one(sink))
    }

    /// Starts to emit to a sink that several writers write side by side, each from its position.
    pub fn add_shared(&self, sink: Box<dyn SharedSink>) -> io::Result<()> {
        self.start(Medium::Shared(sink))
    }

    fn start(&self, medium: Medium) -> io::Result<()> {
        let store = medium.store();
        let status = Arc::new(SinkStatus::new(medium.name(), store.is_some()));
        self.upstream.metrics.show(status.name());
        if let Some(store) = store {
            self.look_after(store.into(), &status)?;
        }
        let (upstream, of) = (self.upstream.clone(), status.clone());
        self.runner.start_task(format!("sink {}", status.name()), move |stop| {
            SinkWriters::new(&upstream, &of, medium).run(stop);
            Ok::<(), io::Error>(())
        })?;
        self.sinks.lock().push(status);
        Ok(())
    }

    /// Starts to look at the store of a sink, and to compare it with the memberships.
    fn look_after(&self, store: Arc<dyn ServingStore>, status: &Arc<SinkStatus>) -> io::Result<()> {
        let (looked_at, of) = (store.clone(), status.clone());
        self.runner.start_task(format!("watch {}", status.name()), move |stop| {
            watch::watch(&*looked_at, &of, stop);
            Ok::<(), io::Error>(())
        })?;
        let (upstream, status) = (self.upstream.clone(), status.clone());
        let sweep = self.runner.start_task(format!("sweep {}", status.name()), move |stop| {
            Sweep { upstream: &upstream, status: &status, store: &*store }.run(stop);
            Ok::<(), io::Error>(())
        });
        sweep.map(drop)
    }

    /// Adds the job that writes to a store of sizes or of profiles, so that its faults are reported with those of sinks.
    pub fn add_store(&self, name: String, job: JobHandle) {
        self.stores.lock().push((name, job));
    }

    /// Returns the least tick up to which every sink holds everything, as far as is known; none if there is no sink.
    pub fn least_reached(&self) -> Option<u64> {
        self.sinks.lock().iter().map(|sink| sink.reached().unwrap_or(0)).min()
    }

    /// Returns the condition of each sink and store.
    pub fn conditions(&self) -> Vec<SinkCondition> {
        let newest = self.upstream.emitted.newest().tick;
        let (sinks, stores) = (self.sinks.lock(), self.stores.lock());
        let sinks = sinks.iter().map(|sink| SinkCondition {
            name: sink.name().to_owned(),
            fault: sink.fault(),
            notice: sink.notice(),
            lag_ticks: newest.saturating_sub(sink.reached().unwrap_or(0)),
            verification: sink.can_be_verified().then(|| sink.verification()),
        });
        let stores = stores.iter().map(|(name, job)| SinkCondition {
            name: name.clone(),
            fault: job.fault(),
            ..SinkCondition::default()
        });
        sinks.chain(stores).collect()
    }

    /// Returns whether the job of that name writes to a store of sizes or profiles.
    pub fn has_store_job(&self, name: &str) -> bool {
        self.stores.lock().iter().any(|(_, job)| job.name() == name)
    }

    /// Has all records of a sink compared with the memberships and repaired; returns false where no sink of that name can be.
    pub fn verify(&self, name: &str) -> bool {
        self.find(name).map(|sink| sink.order_verification()).is_some()
    }

    /// Has a sink emptied and filled again; returns false where no sink of that name can be.
    pub fn rebuild(&self, name: &str) -> bool {
        self.find(name).map(|sink| sink.order(Order::Rebuild)).is_some()
    }

    fn find(&self, name: &str) -> Option<Arc<SinkStatus>> {
        let sinks = self.sinks.lock();
        sinks.iter().find(|sink| sink.name() == name && sink.can_be_verified()).cloned()
    }

    /// Sets the lag of each sink, and whether it takes what is written to it.
    pub fn observe(&self) {
        let Upstream { emitted, metrics, .. } = &*self.upstream;
        let newest = emitted.newest().tick;
        for sink in self.sinks.lock().iter() {
            metrics.set_up(sink.name(), sink.fault().is_none());
            metrics.set_lag_ticks(sink.name(), newest.saturating_sub(sink.reached().unwrap_or(0)));
        }
    }

    /// Waits until each sink holds everything that is committed. A sink that fails meanwhile, or whose store does not answer, is
    /// given up: it goes on at the next start.
    pub fn finish(&self) {
        self.runner.stop().request();
        let lags = || self.conditions().into_iter().map(|sink| sink.lag_ticks).collect::<Vec<_>>();
        let mut before = lags();
        while !self.runner.wait_ended(Some(Instant::now() + UNMOVED)) {
            let now = lags();
            if now == before {
                tracing::warn!("The stores of some sinks do not answer; these sinks go on at the next start");
                break;
            }
            before = now;
        }
        self.sinks.lock().clear();
    }
}

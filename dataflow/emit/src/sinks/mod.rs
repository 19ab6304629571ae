//! Sinks: each is written what the change log says, exactly once or as idempotent upserts, from its own position on.
//!
//! - [`writers`](self::writers): the writers of one sink, one or several side by side, retried after a fault.
//! - [`follow`](self::follow): one writer, from its position to the end of the change log, in pieces.
//! - [`pieces`](self::pieces): the change log in pieces of whole ticks.
//! - [`snapshot`](self::snapshot): all memberships as of one progress, for a writer that changes cannot bring up to date.

pub(crate) mod error;
mod follow;
mod pieces;
mod round;
mod snapshot;
mod status;
mod upstream;
mod writers;

use std::io;
use std::sync::Arc;

use audience_background::{JobHandle, Runner};
use audience_contract::{SharedSink, Sink};
use parking_lot::Mutex;

use self::status::SinkStatus;
pub use self::upstream::Upstream;
use self::writers::{Medium, SinkWriters};

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
        let status = Arc::new(SinkStatus::new(medium.name()));
        self.upstream.metrics.show(status.name());
        let (upstream, of) = (self.upstream.clone(), status.clone());
        self.runner.start_task(format!("sink {}", status.name()), move |stop| {
            SinkWriters::new(&upstream, &of, medium).run(stop);
            Ok::<(), io::Error>(())
        })?;
        self.sinks.lock().push(status);
        Ok(())
    }

    /// Adds the job that writes to a store of sizes or of profiles, so that its faults are reported with those of sinks.
    pub fn add_store(&self, name: String, job: JobHandle) {
        self.stores.lock().push((name, job));
    }

    /// Returns the least tick up to which every sink holds everything, as far as is known; none if there is no sink.
    pub fn least_reached(&self) -> Option<u64> {
        self.sinks.lock().iter().map(|sink| sink.reached().unwrap_or(0)).min()
    }

    /// Returns each sink and store by name, with its fault if it has one.
    pub fn faults(&self) -> Vec<(String, Option<String>)> {
        let (sinks, stores) = (self.sinks.lock(), self.stores.lock());
        let sinks = sinks.iter().map(|sink| (sink.name().to_owned(), sink.fault()));
        sinks.chain(stores.iter().map(|(name, job)| (name.clone(), job.fault()))).collect()
    }

    /// Sets the lag of each sink.
    pub fn observe(&self) {
        let Upstream { emitted, metrics, .. } = &*self.upstream;
        let newest = emitted.newest().tick;
        for sink in self.sinks.lock().iter() {
            metrics.set_lag_ticks(sink.name(), newest.saturating_sub(sink.reached().unwrap_or(0)));
        }
    }

    /// Waits until each sink holds everything that is committed. A sink that fails meanwhile is given up: it goes on at the
    /// next start.
    pub fn finish(&self) {
        self.runner.stop().request();
        self.runner.wait_ended(None);
        self.sinks.lock().clear();
    }
}

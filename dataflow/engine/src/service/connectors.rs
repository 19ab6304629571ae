//! The sources that feed the platform beside the APIs, and the sinks that follow it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use audience_catalogue::{SegmentUpdates, UpdateSender};
use audience_contract::{Share, SharedSink, Sink};
use parking_lot::Mutex;

use super::connector_metrics::ConnectorMetrics;
use super::feed::{Feeder, FeederStatus, Reader};
use super::runs::Runs;
use super::status::Status;
use super::writers::{FollowerStatus, Medium, SinkWriters};
use super::{Service, named};
use crate::engine::EngineError;

/// Sources and sinks, each on a thread of its own.
pub struct Connectors {
    feeders: Mutex<Vec<Arc<FeederStatus>>>,
    followers: Mutex<Vec<(Arc<FollowerStatus>, JoinHandle<()>)>>,
    /// Stores of sizes and of profiles.
    outside: Mutex<Vec<Arc<Status>>>,
    /// Sends changes of segments.
    pub(super) updates: UpdateSender,
    /// What sinks are told beside the tick that they hold.
    pub(super) runs: Runs,
}

impl Connectors {
    /// None yet.
    pub fn new(runs: Runs) -> Self {
        let (feeders, followers, outside) = (Mutex::default(), Mutex::default(), Mutex::default());
        Connectors { feeders, followers, outside, updates: UpdateSender::default(), runs }
    }

    /// The least tick up to which every sink holds everything, as far as is known; none where there is no sink.
    pub fn least_reached(&self) -> Option<u64> {
        self.followers.lock().iter().map(|(status, _)| status.reached().unwrap_or(0)).min()
    }

    /// By connector, what keeps it from going on, if anything does.
    pub fn faults(&self) -> Vec<(String, Option<String>)> {
        let feeders = self.feeders.lock();
        let sources = feeders.iter().map(|feeder| (format!("source:{}", feeder.source), feeder.fault()));
        let (followers, outside) = (self.followers.lock(), self.outside.lock());
        let sinks = followers.iter().map(|(sink, _)| (sink.name(), sink.fault()));
        let sinks = sinks.chain(outside.iter().map(|store| (store.name.as_str(), store.fault())));
        let sinks = sinks.map(|(name, fault)| (format!("sink:{name}"), fault));
        sources.chain(sinks).collect()
    }

    /// Sizes, or profiles, are given to a store too.
    pub fn add_outside(&self, store: Arc<Status>) {
        self.outside.lock().push(store);
    }

    /// Notes how far each is behind, where `newest` is the newest tick committed.
    pub fn observe(&self, metrics: &ConnectorMetrics, newest: u64) {
        self.feeders.lock().iter().for_each(|feeder| metrics.lag(&feeder.source, &feeder.lag()));
        for (follower, _) in self.followers.lock().iter() {
            metrics.behind(follower.name(), newest.saturating_sub(follower.reached().unwrap_or(0)));
        }
    }

    /// Waits until the sinks have everything that is committed; one that fails is given up. The platform is ending since `begun`.
    pub fn finish(&self, begun: Instant) {
        let followers = std::mem::take(&mut *self.followers.lock());
        for (status, _) in &followers {
            status.close();
        }
        followers.into_iter().for_each(|(_, thread)| drop(thread.join()));
        self.updates.finish(begun);
    }
}

impl Service {
    /// Gives membership changes out to a sink too, from where it is.
    pub fn give_out_to(self: &Arc<Self>, sink: Box<dyn Sink>) -> Result<(), EngineError> {
        self.give_out(Medium::one(sink))
    }

    /// Gives membership changes out to a sink that several write side by side, each from where it is.
    pub fn give_out_to_shared(self: &Arc<Self>, sink: Box<dyn SharedSink>) -> Result<(), EngineError> {
        self.give_out(Medium::Shared(sink))
    }

    fn give_out(self: &Arc<Self>, medium: Medium) -> Result<(), EngineError> {
        let status = Arc::new(FollowerStatus::new(medium.name()));
        let (service, of) = (self.clone(), status.clone());
        let thread = named(&format!("sink {}", status.name()), move || {
            SinkWriters::new(&service, of, medium).run();
            Ok(())
        })?;
        self.connectors.followers.lock().push((status, thread));
        Ok(())
    }

    /// Sends changes of segments, whoever makes them.
    pub fn send_updates(&self, receiver: Arc<dyn SegmentUpdates>) -> Result<(), EngineError> {
        let started = self.connectors.updates.start(receiver, self.editor.clone());
        started.map_err(|error| EngineError::Start(error.to_string()))
    }

    /// Looks for changes of the catalogue now: another process says that there is one.
    pub fn look_at_catalogue(&self) {
        if let Err(error) = self.editor.look() {
            tracing::warn!(%error, "The catalogue has changed and cannot be read; it is read later");
        }
    }

    /// Takes events from a source too, of which each of the readers reads its share of the partitions, on a thread of its own.
    /// What cannot be taken goes to the dead letters.
    pub fn take_from(self: &Arc<Self>, readers: Vec<Reader>) -> Result<(), EngineError> {
        let Some(first) = readers.first() else { return Ok(()) };
        let status = Arc::new(FeederStatus::new(first.source.name(), readers.len()));
        self.connectors.feeders.lock().push(status.clone());
        let of = readers.len() as u32;
        for (index, reader) in (0..).zip(readers) {
            let (service, status) = (self.clone(), status.clone());
            self.thread(&format!("source {index} {}", status.source), move || {
                Feeder::new(&service, status, Share { index, of }, reader).run();
                Ok(())
            })?;
        }
        Ok(())
    }
}

//! The sources that feed the platform beside the APIs, and the sinks that follow it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use audience_catalogue::{SegmentUpdates, UpdateSender};
use audience_contract::{ProfileStore, Share, SharedSink, Sink, SizeStore};
use audience_emit::{WebhookOptions, WebhooksError, change_log_name};
use parking_lot::Mutex;

use super::Service;
use super::feed::{Feeder, FeederStatus, Reader};
use super::followers::Followers;
use super::source_metrics::SourceMetrics;
use crate::engine::{EngineError, StartError};

/// Sources, each on threads of its own, and what sends changes of segments.
#[derive(Default)]
pub struct Connectors {
    feeders: Mutex<Vec<Arc<FeederStatus>>>,
    /// Sends changes of segments.
    pub(super) updates: UpdateSender,
}

impl Connectors {
    /// By source, what keeps it from going on, if anything does.
    pub fn faults(&self) -> Vec<(String, Option<String>)> {
        let feeders = self.feeders.lock();
        feeders.iter().map(|feeder| (feeder.source.clone(), feeder.fault())).collect()
    }

    /// Sets the lag of each source.
    pub fn observe(&self, metrics: &SourceMetrics) {
        self.feeders.lock().iter().for_each(|feeder| metrics.lag(&feeder.source, &feeder.lag()));
    }
}

fn unstarted(error: io::Error) -> EngineError {
    StartError::thread(error).into()
}

impl Service {
    /// Emits membership changes to a sink too, from its position.
    pub fn emit_to(&self, sink: Box<dyn Sink>) -> Result<(), EngineError> {
        self.followers.sinks.add(sink).map_err(unstarted)
    }

    /// Emits membership changes to a sink that several writers write side by side, each from its position.
    pub fn emit_to_shared(&self, sink: Box<dyn SharedSink>) -> Result<(), EngineError> {
        self.followers.sinks.add_shared(sink).map_err(unstarted)
    }

    /// Writes sizes of segments over time to a store too: what it does not hold, and then each minute that ends.
    pub fn write_sizes_to(&self, store: Box<dyn SizeStore>) -> Result<(), EngineError> {
        let Followers { sinks, sizes, .. } = &self.followers;
        let name = store.name().to_owned();
        let job = sizes.write_to(store, self.metrics.sinks.clone(), &self.jobs).map_err(unstarted)?;
        sinks.add_store(name, job);
        Ok(())
    }

    /// Writes profiles of users to a store too. Those that change by time alone are written again after `refresh`.
    pub fn write_profiles_to(&self, store: Box<dyn ProfileStore>, refresh: Duration) -> Result<(), EngineError> {
        let Followers { sinks, profiles, .. } = &self.followers;
        let (name, log) = (store.name().to_owned(), change_log_name(&*self.stores.notes)?);
        let metrics = self.metrics.sinks.clone();
        let job = profiles.write_to(store, (log, refresh), metrics, &self.jobs).map_err(unstarted)?;
        sinks.add_store(name, job);
        Ok(())
    }

    /// Starts to post to the webhooks that are stored, and takes new ones.
    pub fn post_webhooks(&self, options: WebhookOptions) -> Result<(), EngineError> {
        self.followers.webhooks.start(options).map_err(|error| match error {
            WebhooksError::Store(error) => error.into(),
            WebhooksError::Thread(error) => unstarted(error),
            WebhooksError::Started => StartError::Twice("webhooks are posted already").into(),
        })
    }

    /// Sends changes of segments, whoever makes them.
    pub fn send_updates(&self, receiver: Arc<dyn SegmentUpdates>) -> Result<(), EngineError> {
        let started = self.connectors.updates.start(receiver, self.editor.clone());
        started.map_err(|error| StartError::thread(error).into())
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
        let status = Arc::new(FeederStatus::new(first.source.name(), readers.len(), self.lifecycle.stop().child()));
        self.connectors.feeders.lock().push(status.clone());
        self.metrics.sources.show(&status.source);
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

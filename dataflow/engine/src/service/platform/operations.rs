//! Health, metrics and figures of the running platform.

use std::collections::BTreeMap;

use audience_protocol::{ComponentHealth, Health, OperationsResource, Result, SizeResource, SystemView};

use crate::service::metrics::Snapshot;
use crate::service::{Service, clock, recovery};

impl OperationsResource for Service {
    fn health(&self) -> Health {
        let mut components = BTreeMap::new();
        let failure = self.failure();
        components.insert("engine".to_owned(), ComponentHealth::of_fault(failure.clone()));
        let store_fault = self.store_fault();
        components.insert("stores".to_owned(), ComponentHealth::of_fault(store_fault.clone()));
        // Events are served on with the rules that are known.
        let detail = self.editor.store_fault();
        components.insert("catalogue".to_owned(), ComponentHealth::up(detail));
        let sources = self.connectors.faults().into_iter().map(|(name, fault)| (format!("source:{name}"), fault));
        let sinks = self.followers.sinks.faults().into_iter().map(|(name, fault)| (format!("sink:{name}"), fault));
        for (name, fault) in sources.chain(sinks) {
            components.insert(name, ComponentHealth::of_fault(fault));
        }
        if let Some(detail) = self.connectors.updates.fault() {
            components.insert("segment-updates".to_owned(), ComponentHealth::up(detail));
        }
        // The stream goes on without checkpoints and history.
        let detail = self.checkpoint_fault.lock().clone();
        components.insert("checkpoints".to_owned(), ComponentHealth::up(detail));
        if let Some(archive) = &self.archive {
            components.insert("history".to_owned(), ComponentHealth::up(archive.fault()));
        }
        Health { ready: self.is_ready() && failure.is_none() && store_fault.is_none(), components }
    }

    fn metrics(&self) -> String {
        let faulty_documents = self.editor.read(|documents| documents.faulty.len() as u64);
        let done = self.engine.done();
        self.connectors.observe(&self.metrics.sources);
        self.followers.sinks.observe();
        self.followers.webhooks.observe(&self.metrics.webhooks);
        let end = self.stores.events.end();
        let kept = self.archive.as_ref().map_or(end, |kept| kept.end().min(end));
        let oldest = if kept < end { recovery::newest_acceptance(&*self.stores.events, kept + 1) } else { Ok(None) };
        let oldest = oldest.ok().flatten().map_or(0, |oldest| (clock::now() - oldest).max(0));
        let snapshot = Snapshot {
            sizes: self.sizes_now().unwrap_or_default().sizes.into_iter().collect(),
            users: done.users,
            unkept_events: end - kept,
            oldest_unkept_seconds: oldest as f64 / 1000.0,
            waiting_events: end.saturating_sub(self.engine.head().sequence),
            faulty_documents,
            catalogue_errors: self.editor.store_errors(),
            frontier_lag_seconds: (clock::now() - done.clock).max(0) as f64 / 1000.0,
        };
        self.metrics.encode(snapshot).unwrap_or_default()
    }

    fn system(&self) -> Result<SystemView> {
        Ok(self.figures())
    }
}

//! Health, metrics and figures of the running platform.

use std::sync::Arc;

use audience_catalogue::Editor;
use audience_protocol::{Health, OperationsResource, Result, SystemView};

use super::figures::Figures;
use crate::engine::Engine;
use crate::health::{Report, Reports};
use crate::lifecycle::Lifecycle;

/// Answers the resource of operations.
pub(crate) struct Operations {
    lifecycle: Arc<Lifecycle>,
    rooms: Vec<Arc<dyn Reports>>,
    figures: Arc<Figures>,
}

impl Operations {
    /// Operations of a run, over the rooms that report on it.
    pub fn new(lifecycle: Arc<Lifecycle>, rooms: Vec<Arc<dyn Reports>>, figures: Arc<Figures>) -> Operations {
        Operations { lifecycle, rooms, figures }
    }
}

impl OperationsResource for Operations {
    fn health(&self) -> Health {
        let mut report = Report::default();
        self.rooms.iter().for_each(|room| room.report(&mut report));
        Health { ready: self.lifecycle.is_ready() && report.is_able, components: report.components }
    }

    fn metrics(&self) -> String {
        let metrics = self.figures.metrics();
        self.rooms.iter().for_each(|room| room.observe(metrics));
        metrics.encode(self.figures.snapshot()).unwrap_or_default()
    }

    fn system(&self) -> Result<SystemView> {
        Ok(self.figures.view(self.health()))
    }
}

impl Reports for Engine {
    fn report(&self, report: &mut Report) {
        report.needs("engine", self.failure().map(|failure| failure.to_string()));
    }
}

impl Reports for Editor {
    fn report(&self, report: &mut Report) {
        // Events are served on with the rules that are known.
        report.notes("catalogue", self.store_fault());
    }
}

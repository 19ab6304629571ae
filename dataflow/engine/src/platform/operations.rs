//! Health, metrics and figures of the running platform.

use std::sync::Arc;

use audience_background::clock;
use audience_catalogue::Editor;
use audience_emit::SinkCondition;
use audience_protocol::{
    Health, OperationsResource, PlatformError, ResourceKind, Result, SinkView, SystemPoint, SystemView,
    VerificationView,
};

use super::figures::Figures;
use crate::emission::followers::Followers;
use crate::engine::Engine;
use crate::health::{ReportedParts, Reports};
use crate::lifecycle::Lifecycle;
use crate::standby::shipping::{Shipping, refuse_without_lease};

/// Answers the resource of operations.
pub(crate) struct Operations {
    lifecycle: Arc<Lifecycle>,
    rooms: Vec<Arc<dyn Reports>>,
    figures: Arc<Figures>,
    followers: Arc<Followers>,
    shipping: Option<Arc<Shipping>>,
}

impl Operations {
    /// Operations of a run, over the rooms that report on it.
    pub(crate) fn new(
        lifecycle: Arc<Lifecycle>,
        rooms: Vec<Arc<dyn Reports>>,
        figures: Arc<Figures>,
        followers: Arc<Followers>,
        shipping: Option<Arc<Shipping>>,
    ) -> Operations {
        Operations { lifecycle, rooms, figures, followers, shipping }
    }

    fn report(&self) -> ReportedParts {
        let mut report = ReportedParts::default();
        self.rooms.iter().for_each(|room| room.report(&mut report));
        report.tells("timezones", format!("tz database {}", audience_rules::zone::tz_version()));
        report
    }
}

impl OperationsResource for Operations {
    fn health(&self) -> Health {
        let report = self.report();
        Health { ready: self.lifecycle.is_ready() && report.is_able, components: report.components }
    }

    fn failure(&self) -> Option<String> {
        self.report().failure
    }

    fn metrics(&self) -> String {
        let metrics = self.figures.metrics();
        self.rooms.iter().for_each(|room| room.observe(metrics));
        metrics.encode(self.figures.snapshot()).unwrap_or_default()
    }

    fn sinks(&self) -> Result<Vec<SinkView>> {
        let view = |sink: SinkCondition| SinkView {
            name: sink.name,
            fault: sink.fault,
            notice: sink.notice,
            lag_ticks: sink.lag_ticks,
            verification: sink.verification.map(|verification| VerificationView {
                running: verification.is_running(),
                checked: verification.checked,
                wrong: verification.wrong,
                ended: verification.ended,
            }),
        };
        Ok(self.followers.sinks().conditions().into_iter().map(view).collect())
    }

    fn verify_sink(&self, name: &str) -> Result<()> {
        if self.followers.sinks().verify(name) { Ok(()) } else { Err(no_such_sink(name)) }
    }

    fn rebuild_sink(&self, name: &str) -> Result<()> {
        if self.followers.sinks().rebuild(name) { Ok(()) } else { Err(no_such_sink(name)) }
    }

    fn ship(&self, held: &[u8]) -> Result<Vec<u8>> {
        self.shipping.as_ref().map_or_else(refuse_without_lease, |shipping| shipping.ship(held))
    }

    fn system(&self) -> Result<SystemView> {
        Ok(self.figures.view(self.health()))
    }

    fn system_hour(&self) -> Result<Vec<SystemPoint>> {
        Ok(self.figures.hour())
    }
}

impl Reports for Engine {
    fn report(&self, report: &mut ReportedParts) {
        report.ends_with("engine", self.failure().map(|failure| failure.to_string()));
    }
}

/// The clock of this process, which is one for all of it.
pub(crate) struct ProcessClock;

impl Reports for ProcessClock {
    fn report(&self, report: &mut ReportedParts) {
        // The stream goes on, at the time that the clock has.
        if let Some(fault) = clock::state().fault() {
            report.notes("clock", Some(fault));
        }
    }
}

impl Reports for Editor {
    fn report(&self, report: &mut ReportedParts) {
        // Events are served on with the rules that are known.
        report.notes("catalogue", self.store_fault().or(self.went_back().1));
    }
}

fn no_such_sink(name: &str) -> PlatformError {
    PlatformError::NotFound { kind: ResourceKind::Sink, id: name.to_owned() }
}

//! The health of the platform: each room reports its own parts.

use std::collections::BTreeMap;

use audience_protocol::ComponentHealth;

use crate::metrics::Metrics;

/// A room that reports how its parts are.
pub(crate) trait Reports: Send + Sync {
    /// Adds the room's parts.
    fn report(&self, report: &mut ReportedParts);

    /// Sets the room's gauges that are looked up when metrics are asked for.
    fn observe(&self, _metrics: &Metrics) {}
}

/// The parts of a platform that were reported.
#[derive(Debug)]
pub(crate) struct ReportedParts {
    /// True if every part works that requests are served with.
    pub is_able: bool,
    /// The failure after which nothing is accepted any more.
    pub failure: Option<String>,
    /// The parts.
    pub components: BTreeMap<String, ComponentHealth>,
}

impl Default for ReportedParts {
    fn default() -> Self {
        ReportedParts { is_able: true, failure: None, components: BTreeMap::new() }
    }
}

impl ReportedParts {
    /// Adds a part without which no requests are served. Several rooms may report on one part; the first fault stays.
    pub(crate) fn needs(&mut self, name: &str, fault: Option<String>) {
        self.is_able &= fault.is_none();
        let part = self.components.entry(name.to_owned()).or_insert_with(|| ComponentHealth::of_fault(None));
        if part.is_up() && fault.is_some() {
            *part = ComponentHealth::of_fault(fault);
        }
    }

    /// Adds a part whose fault stays for as long as the process runs.
    pub(crate) fn ends_with(&mut self, name: &str, failure: Option<String>) {
        self.needs(name, failure.clone());
        self.failure = self.failure.take().or(failure);
    }

    /// Adds a part whose fault stops that part alone.
    pub(crate) fn has(&mut self, name: String, fault: Option<String>) {
        self.components.insert(name, ComponentHealth::of_fault(fault));
    }

    /// Adds a part of which there is something to know.
    pub(crate) fn tells(&mut self, name: &str, figures: String) {
        self.components.insert(name.to_owned(), ComponentHealth::with_figures(figures));
    }

    /// Adds a part that works with or without this fault.
    pub(crate) fn notes(&mut self, name: &str, fault: Option<String>) {
        self.components.insert(name.to_owned(), ComponentHealth::up(fault));
    }
}

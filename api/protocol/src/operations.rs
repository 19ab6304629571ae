//! The platform's health, metrics and figures.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{Result, needs_engine};

/// Operations: health, metrics and figures. Every platform has them.
pub trait OperationsResource: Send + Sync + 'static {
    /// Returns the health of all parts.
    fn health(&self) -> Health;

    /// Returns the failure after which this process takes nothing any more, if there is one.
    fn failure(&self) -> Option<String> {
        None
    }

    /// Returns the platform's metrics in the OpenMetrics text form, without the closing `# EOF`.
    fn metrics(&self) -> String;

    /// Returns the sinks of a process with an engine, and the stores of sizes and profiles.
    fn sinks(&self) -> Result<Vec<SinkView>> {
        needs_engine("which sinks there are", ())
    }

    /// Has the records of a sink compared with the memberships, and those that differ repaired, while events flow.
    fn verify_sink(&self, name: &str) -> Result<()> {
        needs_engine("what a sink should hold", name)
    }

    /// Has a sink emptied and filled again, while events flow.
    fn rebuild_sink(&self, name: &str) -> Result<()> {
        needs_engine("what a sink should hold", name)
    }

    /// Returns what of the log comes after what a standby has. Both are in the form that standby and primary agree on.
    fn ship(&self, held: &[u8]) -> Result<Vec<u8>> {
        needs_engine("what a standby lacks", held)
    }

    /// Returns the figures of a process with an engine.
    fn system(&self) -> Result<SystemView> {
        needs_engine("how the engine is", ())
    }

    /// Returns the figures of the last hour, in order of time, as far as this run goes back.
    fn system_hour(&self) -> Result<Vec<SystemPoint>> {
        needs_engine("how the engine is", ())
    }
}

/// The process at an instant of the last hour.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemPoint {
    /// RFC 3339.
    pub at: String,
    /// Events accepted a second.
    pub events_per_second: f64,
    /// Membership changes emitted a second.
    pub changes_per_second: f64,
    /// Seconds from the clock of the last finished tick to that instant.
    pub frontier_lag_seconds: f64,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
}

/// Health of a part.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentHealth {
    /// UP or DOWN.
    pub status: ComponentStatus,
    /// The fault, or figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// True where the detail is a fault, which a part that is up may have, too.
    #[serde(skip)]
    pub has_fault: bool,
}

impl ComponentHealth {
    /// A part that is up, with a fault that does not stop it, if there is one.
    pub fn up(detail: Option<String>) -> ComponentHealth {
        let has_fault = detail.is_some();
        ComponentHealth { status: ComponentStatus::Up, detail, has_fault }
    }

    /// A part that is up, with something to know of it.
    pub fn with_figures(detail: String) -> ComponentHealth {
        ComponentHealth { status: ComponentStatus::Up, detail: Some(detail), has_fault: false }
    }

    /// A part that is down for as long as it has a fault.
    pub fn of_fault(fault: Option<String>) -> ComponentHealth {
        let status = if fault.is_none() { ComponentStatus::Up } else { ComponentStatus::Down };
        ComponentHealth { status, has_fault: fault.is_some(), detail: fault }
    }

    /// Returns whether the part is up.
    pub fn is_up(&self) -> bool {
        self.status == ComponentStatus::Up
    }
}

/// The status of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ComponentStatus {
    /// The part does its work.
    Up,
    /// The part does not do its work.
    Down,
}

/// Health of all parts.
#[derive(Clone, Debug)]
pub struct Health {
    /// True if the platform has caught up with all that was accepted before its start, and can take and answer requests.
    /// Parts whose work is made up for later may be down.
    pub ready: bool,
    /// Health by part.
    pub components: BTreeMap<String, ComponentHealth>,
}

/// A sink, or a store of sizes or profiles.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SinkView {
    /// Its name, such as `redis:audience`.
    pub name: String,
    /// The fault that keeps it from going on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// A notice of records that it left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// Ticks that are committed and not yet written to it.
    pub lag_ticks: u64,
    /// The comparison with the memberships that was ordered last, where it can be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<VerificationView>,
}

/// A comparison of a sink with the memberships.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationView {
    /// True if it is ordered or under way.
    pub running: bool,
    /// Users whose records were compared.
    pub checked: u64,
    /// Those among them whose records were wrong, and are repaired.
    pub wrong: u64,
    /// The number of ordered comparisons that have ended in this run.
    pub ended: u64,
}

/// The process in figures.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemView {
    /// The program's version.
    pub version: &'static str,
    /// RFC 3339: when this run began.
    pub started_at: String,
    /// Seconds since then.
    pub uptime_seconds: f64,
    /// Workers, over all processes.
    pub workers: usize,
    /// Known users.
    pub users: u64,
    /// Segments, of any status.
    pub segments: u64,
    /// Events.
    pub events: EventFigures,
    /// Membership changes emitted in this run.
    pub changes: ChangeFigures,
    /// Seconds from the clock of the last finished tick to now.
    pub frontier_lag_seconds: f64,
    /// The newest checkpoint of this run.
    pub checkpoint: CheckpointFigures,
    /// Resident memory of this process in bytes; 0 if the system does not tell.
    pub memory_bytes: u64,
    /// Health.
    pub health: SystemHealth,
}

/// Figures of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventFigures {
    /// Events accepted, ever.
    pub accepted: u64,
    /// Events refused by this process in this run.
    pub rejected: u64,
    /// Events accepted a second, over the last seconds.
    pub per_second: f64,
}

/// Figures of membership changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeFigures {
    /// Changes emitted in this run.
    pub total: u64,
    /// Changes emitted a second, over the last seconds.
    pub per_second: f64,
}

/// Figures of the newest checkpoint of this run; nothing before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointFigures {
    /// Seconds since it was finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
    /// Its size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Seconds that it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
}

/// Health of all parts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SystemHealth {
    /// True if the platform has caught up and every part is up.
    pub ready: bool,
    /// Health by part.
    pub components: BTreeMap<String, ComponentHealth>,
}

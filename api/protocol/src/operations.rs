//! The platform's health, metrics and figures.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{Result, needs_engine};

/// Operations: what every platform can say of itself.
pub trait OperationsResource: Send + Sync + 'static {
    /// Returns the health of all parts.
    fn health(&self) -> Health;

    /// Returns the platform's metrics in the OpenMetrics text form, without the closing `# EOF`.
    fn metrics(&self) -> String;

    /// Returns the figures of a process with an engine.
    fn system(&self) -> Result<SystemView> {
        needs_engine("how the engine is", ())
    }
}

/// Health of a part.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentHealth {
    /// UP or DOWN.
    pub status: &'static str,
    /// What is the matter, or figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Health of all parts.
#[derive(Clone, Debug)]
pub struct Health {
    /// Whether the platform has caught up with what was accepted before its start, and can take and answer what it is asked.
    /// Parts may be down beside that, whose work is made up for later.
    pub ready: bool,
    /// By part.
    pub components: BTreeMap<String, ComponentHealth>,
}

/// How the system is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemView {
    /// The program's version.
    pub version: &'static str,
    /// RFC 3339: when this run began.
    pub started_at: String,
    /// Since then.
    pub uptime_seconds: f64,
    /// Workers, over all processes.
    pub workers: usize,
    /// Users that are known.
    pub users: u64,
    /// Segments, of any status.
    pub segments: u64,
    /// Events.
    pub events: EventFigures,
    /// Membership changes given out in this run.
    pub changes: ChangeFigures,
    /// How far the clock of the last tick done is behind now.
    pub frontier_lag_seconds: f64,
    /// The newest checkpoint of this run.
    pub checkpoint: CheckpointFigures,
    /// Memory of this process; 0 where the system does not tell.
    pub memory_bytes: u64,
    /// Health.
    pub health: SystemHealth,
}

/// Figures of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventFigures {
    /// Accepted, ever.
    pub accepted: u64,
    /// Refused by this process in this run.
    pub rejected: u64,
    /// Accepted, over the last seconds.
    pub per_second: f64,
}

/// Figures of membership changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeFigures {
    /// Given out in this run.
    pub total: u64,
    /// Given out, over the last seconds.
    pub per_second: f64,
}

/// Figures of the newest checkpoint of this run; nothing before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointFigures {
    /// Since it was finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<f64>,
    /// Its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
}

/// Health of all parts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SystemHealth {
    /// Whether it has caught up and every part is up.
    pub ready: bool,
    /// By part.
    pub components: BTreeMap<String, ComponentHealth>,
}

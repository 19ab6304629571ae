//! What the writers of sinks read.

use std::sync::Arc;

use crate::catalogue::Segments;
use crate::emitted::Emitted;
use crate::memberships::Memberships;
use crate::metrics::SinkMetrics;
use crate::runs::Runs;

/// What the writers of sinks read.
pub struct Upstream {
    /// The change log.
    pub emitted: Arc<Emitted>,
    /// Which run emitted what.
    pub runs: Runs,
    /// For snapshots.
    pub memberships: Arc<dyn Memberships>,
    /// For the versions of segments in a snapshot.
    pub segments: Arc<dyn Segments>,
    /// Where writes and faults are counted.
    pub metrics: SinkMetrics,
}

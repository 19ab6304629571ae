//! The sources of the writers of sinks.

use std::sync::Arc;

use crate::catalogue::Segments;
use crate::emitted::Emitted;
use crate::memberships::Memberships;
use crate::metrics::SinkMetrics;
use crate::runs::Runs;
use crate::users::Users;

/// The sources of the writers of sinks.
pub struct Upstream {
    /// The change log.
    pub emitted: Arc<Emitted>,
    /// Which run emitted what.
    pub runs: Runs,
    /// For snapshots.
    pub memberships: Arc<dyn Memberships>,
    /// For comparing a store with them, user by user.
    pub users: Arc<dyn Users>,
    /// For the versions of segments in a snapshot.
    pub segments: Arc<dyn Segments>,
    /// The counters of writes and faults.
    pub metrics: SinkMetrics,
}

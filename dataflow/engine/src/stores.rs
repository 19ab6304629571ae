//! The stores that a platform runs on.

use std::sync::Arc;

use audience_contract::{CatalogueStore, ChangeLog, CheckpointStore, EventLog, MessageIndex, Notes};

/// The stores of a platform.
#[derive(Clone)]
pub struct PlatformStores {
    /// Accepted events.
    pub events: Arc<dyn EventLog>,
    /// The first message of each message id.
    pub messages: Arc<dyn MessageIndex>,
    /// Emitted membership changes.
    pub changes: Arc<dyn ChangeLog>,
    /// Segments and traits.
    pub catalogue: Arc<dyn CatalogueStore>,
    /// Checkpoints.
    pub checkpoints: Arc<dyn CheckpointStore>,
    /// Notes beside them: sizes of segments over time, the name of the change log.
    pub notes: Arc<dyn Notes>,
}

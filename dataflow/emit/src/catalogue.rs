//! The catalogue, as far as followers of the change log need it.

use std::collections::BTreeMap;
use std::sync::Arc;

use audience_protocol::{PlatformError, Webhook};
use audience_rules::catalogue::ComputedTrait;
use hashbrown::HashMap;

/// The segments that there are.
pub trait Segments: Send + Sync {
    /// Returns each segment's version by its id.
    fn versions(&self) -> HashMap<String, u64>;

    /// Returns whether there is a segment of that id.
    fn has_segment(&self, id: &str) -> bool;

    /// Returns the instant at which a segment was created, RFC 3339.
    fn created_at(&self, id: &str) -> Result<String, PlatformError>;
}

/// The computed traits that there are.
pub trait TraitDefinitions: Send + Sync {
    /// Returns the catalogue's version.
    fn version(&self) -> u64;

    /// Returns the traits by name, and the version of the catalogue that they are of.
    fn computed_traits(&self) -> (u64, BTreeMap<Arc<str>, ComputedTrait>);
}

/// The audit log.
pub trait AuditLog: Send + Sync {
    /// Records what `author` does to a webhook: what it was, and what it is then. Durable on return.
    fn record_webhook(
        &self,
        author: &str,
        action: &str,
        before: Option<&Webhook>,
        after: Option<&Webhook>,
    ) -> Result<(), PlatformError>;
}

//! A store of memberships, for readers without an engine.

use crate::Result;

/// A segment that a user is in, as a store of memberships holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeldMembership {
    /// The segment.
    pub segment_id: String,
    /// Since when, milliseconds.
    pub since: i64,
}

/// The memberships that a [`Sink`](crate::Sink) writes, as their readers find them.
///
/// Readers MUST see what the sink has written when its last write returned, and MAY see more of what is being written.
pub trait ServingStore: Send + Sync {
    /// The name in logs and health.
    fn name(&self) -> &str;

    /// The segments that a user is in, in order of their ids; none for an unknown user. Costs one read.
    fn segments_of(&self, user_id: &str) -> Result<Vec<HeldMembership>>;
}

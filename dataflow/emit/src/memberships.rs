//! The memberships that the engine serves, as a snapshot of them is taken.

use std::sync::Arc;

use roaring::RoaringBitmap;

/// The engine has stopped, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EngineStopped(pub String);

/// A copy of one worker's memberships.
#[derive(Clone, Debug, Default)]
pub struct WorkerMemberships {
    /// The members of each segment, by the numbers that the worker gave its users.
    pub segments: Vec<(Arc<str>, RoaringBitmap)>,
    /// The id and number of each user who is in any of the segments.
    pub users: Vec<(Arc<str>, u32)>,
}

/// The memberships in memory. They run ahead of what is committed.
pub trait Memberships: Send + Sync {
    /// Copies all memberships, worker by worker. Costs a copy of all members' ids and bitmaps.
    fn copy(&self) -> Vec<WorkerMemberships>;

    /// Returns the segments that a user is in now, in no order. Costs a look at every segment.
    fn of_user(&self, id: &str) -> Vec<Arc<str>>;

    /// Returns a tick by which everything that is in the memberships now is committed, as soon as that tick is. It is
    /// committed soon after.
    fn barrier(&self) -> Result<u64, EngineStopped>;

    /// Fails if nothing more will be committed.
    fn check(&self) -> Result<(), EngineStopped>;
}

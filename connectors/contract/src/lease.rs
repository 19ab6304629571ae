//! The lease: which data directory may give out, of several that could.

use serde::{Deserialize, Serialize};

use crate::Result;

/// A lease as it is stored. Its holder renews it; whoever sees the same version for as long as it lasts may take it over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// Grows by one with every replacement.
    pub version: u64,
    /// Grows by one with every other holder: the token of the fence.
    pub epoch: u64,
    /// The data directory that may give out.
    pub holder: String,
    /// The time for which the holder goes on after a renewal, in milliseconds.
    pub lasts_ms: u64,
    /// True if a standby holds everything that the holder has given out.
    pub is_followed: bool,
}

/// The place of a lease, which several processes share.
pub trait LeaseStore: Send + Sync {
    /// The lease, if there is one.
    fn read(&self) -> Result<Option<Lease>>;

    /// Puts `new` where `expected` is; `Ok(false)` where something else is there. Of several that replace the same lease MUST
    /// exactly one succeed, whenever any of them is stopped and goes on. `new` is the version after `expected`, or 1.
    fn replace(&self, expected: Option<&Lease>, new: &Lease) -> Result<bool>;
}

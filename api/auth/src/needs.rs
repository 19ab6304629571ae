//! The needs of a route: the right that its caller must have.

use crate::permission::Permission;

/// The needs of a route: the right that its caller must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Needs {
    /// Nothing.
    Public,
    /// A member, or a server key.
    SignedIn,
    /// A permission.
    Permission(Permission),
    /// To send events: a write key, or the permission `event:send`.
    Ingest,
    /// A server key, or the permission `system:read`: for the programs around, such as Prometheus.
    Service,
}

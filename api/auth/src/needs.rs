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

impl Needs {
    /// The permission that a caller without a key of its own kind must have.
    pub const fn permission(self) -> Option<Permission> {
        match self {
            Needs::Public | Needs::SignedIn => None,
            Needs::Permission(permission) => Some(permission),
            Needs::Ingest => Some(Permission::EventSend),
            Needs::Service => Some(Permission::SystemRead),
        }
    }
}

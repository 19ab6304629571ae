//! The caller and the tenant of a request: values that only the door makes.

use std::sync::Arc;

/// A tenant of the platform. It comes from a [`Caller`], so that no request names a tenant that is not its caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tenant(u32);

/// The one tenant that there is until others are made.
const DEFAULT_TENANT: Tenant = Tenant(0);

/// Somebody whom the door has let in.
#[derive(Clone, Debug)]
pub struct Caller {
    tenant: Tenant,
    author: Arc<str>,
}

impl Caller {
    /// A caller whom the door has let in. Only `api/auth` may call this: `tests/tests/crate_edges.rs` holds it.
    #[doc(hidden)]
    pub fn let_in_at_the_door(author: Arc<str>) -> Caller {
        Caller { tenant: DEFAULT_TENANT, author }
    }

    /// The tenant for which the caller asks.
    pub fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// The name under which changes are recorded.
    pub fn author(&self) -> &str {
        &self.author
    }
}

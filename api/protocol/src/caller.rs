//! The caller and the tenant of a request: values that only the door makes.

use std::fmt;
use std::sync::Arc;

/// The id of the tenant that is always there.
const DEFAULT: &str = "default";

/// A tenant of the platform. It comes from the door, so that no request names a tenant that is not its caller's.
///
/// A copy costs no memory of its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Option<Arc<str>>);

impl Tenant {
    /// The tenant of an id that the door knows. Only `api/auth` may call this: `tests/tests/crate_edges.rs` holds it.
    #[doc(hidden)]
    pub fn let_in_at_the_door(id: &str) -> Tenant {
        Tenant((id != DEFAULT).then(|| id.into()))
    }

    /// The id.
    pub fn id(&self) -> &str {
        self.0.as_deref().unwrap_or(DEFAULT)
    }

    /// Returns whether it is the tenant that is always there.
    pub fn is_default(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Tenant").field(&self.id()).finish()
    }
}

/// Somebody whom the door has let in.
#[derive(Clone, Debug)]
pub struct Caller {
    tenant: Tenant,
    author: Arc<str>,
}

impl Caller {
    /// A caller whom the door has let in. Only `api/auth` may call this: `tests/tests/crate_edges.rs` holds it.
    #[doc(hidden)]
    pub fn let_in_at_the_door(tenant: Tenant, author: Arc<str>) -> Caller {
        Caller { tenant, author }
    }

    /// The tenant for which the caller asks.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The name under which changes are recorded.
    pub fn author(&self) -> &str {
        &self.author
    }
}

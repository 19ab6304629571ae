//! The APIs of the tenants beside `default`, by tenant.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use audience_protocol::Tenant;

/// The APIs of the tenants of a process.
pub(crate) struct TenantApis<A> {
    hosted: RwLock<HashMap<Tenant, Arc<A>>>,
    /// The API of every tenant whose engine is in another process.
    elsewhere: OnceLock<Arc<A>>,
}

impl<A> Default for TenantApis<A> {
    fn default() -> Self {
        TenantApis { hosted: RwLock::default(), elsewhere: OnceLock::new() }
    }
}

impl<A> TenantApis<A> {
    /// Puts the API of a tenant, or takes it away; gives the one before.
    pub(crate) fn put(&self, tenant: &Tenant, api: Option<Arc<A>>) -> Option<Arc<A>> {
        let mut hosted = self.hosted.write().unwrap_or_else(PoisonError::into_inner);
        match api {
            Some(api) => hosted.insert(tenant.clone(), api),
            None => hosted.remove(tenant),
        }
    }

    /// All of them, by id of the tenant.
    pub(crate) fn all(&self) -> Vec<(Tenant, Arc<A>)> {
        let hosted = self.hosted.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = hosted.iter().map(|(tenant, api)| (tenant.clone(), Arc::clone(api))).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// The API of a tenant that is served here.
    pub(crate) fn get(&self, tenant: &Tenant) -> Option<Arc<A>> {
        self.hosted.read().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
    }

    /// The API of the tenants that are served elsewhere, made when first asked for.
    pub(crate) fn elsewhere(&self, make: impl FnOnce() -> A) -> Arc<A> {
        Arc::clone(self.elsewhere.get_or_init(|| Arc::new(make())))
    }
}

//! The way of a request to its tenant, and what is told of all tenants.
//!
//! Law: a request reaches the platform of its caller's tenant and no other. There is no way from one to another, so that no
//! handler has a filter to forget.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use audience_protocol::{Health, OperationsResource, Platform, Tenant};

use crate::api::Api;
use crate::problem::Problem;

/// The time after which a request to a tenant that is starting is to come again, in seconds.
const RETRY_SECONDS: u64 = 2;

/// Figures of the tenants as OpenMetrics without its end. Tenants are few, and so are the series.
pub(crate) fn figures(api: &Api) -> String {
    let all = api.tenants.all();
    if all.is_empty() {
        return String::new();
    }
    let (mut ready, mut events, mut users) = (String::new(), String::new(), String::new());
    for (tenant, api) in &all {
        let id = tenant.id();
        let is_ready = u8::from(api.platform.operations.health().ready);
        // Writing to a text does not fail.
        let _ = writeln!(ready, "audience_tenant_ready{{tenant=\"{id}\"}} {is_ready}");
        if let Ok(system) = api.platform.operations.system() {
            let _ = writeln!(events, "audience_tenant_events_total{{tenant=\"{id}\"}} {}", system.events.accepted);
            let _ = writeln!(users, "audience_tenant_users{{tenant=\"{id}\"}} {}", system.users);
        }
    }
    let family = |name: &str, kind: &str, help: &str, series: &str| {
        format!("# HELP audience_tenant_{name} {help}.\n# TYPE audience_tenant_{name} {kind}\n{series}")
    };
    [
        family("ready", "gauge", "Whether the engine of a tenant beside default takes work, 1 or 0", &ready),
        family("events", "counter", "Events of a tenant beside default that were accepted", &events),
        family("users", "gauge", "Users of a tenant beside default", &users),
    ]
    .concat()
}

/// The API of a tenant.
pub(crate) fn api_of(api: &Arc<Api>, tenant: &Tenant) -> Result<Arc<Api>, Problem> {
    if tenant.is_default() {
        return Ok(Arc::clone(api));
    }
    let found = api.tenants.get(tenant);
    let starting = || {
        let detail = "the engine of your tenant is starting; try again in a moment";
        Problem::unavailable("starting", detail).retry_after(RETRY_SECONDS)
    };
    match found {
        Some(found) => Ok(found),
        None if api.options.hosts_tenants => Err(starting()),
        None => Ok(api.tenants.elsewhere(|| api.of_tenant(None, Platform::without_engine(Arc::new(NoEngineHere))))),
    }
}

/// The operations of a tenant in a process that has nothing of it.
struct NoEngineHere;

impl OperationsResource for NoEngineHere {
    fn health(&self) -> Health {
        Health { ready: true, components: BTreeMap::new() }
    }

    fn metrics(&self) -> String {
        String::new()
    }
}

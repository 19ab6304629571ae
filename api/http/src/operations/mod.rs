//! `/health`, `/metrics`, `/api/system` and `/api/sinks`: how the process and its sinks are.

pub(crate) mod health;
pub(crate) mod metrics;
mod sinks;
mod standby;
mod system;

use crate::route::Resource;

pub(crate) const RESOURCE: Resource = Resource {
    routes: &[health::ROUTES, metrics::ROUTES, sinks::ROUTES, standby::ROUTES, system::ROUTES],
    openapi: include_str!("openapi.json"),
};

//! `/health`, `/metrics` and `/api/system`: how the process is.

pub(crate) mod health;
pub(crate) mod metrics;
mod system;

use crate::route::Resource;

pub(crate) const RESOURCE: Resource =
    Resource { routes: &[health::ROUTES, metrics::ROUTES, system::ROUTES], openapi: include_str!("openapi.json") };

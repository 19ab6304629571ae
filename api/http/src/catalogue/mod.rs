//! `/api/audit`, `/api/catalogue` and `/api/timezone`: the catalogue as a whole.

mod audit;
mod faulty;
mod timezone;

use crate::route::Resource;

pub(crate) const RESOURCE: Resource =
    Resource { routes: &[audit::ROUTES, faulty::ROUTES, timezone::ROUTES], openapi: include_str!("openapi.json") };

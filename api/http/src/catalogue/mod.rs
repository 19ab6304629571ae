//! `/api/audit` and `/api/catalogue`: the catalogue as a whole.

mod audit;
mod faulty;

use crate::route::Resource;

pub(crate) const RESOURCE: Resource =
    Resource { routes: &[audit::ROUTES, faulty::ROUTES], openapi: include_str!("openapi.json") };

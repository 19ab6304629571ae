//! `/api/users`: users, their history and their segments.

pub(crate) mod columns;
mod explain;
mod export;
mod lookup;

use crate::route::Resource;

pub(crate) const RESOURCE: Resource =
    Resource { routes: &[lookup::ROUTES, export::ROUTES, explain::ROUTES], openapi: include_str!("openapi.json") };

//! `/api/stream` and `/api/ws`: membership changes and sizes, to clients that stay connected.

mod follower;
mod sizes;
mod socket;
mod sse;

use crate::route::Resource;

pub(crate) const RESOURCE: Resource =
    Resource { routes: &[sse::ROUTES, socket::ROUTES, sizes::ROUTES], openapi: include_str!("openapi.json") };

//! `/api/stream` and `/api/ws`: membership changes and sizes, to clients that stay connected; `/api/changes`: those of the past.

mod follower;
mod past;
mod sizes;
mod socket;
mod sse;

use crate::route::Resource;

pub(crate) const RESOURCE: Resource = Resource {
    routes: &[sse::ROUTES, socket::ROUTES, past::ROUTES, sizes::ROUTES],
    openapi: include_str!("openapi.json"),
};

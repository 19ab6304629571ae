//! `/api/events`, `/v1/…` and `/api/schema`: events in, the newest of them, and what they look like.

mod decoded;
mod ingest;
mod ndjson;
mod recent;
mod schema;
mod tracking;

use crate::route::Resource;

pub(crate) const RESOURCE: Resource = Resource {
    routes: &[ingest::ROUTES, tracking::ROUTES, tracking::posthog::ROUTES, recent::ROUTES, schema::ROUTES],
    openapi: include_str!("openapi.json"),
};

//! `/api/events`, `/v1/…` and `/api/schema`: events in, the newest of them, and what they look like.

mod decoded;
mod ingest;
mod ndjson;
mod recent;
mod refused;
mod schema;
mod tracking;

pub use self::tracking::everything::decode_as_everything;
use crate::route::Resource;

pub(crate) const RESOURCE: Resource = Resource {
    routes: &[
        ingest::ROUTES,
        tracking::ROUTES,
        tracking::posthog::ROUTES,
        recent::ROUTES,
        refused::ROUTES,
        schema::ROUTES,
    ],
    openapi: include_str!("openapi.json"),
};

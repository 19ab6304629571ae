//! `/api/segments`: segments, their versions and their members.

mod documents;
mod export;
mod history;
mod import;
mod input;
mod members;
mod pipeline;
mod preview;

use crate::route::Resource;

pub(crate) const RESOURCE: Resource = Resource {
    routes: &[documents::ROUTES, members::ROUTES, preview::ROUTES, history::ROUTES, pipeline::ROUTES],
    openapi: include_str!("openapi.json"),
};

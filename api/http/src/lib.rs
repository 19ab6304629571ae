//! The Segment API and the Event Ingestion API over HTTP.
//!
//! [`serve`] binds the listeners and answers until it is told to stop. Everything that is asked goes to one
//! [`Platform`]; nothing is computed here.
//!
//! - A resource is a file with a table of [`route::Route`]s and their handlers. warp carries the requests; the tables
//!   decide, because they are also what metrics (route templates), `405` (the `Allow` header) and the test of
//!   `openapi.json` need.
//! - Every body is bounded while it is read and in how deep its JSON goes, before anything is built from it.
//! - Everything that may block runs on a thread for that, at most [`ApiOptions::max_requests`] at once.
//! - Errors are `application/problem+json`, made in one file.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod api;
mod audit;
mod body;
mod catalogue;
mod console;
mod cursor;
mod diff;
mod docs;
mod door;
mod events;
mod explain;
mod forward;
mod health;
mod idempotency;
mod import;
mod json;
mod live;
mod member_export;
mod members;
mod metrics;
mod ndjson;
mod options;
mod people;
mod preconditions;
mod preview;
mod problem;
mod query;
mod reply;
mod route;
mod segment_compat;
mod segment_history;
mod segment_input;
mod segment_templates;
mod segments;
mod server;
mod sizes;
mod traits;
mod users;
mod webhooks;

pub use audience_protocol::Platform;
pub use door::Door;
pub use options::{ApiOptions, Listen, Scope};
pub use route::templates;
pub use server::{ServeError, Server, serve};

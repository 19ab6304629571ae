//! The Segment API and the Event Ingestion API over HTTP.
//!
//! [`serve`] binds the listeners and answers until it is told to stop. Everything that is asked goes to one
//! [`Platform`]; nothing is computed here.
//!
//! - A resource is a folder: handlers with a table of [`route::Route`]s, what it takes and gives, and its part of the
//!   description (`openapi.json`). All of them are in [`resources`]. warp carries the requests; the tables decide, because
//!   they are also what metrics (route templates), `405` (the `Allow` header) and the test of the description need.
//! - What resources share (`problem`, `reply`, `body`, `json`, `preconditions`, `route`, …) knows none of them. Modules
//!   form no circle.
//! - Every body is bounded while it is read and in how deep its JSON goes, before anything is built from it. All bodies share
//!   one budget of memory; each keeps up a least pace, and takes no place of the requests that are worked on meanwhile.
//! - Every route states what its caller must be; [`audience_auth`] is asked before anything of a body is read, but where a body
//!   holds the key (`body_key`).
//! - Everything that may block runs on a thread for that, at most [`ApiOptions::max_requests`] at once.
//! - Errors are `application/problem+json`, made in one file.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod access;
mod admission;
mod api;
mod body;
mod body_key;
mod body_memory;
mod call_body;
mod caller_address;
mod campaigns;
mod catalogue;
mod changes;
mod collection;
mod console;
mod contents;
mod cors;
mod cursor;
mod demo;
mod diff;
mod dispatch;
mod docs;
mod door;
mod etag;
mod events;
mod forward;
mod framing;
mod guard;
mod idempotency;
mod json;
mod limits;
mod merge_patch;
mod metrics;
mod openapi;
mod operations;
mod options;
mod pace;
mod preconditions;
mod problem;
mod progress;
mod query;
mod reply;
mod request;
mod resources;
mod route;
mod router;
mod segments;
mod server;
mod sizes;
mod subscribers;
mod templates;
mod tenant_way;
mod tenants;
mod tls;
mod traits;
mod users;
mod versions;
mod vocabulary;
mod webhooks;
mod work_place;

pub use audience_protocol::Platform;
pub use door::Door;
#[doc(hidden)]
pub use events::decode_as_everything;
pub use options::{ApiOptions, Listen, Scope};
pub use router::templates;
pub use server::{ServeError, Server, serve};
pub use tls::{SelfSigned, Tls, TlsError, TlsSource};

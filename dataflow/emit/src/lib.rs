//! Everything that follows the change log: sinks, subscribers, webhooks, sizes over time, and profiles of users in stores.
//!
//! **The law.** Each follower sees exactly the change log's changes, in order, from its own position on. A follower that
//! stores its position with what it writes sees each change exactly once.
//!
//! [`Emitted`] is the change log as followers read it: the newest ticks from memory, decoded once for all, older ones from
//! the log. What followers ask of the engine and the catalogue stands in small traits ([`memberships`], [`users`],
//! [`catalogue`]), which the engine implements: nothing here knows timely, the kernel or the engine.
//!
//! | Files | What passes through |
//! |---|---|
//! | `emitted`, `recent` | Committed ticks, from memory or from the change log. |
//! | `runs`, `change_log_name` | The marks by which a follower knows that a position is in this change log. |
//! | `sinks/` | Membership changes to connectors: position, pieces, snapshot, retries. |
//! | `live/` | Membership changes to subscribers, rendered once. |
//! | `webhooks/` | Messages to webhooks' targets, at least once. |
//! | `sizes/` | Sizes of segments, in buckets over time, and to stores. |
//! | `profiles/`, `trait_values` | Profiles of users to stores. |
//!
//! To add a follower, give it a context of what it reads, a position of its own, and a `run` that ends with a
//! [`Stop`](audience_background::Stop).
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod catalogue;
mod change_log_name;
mod emitted;
mod live;
pub mod memberships;
mod metrics;
mod occurrence;
mod profiles;
mod recent;
mod runs;
mod sinks;
mod sizes;
mod store_write;
pub mod trait_values;
pub mod users;
mod webhooks;

pub use self::change_log_name::change_log_name;
pub use self::emitted::{Emitted, Tick};
pub use self::live::Live;
pub use self::metrics::SinkMetrics;
pub use self::profiles::ProfileContext;
pub use self::runs::{Runs, take_changes_as_new};
pub use self::sinks::{SinkCondition, Sinks, Upstream, Verification};
pub use self::sizes::{SizeCounts, Sizes, SizesContext};
pub use self::webhooks::{WebhookContext, WebhookMetrics, WebhookOptions, Webhooks, WebhooksError};

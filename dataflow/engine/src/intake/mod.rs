//! Intake: events on their way in, from an API or a source through the event log into ticks.
//!
//! **Law.** An event that was accepted is durable, has its place in the one order, and is in exactly one tick.
//!
//! | File | What passes through |
//! |---|---|
//! | `acceptance` | Records into the event log, and their numbers. |
//! | `pump` | Durable records, and the clock, into ticks. |
//! | `sources`, `feed` | Messages of connectors into the event log, each once. |
//! | `shapes` | The fields that accepted events have, for those who write rules. |

pub(crate) mod acceptance;
pub(crate) mod feed;
pub(crate) mod pump;
pub(crate) mod shapes;
pub(crate) mod source_metrics;
pub(crate) mod sources;

pub use self::feed::ShareReader;

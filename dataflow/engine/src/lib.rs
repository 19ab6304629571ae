//! The running platform: workers and ticks, and the rooms that events, edits and changes pass through.
//!
//! | Room | What passes through |
//! |---|---|
//! | [`engine`] | Ticks into the workers, and whole ticks out of them. |
//! | [`cluster`] | The same between processes. |
//! | [`intake`] | Events from APIs and sources into the event log, and from there into ticks. |
//! | [`emission`] | Ticks into the change log, and from there to its followers. |
//! | [`standby`] | Every commit to a second process, which takes over. |
//! | [`durability`] | Checkpoints, recovery, history outside, erasures. |
//! | `enforce`, [`edit`], [`preview`] | Catalogue versions into force. |
//! | `resume` | A start, up to the live engine. |
//! | `lookup` | Questions about single users and segments. |
//! | `platform` | The resources of the APIs. |
//! | [`replay`] | Files of events and timelines, without a platform. |
//!
//! [`service`] wires the rooms together; no room knows it. Each room is given a small context of what it needs.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod advance;
pub mod cluster;
pub mod durability;
pub mod edit;
pub mod emission;
mod enforce;
pub mod engine;
mod fault;
mod health;
pub mod intake;
mod lifecycle;
mod lookup;
pub mod memory;
mod metrics;
mod occurrence;
mod platform;
pub mod preview;
pub mod replay;
mod resume;
pub mod rule_set;
mod run;
pub mod service;
pub mod standby;
pub mod start;
mod stores;

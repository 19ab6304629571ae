//! Workers, doors, clock, checkpoints, catalogue and replay.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod advance;
pub mod cluster;
pub mod edit;
mod enforce;
pub mod engine;
mod lookup;
pub mod memory;
pub mod preview;
pub mod replay;
pub mod rule_set;
pub mod service;

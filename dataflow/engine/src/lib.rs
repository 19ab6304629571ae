//! Workers, doors, clock, checkpoints, catalogue and replay.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod advance;
pub mod cluster;
pub mod edit;
pub mod engine;
pub mod memory;
pub mod preview;
pub mod replay;
pub mod rule_set;
pub mod service;

//! Random timelines, and what they are held to.
//!
//! - [`generate`]: timelines over the whole rule language, made so that things collide.
//! - [`check`]: one timeline against the oracle and the engine, line by line, with the log of changes.
//! - [`changes`]: the log of changes, folded.
//! - [`instants`]: when something may change by time alone.
//! - [`shrink`]: a failing timeline made small.
//! - [`case`]: a timeline with the settings of the engine that runs it.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod case;
pub mod changes;
pub mod check;
pub mod generate;
pub mod instants;
pub mod random;
pub mod shrink;

//! The kernel: the operator that joins user rows with rules, and owns the state of both collections.
//!
//! - [`program`]: a compiled rule.
//! - `measure`, `local_span`, `cell`, `window_log`, `relative_log`, `sequence_state`: the columns of a user row. `reading`: their values.
//! - [`question`]: what the naive evaluator answers, over the events that matter to it.
//! - [`footprint`]: the memory of a measure.
//! - [`registry`]: the measures, predicates and rules of one worker, with equal parts shared.
//! - [`worker`]: the user rows of one worker, and their evaluation.
//! - `rank`: the first users by a measure. `calendar`: the instants at which users change by time alone.
//! - [`aliases`]: the ids that are one user. [`membership`]: the members of each segment.
//! - [`operator`]: all of these as timely operators. [`dataflow`] joins them.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod aliases;
mod calendar;
mod cell;
mod certain;
pub mod dataflow;
pub mod footprint;
mod local_span;
mod measure;
pub mod membership;
pub mod message;
pub mod operator;
pub mod program;
pub mod question;
mod rank;
mod reading;
pub mod registry;
mod relative_log;
mod sequence_state;
#[cfg(test)]
mod testing;
mod window_log;
pub mod worker;

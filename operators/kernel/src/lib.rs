//! The operators of Audience Manager.
//!
//! - [`program`]: a rule made ready to run.
//! - [`measure`], [`cell`], [`window_log`], [`relative_log`], [`sequence_state`]: what is kept of a user.
//! - [`registry`]: what is computed, with equal parts shared.
//! - [`worker`]: the users of one worker.
//! - [`rank`], [`aliases`], [`calendar`], [`membership`]: the first of a population; ids that are one user; time; who is
//!   in what.
//! - [`operator`]: all of that as timely operators.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod aliases;
pub mod calendar;
pub mod cell;
mod certain;
pub mod measure;
pub mod membership;
pub mod message;
pub mod operator;
pub mod program;
pub mod rank;
pub mod reading;
pub mod registry;
pub mod relative_log;
pub mod sequence_state;
pub mod window_log;
pub mod worker;

//! Random timelines, and what they are held to.
//!
//! - [`generate`]: timelines over the whole rule language, made so that things collide.
//! - [`check`]: one timeline against the oracle and the engine, line by line, with the log of changes.
//! - [`changes`]: the log of changes, folded.
//! - [`cluster`]: the other processes of a cluster, as threads.
//! - [`instants`]: when something may change by time alone.
//! - [`shrink`]: a failing timeline made small.
//! - [`serve`]: the real program, started, killed and stopped; [`client`] asks it.
//! - [`traffic`]: what is written to it, and what must come of that.
//! - [`crash`]: what is done to it meanwhile.
//! - [`network`]: a second host, cut off now and then.
//! - [`ledger`]: what its data directory says.
//! - [`given_out`]: what the platform within the process gives out.
//! - [`fuzz_targets`]: what is done with bytes that may be anything.
//! - [`case`]: a timeline with the settings of the engine that runs it.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod case;
pub mod changes;
pub mod check;
pub mod client;
pub mod cluster;
pub mod crash;
pub mod fuzz_targets;
pub mod generate;
pub mod given_out;
pub mod instants;
pub mod ledger;
pub mod network;
pub mod platform;
pub mod proxy;
pub mod random;
pub mod serve;
pub mod shrink;
pub mod stream;
pub mod traffic;

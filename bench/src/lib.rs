//! Parts that the benchmarks share: a workload that is a function of numbers, a small HTTP client, the process under load.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod http;
pub mod machine;
pub mod process;
pub mod report;
pub mod workload;

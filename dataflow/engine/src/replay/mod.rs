//! The engine under a logical clock.

pub mod logical;
pub mod timeline;

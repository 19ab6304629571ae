//! The engine under a logical clock.

pub mod bulk;
pub mod logical;
pub mod timeline;

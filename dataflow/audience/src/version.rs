//! The version of the program.

/// The version, with the commit where the program was built from a checkout.
pub(crate) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), env!("AUDIENCE_BUILT_FROM"));

//! Settings of a pair: the lease, and the standby.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::positive::positive;

/// Settings of a process that is paired with another over one lease.
#[derive(Clone, Debug, Args)]
pub(crate) struct StandbySettings {
    /// The place of the lease that says which of two data directories may give out: `file:///directory`, which both reach. A
    /// process with a lease may have a standby. [default: none]
    #[arg(long, env = "AUDIENCE_LEASE", value_name = "URL")]
    pub lease: Option<String>,
    /// Seconds that the lease lasts after a renewal. A process that cannot renew it stops by then, and a standby takes over no
    /// sooner.
    #[arg(long, env = "AUDIENCE_LEASE_SECONDS", value_name = "SECONDS", default_value = "2", value_parser = positive::<u32>)]
    pub lease_seconds: u32,
    /// The URL of the process that this one follows as its standby, until it takes over: `https://host:port`. Without TLS,
    /// `http://host:port`. [default: none]
    #[arg(long, env = "AUDIENCE_STANDBY_OF", value_name = "URL")]
    pub standby_of: Option<String>,
    /// The file of the key with `system:follow` by which a standby signs in. [default: none]
    #[arg(long, env = "AUDIENCE_STANDBY_KEY_FILE", value_name = "FILE")]
    pub standby_key_file: Option<PathBuf>,
    /// A PEM file of certificate authorities by which a standby knows its primary, beside those of the machine. [default: none]
    #[arg(long, env = "AUDIENCE_STANDBY_CA_FILE", value_name = "FILE")]
    pub standby_ca_file: Option<PathBuf>,
    /// Whether a standby takes over by itself once the lease has run out, where that loses nothing: `automatic` or `manual`.
    #[arg(
        long,
        env = "AUDIENCE_STANDBY_PROMOTION",
        value_enum,
        value_name = "HOW",
        default_value = "manual",
        hide_possible_values = true
    )]
    pub standby_promotion: PromotionMode,
    /// Whether events are answered only once the standby has them too.
    #[arg(long, env = "AUDIENCE_STANDBY_ANSWERS", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", default_value = "false", value_parser = clap::value_parser!(bool))]
    pub standby_answers: bool,
    /// Seconds of silence after which a process goes on without its standby, and the lease says so.
    #[arg(long, env = "AUDIENCE_STANDBY_PATIENCE_SECONDS", value_name = "SECONDS", default_value = "4", value_parser = positive::<u32>)]
    pub standby_patience_seconds: u32,
}

/// How a standby comes to take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PromotionMode {
    /// By itself.
    Automatic,
    /// When it is told to.
    Manual,
}

//! The arguments of a bundle.

use std::path::PathBuf;

use clap::Args;

use crate::settings::ServeFlags;

/// The settings of the process, and what to add.
#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    #[command(flatten)]
    pub settings: ServeFlags,
    /// The file to write. [default: audience-debug-TIME.tar.gz]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// A file of log lines, whose last 4 MiB are added. Look through them: they may name users. [default: none]
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// A server key that may see the system, where callers must sign in. [default: none]
    #[arg(long, env = "AUDIENCE_KEY", value_name = "KEY", hide_env_values = true)]
    pub key: Option<String>,
}

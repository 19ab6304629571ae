//! `audience promote`: has the standby of a data directory take over.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::control;

/// The standby, and what may be lost.
#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    /// The data directory of the standby, on this host.
    #[arg(long, env = "AUDIENCE_DATA", value_name = "DIR", default_value = "./audience-data")]
    data: PathBuf,
    /// Takes over also where the lease says that the primary went on without the standby. What the primary accepted then is
    /// lost, and sinks that have it restart from scratch. [default: off]
    #[arg(long)]
    accept_loss: bool,
}

/// Orders the standby to take over, and waits until it has.
pub(crate) fn run(args: &PromoteArgs) -> anyhow::Result<ExitCode> {
    let promoted = control::ask_for_promotion(&args.data, args.accept_loss)?;
    let said = promoted.with_context(|| format!("no process serves {}", args.data.display()))?;
    writeln!(std::io::stdout(), "{said}")?;
    Ok(ExitCode::SUCCESS)
}

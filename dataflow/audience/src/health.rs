//! `audience health`: asks a running process for its health, for images and scripts without curl.

use std::process::ExitCode;

use clap::Args;

use crate::asking::{self, HttpQuestion};
use crate::settings::Address;

/// Bytes of an answer that are read; health is shorter.
const MOST: u64 = 1 << 16;

#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// The address of the process, as its `--listen` has it. One of all addresses is asked on this machine.
    #[arg(env = "AUDIENCE_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    address: Address,
    /// Asks whether the process lives, as it does while it starts. Without this: whether it takes work.
    #[arg(long)]
    live: bool,
}

/// Exit status 0: healthy; 1: not healthy, with the process's answer; 2: no answer.
pub(crate) fn run(args: &HealthArgs) -> anyhow::Result<ExitCode> {
    let path = if args.live { "/health/live" } else { "/health/ready" };
    let (status, body) = asking::ask_here(args.address.0, HttpQuestion { most: MOST, ..HttpQuestion::get(path) })?;
    println!("{body}");
    Ok(if status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

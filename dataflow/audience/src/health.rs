//! `audience health`: asks a running process for its health, for images and scripts without curl.

use std::process::ExitCode;

use clap::Args;

use crate::asking;
use crate::settings::Address;

/// Bytes of an answer that are read; health is shorter.
const MOST: u64 = 1 << 16;

#[derive(Debug, Args)]
pub struct HealthArgs {
    /// The address of the process, as its `--listen` has it. One of all addresses is asked on this machine.
    #[arg(env = "AUDIENCE_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    address: Address,
    /// Asks whether the process lives, as it does while it starts. Without this: whether it takes work.
    #[arg(long)]
    live: bool,
}

/// Exit status 0: healthy; 1: not healthy, with the process's answer; 2: no answer.
pub fn run(args: &HealthArgs) -> anyhow::Result<ExitCode> {
    let path = if args.live { "/health/live" } else { "/health/ready" };
    let (status, body) = ask(args.address, path)?;
    println!("{body}");
    Ok(if status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn ask(Address(mut address): Address, path: &str) -> anyhow::Result<(u16, String)> {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    asking::get_here(address, path, MOST)
}

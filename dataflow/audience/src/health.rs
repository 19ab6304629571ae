//! `audience health`: asks a running process for its health, for images and scripts without curl.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::settings::Address;

/// The time that connecting, and each part of the answer, may take.
const PATIENCE: Duration = Duration::from_secs(3);
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
    let mut stream =
        TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("nothing answers at {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).with_context(|| format!("{address} does not answer"))?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let Some((status, (_, body))) = status.zip(answer.split_once("\r\n\r\n")) else {
        bail!("what answers at {address} does not speak HTTP");
    };
    Ok((status, body.trim().to_owned()))
}

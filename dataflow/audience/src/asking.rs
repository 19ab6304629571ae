//! Questions to a running process over HTTP, one connection each.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};

/// The time that connecting, and each part of the answer, may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Reads what is at a path: the status and the body. A body of more than `most` bytes is cut off.
pub fn get(address: SocketAddr, path: &str, headers: &str, most: u64) -> anyhow::Result<(u16, String)> {
    let mut stream =
        TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("nothing answers at {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\n{headers}connection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(most).read_to_end(&mut answer).with_context(|| format!("{address} does not answer"))?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let Some((status, (_, body))) = status.zip(answer.split_once("\r\n\r\n")) else {
        bail!("what answers at {address} does not speak HTTP");
    };
    Ok((status, body.trim().to_owned()))
}

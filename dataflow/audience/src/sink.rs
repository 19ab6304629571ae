//! `audience sink`: the sinks of a running engine, compared with the memberships, repaired and rebuilt.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::Deserialize;

/// The time that one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a comparison that is under way.
const LOOK: Duration = Duration::from_millis(500);

/// The commands.
#[derive(Debug, Subcommand)]
pub enum SinkCommand {
    /// Lists the sinks with their faults and lags.
    List(EngineArgs),
    /// Compares every record of a sink with the memberships, and repairs those that differ, while events flow. The exit status
    /// is 1 where there were any.
    Verify(SinkArgs),
    /// Empties a sink and fills it again, while events flow. Readers of the store ask the engine meanwhile.
    Rebuild(SinkArgs),
}

/// Where the engine is.
#[derive(Clone, Debug, Args)]
pub struct EngineArgs {
    /// The URL of the process with the engine, `http://host:port`.
    #[arg(long, env = "AUDIENCE_ENGINE", value_name = "URL", default_value = "http://127.0.0.1:8081")]
    engine: String,
}

/// A sink.
#[derive(Clone, Debug, Args)]
pub struct SinkArgs {
    /// The sink's name, such as `redis:audience`; `audience sink list` prints them.
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SinkRow {
    name: String,
    fault: Option<String>,
    notice: Option<String>,
    lag_ticks: u64,
    verification: Option<VerificationRow>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct VerificationRow {
    checked: u64,
    wrong: u64,
    ended: u64,
    running: bool,
}

/// Runs a command.
pub fn run(command: &SinkCommand) -> anyhow::Result<ExitCode> {
    match command {
        SinkCommand::List(engine) => list(engine),
        SinkCommand::Verify(sink) => verify(sink),
        SinkCommand::Rebuild(sink) => rebuild(sink),
    }
}

fn list(engine: &EngineArgs) -> anyhow::Result<ExitCode> {
    for sink in engine.ask("GET", "/api/sinks")? {
        let state = sink.fault.or(sink.notice).unwrap_or_else(|| "up".to_owned());
        writeln!(std::io::stdout(), "{}\t{} ticks behind\t{state}", sink.name, sink.lag_ticks)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(SinkArgs { name, engine }: &SinkArgs) -> anyhow::Result<ExitCode> {
    let before = engine.verification("GET", "/api/sinks", name)?.ended;
    engine.ask("POST", &format!("/api/sinks/{name}/verify"))?;
    loop {
        let now = engine.verification("GET", "/api/sinks", name)?;
        if now.ended > before && !now.running {
            let VerificationRow { checked, wrong, .. } = now;
            writeln!(
                std::io::stdout(),
                "{name}: {checked} users compared, {wrong} records were wrong and are repaired"
            )?;
            return Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        std::thread::park_timeout(LOOK);
    }
}

fn rebuild(SinkArgs { name, engine }: &SinkArgs) -> anyhow::Result<ExitCode> {
    engine.ask("POST", &format!("/api/sinks/{name}/rebuild"))?;
    writeln!(
        std::io::stdout(),
        "{name} is emptied and filled again; `audience sink list` and /actuator/health tell when it is up"
    )?;
    Ok(ExitCode::SUCCESS)
}

impl EngineArgs {
    fn verification(&self, method: &str, path: &str, name: &str) -> anyhow::Result<VerificationRow> {
        let sinks = self.ask(method, path)?;
        let names: Vec<String> = sinks.iter().map(|sink| sink.name.clone()).collect();
        let found = sinks.into_iter().find(|sink| sink.name == name).and_then(|sink| sink.verification);
        found.with_context(|| {
            format!("no sink {name} can be compared with the memberships; there are: {}", names.join(", "))
        })
    }

    fn ask(&self, method: &str, path: &str) -> anyhow::Result<Vec<SinkRow>> {
        let authority = self.engine.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let authority = authority.filter(|authority| authority.contains(':') && !authority.contains('/'));
        let authority = authority.with_context(|| {
            format!(
                "--engine (AUDIENCE_ENGINE) is {}: write http://host:port, such as http://127.0.0.1:8081",
                self.engine
            )
        })?;
        let mut stream = TcpStream::connect(authority).with_context(|| format!("no engine answers at {authority}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        let (status, body) =
            read(BufReader::new(stream)).with_context(|| format!("{authority} gave no whole answer"))?;
        if status >= 300 {
            bail!("{authority} answered {status}: {}", String::from_utf8_lossy(&body));
        }
        serde_json::from_slice(&body).with_context(|| format!("{authority} gave another answer than expected"))
    }
}

/// Status and body of an answer after which the connection is closed. Lists of sinks are short, so that their length is told.
fn read(mut stream: impl BufRead) -> anyhow::Result<(u16, Vec<u8>)> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
    while !line.trim().is_empty() {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            bail!("it ended within its head");
        }
    }
    let mut body = Vec::new();
    stream.read_to_end(&mut body)?;
    Ok((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_body() {
        let text = "HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n[]";
        assert_eq!(read(text.as_bytes()).unwrap(), (202, b"[]".to_vec()));
        assert!(read("HTTP/1.1 200 OK\r\n".as_bytes()).is_err() && read("".as_bytes()).is_err());
    }
}

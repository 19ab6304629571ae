//! `audience sink`: the sinks of a running engine, compared with the memberships, repaired and rebuilt.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::Deserialize;

use crate::asking::{CaFlag, HttpQuestion, ServerAddress};

/// The time that one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of an answer that are read; lists of sinks are short.
const MOST: u64 = 1 << 20;
/// Between two looks at a comparison that is under way.
const LOOK: Duration = Duration::from_millis(500);

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum SinkCommand {
    /// Lists the sinks with their faults and lags.
    List(EngineArgs),
    /// Compares every record of a sink with the memberships, and repairs those that differ, while events flow. The exit status
    /// is 1 where there were any.
    Verify(SinkArgs),
    /// Empties a sink and fills it again, while events flow. Readers of the store ask the engine meanwhile.
    Rebuild(SinkArgs),
}

/// The address of the engine.
#[derive(Clone, Debug, Args)]
pub(crate) struct EngineArgs {
    /// The URL of the process with the engine, `http://host:port` or `https://host:port`.
    #[arg(long, env = "AUDIENCE_ENGINE", value_name = "URL", default_value = "http://127.0.0.1:8081")]
    engine: String,
    /// A server key that may see sinks and change them, where callers must sign in. [default: none]
    #[arg(long, env = "AUDIENCE_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,
    #[command(flatten)]
    ca: CaFlag,
}

/// A sink.
#[derive(Clone, Debug, Args)]
pub(crate) struct SinkArgs {
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
pub(crate) fn run(command: &SinkCommand) -> anyhow::Result<ExitCode> {
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
        // The engine is another process, and its API has no stream of comparisons.
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
        let engine = ServerAddress::parse(&self.engine, "--engine (AUDIENCE_ENGINE)", &self.ca)?;
        let key = self.key.as_deref();
        let (status, body) =
            engine.ask(HttpQuestion { method, key, patience: PATIENCE, most: MOST, ..HttpQuestion::get(path) })?;
        let authority = &engine.authority;
        match status {
            401 | 403 => bail!("{authority} does not let this caller ask for its sinks; give a server key with --key"),
            300.. => bail!("{authority} answered {status}: {body}"),
            _ => serde_json::from_str(&body).with_context(|| format!("{authority} gave another answer than expected")),
        }
    }
}

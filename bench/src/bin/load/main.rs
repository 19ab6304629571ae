//! Puts `audience serve` under load over HTTP and measures what it promises. See bench/README.md.
#![forbid(unsafe_code)]

mod edits;
mod flow;
mod live;
mod mixed;
mod phases;
mod probe;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use audience_bench::process::{BenchServer, ServerSetup};
use audience_bench::report::FigureReport;
use audience_bench::workload::Workload;
use clap::{Parser, ValueEnum};

use crate::flow::EventFlow;

/// Phases run in the order given, on one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LoadPhase {
    /// Users and events in, as fast as they are taken.
    Load,
    /// Edits and single events, timed, while events flow.
    Mixed,
    /// Reads of users' segments, while events flow.
    Reads,
    /// The same beside many who follow changes.
    Live,
    /// Rules on measures that nobody computed before.
    Backfill,
    /// A rule with millions of pending expirations; run `mixed` behind it.
    Pending,
    /// SIGTERM and a start; then kill -9 under load and a start.
    Restart,
    /// As many events again for the same users: what memory does.
    History,
    /// Kill -9 of one worker of several processes, until an event is served again.
    Recovery,
}

/// Puts `audience serve` under load and measures what it promises.
#[derive(Debug, Parser)]
#[command(max_term_width = 120)]
pub struct LoadArgs {
    /// The phases, in order.
    #[arg(value_enum, default_values_t = [LoadPhase::Load, LoadPhase::Mixed, LoadPhase::Reads, LoadPhase::Live,
        LoadPhase::Backfill, LoadPhase::Pending, LoadPhase::Mixed, LoadPhase::Restart, LoadPhase::History])]
    phases: Vec<LoadPhase>,
    /// The program to start.
    #[arg(long, default_value = "target/release/audience")]
    audience: PathBuf,
    /// A running server instead, on this machine; `restart` and figures of memory are left out.
    #[arg(long)]
    address: Option<SocketAddr>,
    /// The server's data directory. [default: a new directory that is deleted at the end]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Processes of the server.
    #[arg(long, default_value_t = 1)]
    processes: usize,
    /// Worker threads of each.
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// Users; a power of ten.
    #[arg(long, default_value_t = 1_000_000)]
    users: u64,
    /// Events to load.
    #[arg(long, default_value_t = 10_000_000)]
    events: u64,
    /// Events in a request of `load`.
    #[arg(long, default_value_t = 500)]
    batch: u64,
    /// Connections of `load`.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Rules that run from the beginning.
    #[arg(long, default_value_t = 100)]
    rules: u64,
    /// Events a second that flow in `mixed`, `reads` and `live`.
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// The subscribers who follow changes at once in `live`.
    #[arg(long, default_value_t = 1_000)]
    subscribers: usize,
    /// Seconds of each `mixed`, `reads` and `live`.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Further flags of the server.
    #[arg(last = true)]
    flags: Vec<String>,
}

/// The parts that the phases share.
pub struct LoadRun {
    /// As given.
    pub args: LoadArgs,
    /// The server.
    pub server: BenchServer,
    /// How it was started.
    pub setup: ServerSetup,
    /// The events.
    pub flow: EventFlow,
    /// The figures.
    pub report: FigureReport,
}

#[expect(clippy::disallowed_methods, reason = "events are dated by the wall clock, as those of clients are")]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

fn main() -> anyhow::Result<()> {
    let args = LoadArgs::parse();
    anyhow::ensure!(args.address.is_none_or(|address| address.ip().is_loopback()), "only on this machine");
    anyhow::ensure!(args.users <= args.events && args.users.is_multiple_of(10), "events below users, or odd users");
    let folder = tempfile::tempdir()?;
    let setup = ServerSetup {
        program: args.audience.clone(),
        data: args.data.clone().unwrap_or_else(|| folder.path().join("data")),
        processes: args.processes,
        workers: args.workers,
        flags: args.flags.clone(),
    };
    let server = match args.address {
        Some(address) => BenchServer::running(address),
        None => BenchServer::start(&setup)?.0,
    };
    let flow = EventFlow::new(Workload { users: args.users, events: args.events, now: now() }, args.batch);
    let phases = args.phases.clone();
    let mut run = LoadRun { args, server, setup, flow, report: FigureReport::default() };
    let mut result = Ok(());
    for phase in phases {
        eprintln!("-- {phase:?}");
        result = match phase {
            LoadPhase::Load => phases::load(&mut run),
            LoadPhase::Mixed => mixed::mixed(&mut run),
            LoadPhase::Reads => live::live(&mut run, "reads", 0),
            LoadPhase::Live => {
                let followers = run.args.subscribers;
                live::live(&mut run, "live", followers)
            }
            LoadPhase::Backfill => phases::backfill(&mut run),
            LoadPhase::Pending => phases::pending(&mut run),
            LoadPhase::Restart => phases::restart(&mut run),
            LoadPhase::History => phases::history(&mut run),
            LoadPhase::Recovery => phases::recovery(&mut run),
        }
        .with_context(|| format!("in phase {phase:?}"));
        if result.is_err() {
            break;
        }
    }
    run.report.print();
    result
}

//! Measures the way from Kafka to memberships, to `user-segments` and to Redis. See bench/README.md.
#![forbid(unsafe_code)]

mod kafka;
mod phases;
mod traffic;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use audience_bench::machine::{DiskWatch, ProcessorTime};
use audience_bench::process::{BenchServer, ServerSetup};
use audience_bench::report::{FigureReport, FigureTarget};
use clap::{Parser, ValueEnum};

use crate::kafka::{Producing, ReadChanges};
use crate::traffic::Traffic;

/// Phases run in the order given, on one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PipelinePhase {
    /// The history of all users, as fast as it is taken: first entries for the most part.
    History,
    /// So many events a second of users with a history.
    Sustained,
    /// As many events as in `sustained`, which wait while the server stands still.
    CatchUp,
    /// How long an event is under way, at a moderate rate.
    Latency,
    /// Memory while a moderate rate is ten times as high for a minute.
    Burst,
    /// Memory while the broker is stopped and events come over HTTP.
    Broker,
    /// Memory while Redis is stopped.
    Redis,
}

/// Measures the way from Kafka to memberships, to `user-segments` and to Redis.
#[derive(Debug, Parser)]
#[command(max_term_width = 120)]
pub struct PipelineArgs {
    /// The phases, in order.
    #[arg(value_enum, default_values_t = [PipelinePhase::History, PipelinePhase::Sustained, PipelinePhase::CatchUp,
        PipelinePhase::Latency, PipelinePhase::Burst, PipelinePhase::Broker, PipelinePhase::Redis])]
    phases: Vec<PipelinePhase>,
    /// The program to start.
    #[arg(long, default_value = "target/release/audience")]
    audience: PathBuf,
    /// Brokers of Kafka.
    #[arg(long, env = "AUDIENCE_TEST_KAFKA")]
    kafka: String,
    /// The address of Redis.
    #[arg(long, env = "AUDIENCE_TEST_REDIS")]
    redis: String,
    /// The process of the broker, which is stopped in `broker`.
    #[arg(long)]
    kafka_process: Option<i32>,
    /// The process of Redis, which is stopped in `redis`.
    #[arg(long)]
    redis_process: Option<i32>,
    /// The server's data directory. If it is there already, the run goes on from it, under the same name.
    /// [default: a new directory that is deleted at the end]
    #[arg(long)]
    data: Option<PathBuf>,
    /// The prefix of the names of topics and of the keys of Redis.
    #[arg(long, default_value = "bench-")]
    name: String,
    /// Worker threads of the server.
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// Readers of the topic of events; as many as the server has by itself where nothing is said.
    #[arg(long)]
    readers: Option<u32>,
    /// Writers of the topic of changes, likewise.
    #[arg(long)]
    writers: Option<u32>,
    /// Users; a power of ten, 1,000 at least.
    #[arg(long, default_value_t = 1_000_000)]
    users: u64,
    /// Events of `history`.
    #[arg(long, default_value_t = 20_000_000)]
    events: u64,
    /// Rules.
    #[arg(long, default_value_t = 1000)]
    rules: u64,
    /// Events a second in `sustained`.
    #[arg(long, default_value_t = 150_000)]
    rate: u64,
    /// Events a second in the other phases.
    #[arg(long, default_value_t = 20_000)]
    moderate_rate: u64,
    /// Seconds of each phase but for `history`.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Further flags of the server.
    #[arg(last = true)]
    flags: Vec<String>,
}

/// The parts that the phases share.
pub struct PipelineRun {
    /// As given.
    pub args: PipelineArgs,
    /// The server.
    pub server: BenchServer,
    /// The side that sends events.
    pub producing: Producing,
    /// The events of the run.
    pub traffic: Traffic,
    /// The changes read from the topic.
    pub seen: Arc<ReadChanges>,
    /// The figures.
    pub report: FigureReport,
}

/// Milliseconds.
#[expect(clippy::disallowed_methods, reason = "events are dated by the wall clock, as those of clients are")]
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

/// Sleeps; nothing wakes these threads.
pub fn pause(time: Duration) {
    let until = Instant::now() + time;
    while let Some(rest) = until.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) {
        std::thread::park_timeout(rest);
    }
}

fn config(args: &PipelineArgs) -> String {
    let PipelineArgs { kafka, redis, name, .. } = args;
    let several = [("readers", args.readers), ("writers", args.writers)];
    let several =
        several.map(|(key, number)| number.map_or(String::new(), |number| format!("{key} = {number}\n"))).concat();
    format!(
        "[kafka]\nbrokers = {kafka:?}\ntopic_prefix = {name:?}\n{several}\n[redis]\nurl = {redis:?}\nprefix = \"{name}audience\"\n"
    )
}

fn main() -> anyhow::Result<()> {
    let args = PipelineArgs::parse();
    anyhow::ensure!(args.users.is_multiple_of(1000), "users are a power of ten, 1,000 at least");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("audience.toml");
    std::fs::write(&file, config(&args))?;
    let mut flags = vec!["--config".to_owned(), file.display().to_string()];
    flags.extend(args.flags.iter().cloned());
    let data = args.data.clone().unwrap_or_else(|| folder.path().join("data"));
    let is_new = !data.exists();
    let near = std::path::absolute(&data)?.parent().context("data have a directory to lie in")?.to_owned();
    let setup = ServerSetup { program: args.audience.clone(), data, processes: 1, workers: args.workers, flags };
    let server = BenchServer::start(&setup)?.0;
    eprintln!("-- the server is on {}", server.address);
    if is_new {
        phases::put_rules(&mut server.client()?, args.rules)?;
    }
    let producing = Producing::new(&args.kafka, &format!("{}user-events", args.name))?;
    let traffic = Traffic { users: args.users };
    let seen = Arc::new(ReadChanges::default());
    let (following, brokers, topic) = (seen.clone(), args.kafka.clone(), format!("{}user-segments", args.name));
    kafka::wait_for_topics(&args.kafka, &[producing.topic(), &topic])?;
    let follower = std::thread::spawn(move || kafka::follow(&brokers, &topic, &following));
    let mut run = PipelineRun { args, server, producing, traffic, seen, report: FigureReport::default() };
    let mut result = phases::go_on(&mut run, is_new);
    for phase in run.args.phases.clone() {
        if result.is_err() {
            break;
        }
        eprintln!("-- {phase:?}");
        let before = ProcessorTime::now();
        let disk = DiskWatch::start(&near);
        result = match phase {
            PipelinePhase::History => phases::history(&mut run),
            PipelinePhase::Sustained => phases::sustained(&mut run),
            PipelinePhase::CatchUp => phases::catch_up(&mut run),
            PipelinePhase::Latency => phases::latency(&mut run),
            PipelinePhase::Burst => phases::burst(&mut run),
            PipelinePhase::Broker => phases::broker(&mut run),
            PipelinePhase::Redis => phases::redis(&mut run),
        }
        .with_context(|| format!("in phase {phase:?}"));
        if let Some((now, before)) = ProcessorTime::now().zip(before) {
            let what = format!("{phase:?}: processor time that the host gave to others").to_lowercase();
            run.report.add(&what, now.stolen_percent_since(before), "%", FigureTarget::None);
        }
        if let Some(times) = disk.ok().and_then(DiskWatch::end) {
            let what = format!("{phase:?}: longest that the disk took for a block").to_lowercase();
            run.report.add(&what, 1000.0 * times.greatest.as_secs_f64(), "ms", FigureTarget::None);
            let what = format!("{phase:?}: the disk stood still, in all").to_lowercase();
            run.report.add(&what, 1000.0 * times.stood_still.as_secs_f64(), "ms", FigureTarget::None);
        }
    }
    run.report.print();
    run.seen.end();
    follower.join().ok().context("the reader of changes died")??;
    let ended = run.server.end(rustix::process::Signal::TERM);
    result.and(ended.map(drop))
}

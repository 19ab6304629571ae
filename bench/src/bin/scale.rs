//! The engine by itself over processes and threads: events that are made beforehand, no broker, no store, nothing written.
//!
//! `scale 1x1 2x1 1x4` measures one process of one worker, two processes of one, and one of four; rounds of all of them
//! alternate, and each is told as a ratio to the first.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use audience_bench::workload::{Workload, rule};
use audience_contract::{EventLog, MessageIndex};
use audience_engine::cluster::coordinator::Coordinator;
use audience_engine::cluster::host::{self, HostOptions};
use audience_engine::cluster::{AskedStores, Origin};
use audience_engine::edit;
use audience_engine::emission::encode;
use audience_engine::engine::{Beginning, Engine, EngineOptions, Seed, TickItems};
use audience_engine::memory::{MemoryLog, MemoryMessages};
use audience_engine::rule_set::RuleSet;
use audience_kernel::aliases::Aliases;
use audience_kernel::worker::WorkerState;
use audience_rules::catalogue::{Catalogue, Definition, Segment, SegmentStatus};
use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::json::parse_json;
use audience_rules::record::set_sequence;
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Events of a tick for each worker.
const EVENTS_A_PIECE: u64 = 8_192;
const CLOCK: i64 = 1_700_000_000_000;

/// The engine by itself over processes and threads.
#[derive(Debug, Parser)]
struct ScaleArgs {
    /// Processes and worker threads of each.
    #[arg(value_name = "PROCESSESxWORKERS", default_values = ["1x1", "2x1", "1x4"])]
    shapes: Vec<String>,
    /// Events that are counted; as many come before, uncounted.
    #[arg(long, default_value_t = 2_000_000)]
    events: u64,
    /// Users.
    #[arg(long, default_value_t = 200_000)]
    users: u64,
    /// Rules in force.
    #[arg(long, default_value_t = 1_000)]
    rules: u64,
    /// Rounds; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// One of the other processes: joins the coordinator there.
    #[arg(long, hide = true, num_args = 2, value_names = ["COORDINATOR", "PROCESS"])]
    host: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    processes: usize,
    workers: usize,
}

impl Shape {
    fn parse(text: &str) -> anyhow::Result<Shape> {
        let numbers = text.split_once('x').and_then(|(processes, workers)| {
            Some(Shape { processes: processes.parse().ok()?, workers: workers.parse().ok()? })
        });
        numbers
            .filter(|shape| shape.processes > 0 && shape.workers > 0)
            .with_context(|| format!("`{text}` is no shape"))
    }
}

/// The figures of a run.
#[derive(Clone, Copy, Debug)]
struct ScaleRun {
    events_a_second: f64,
    /// The time of the first process's workers for each event of theirs: what grows with the number of workers is lost to waits
    /// for memory, what does not and yet is slower is lost to waits for one another.
    worker_cpu_us: f64,
}

fn main() -> anyhow::Result<()> {
    let args = ScaleArgs::parse();
    if let [coordinator, process] = &args.host[..] {
        let options = HostOptions {
            process: process.parse()?,
            coordinator: coordinator.clone(),
            listen: "127.0.0.1:0".to_owned(),
            leaving: Default::default(),
            status: Arc::default(),
        };
        return Ok(host::run(&options)?);
    }
    let shapes: Vec<Shape> = args.shapes.iter().map(|text| Shape::parse(text)).collect::<Result<_, _>>()?;
    if shapes.is_empty() || args.rounds == 0 {
        bail!("nothing to measure");
    }
    let pieces = pieces(&args)?;
    let mut runs: Vec<Vec<ScaleRun>> = vec![Vec::new(); shapes.len()];
    for _ in 0..args.rounds {
        for (shape, runs) in shapes.iter().zip(&mut runs) {
            runs.push(measure(&args, *shape, &pieces)?);
        }
    }
    let medians = runs.into_iter().map(|mut runs| {
        runs.sort_by(|one, other| one.events_a_second.total_cmp(&other.events_a_second));
        runs[runs.len() / 2]
    });
    println!("{} rules, {} users, {} events, {} rounds", args.rules, args.users, args.events, args.rounds);
    let mut first = None;
    for (shape, ScaleRun { events_a_second, worker_cpu_us }) in args.shapes.iter().zip(medians) {
        let ratio = events_a_second / *first.get_or_insert(events_a_second);
        println!(
            "{shape:>6}  {events_a_second:>12.0} events/s  {ratio:.2} x  {worker_cpu_us:.2} us of workers' CPU an event"
        );
    }
    Ok(())
}

/// All events, decoded, in pieces.
fn pieces(args: &ScaleArgs) -> anyhow::Result<Vec<Vec<u8>>> {
    let workload = Workload { users: args.users, events: 2 * args.events, now: CLOCK };
    let mut decoder = EventDecoder::new();
    let mut pieces = Vec::new();
    let mut json = Vec::new();
    for first in (0..2 * args.events).step_by(EVENTS_A_PIECE as usize) {
        let mut piece = Vec::new();
        for number in first..(first + EVENTS_A_PIECE).min(2 * args.events) {
            json.clear();
            workload.write(number, None, &mut json);
            let start = piece.len();
            decoder.decode(&json, &EventDefaults { accepted_at: CLOCK }, &mut piece)?;
            set_sequence(&mut piece[start..], number);
        }
        pieces.push(piece);
    }
    Ok(pieces)
}

fn catalogue(rules: u64) -> anyhow::Result<Catalogue> {
    let mut catalogue = Catalogue::with_shipped_traits();
    for number in 0..rules {
        let json = parse_json(rule(number).as_bytes()).map_err(|fault| anyhow::anyhow!("{fault}"))?;
        let id = format!("s{number}");
        let node = catalogue.check_rules(&id, &json).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
        let definition = Definition::Dynamic(node.into());
        catalogue.put_segment(Segment { id: id.into(), version: 1, status: SegmentStatus::Active, definition });
    }
    Ok(catalogue)
}

/// Kills the other processes where a run is given up.
struct Others(Vec<Child>);

impl Drop for Others {
    fn drop(&mut self) {
        for other in &mut self.0 {
            let _ = other.kill();
            let _ = other.wait();
        }
    }
}

/// CPU time of this process's worker threads so far, microseconds.
fn worker_cpu_us() -> anyhow::Result<f64> {
    let mut ticks = 0u64;
    for task in std::fs::read_dir("/proc/self/task")? {
        let stat = std::fs::read_to_string(task?.path().join("stat"))?;
        let Some((name, fields)) = stat.rsplit_once(')') else { continue };
        if name.contains("timely:work") {
            // User and system time are the 12th and 13th field behind the name, in hundredths of a second.
            ticks +=
                fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
        }
    }
    Ok(ticks as f64 * 10_000.0)
}

/// Measures the second half.
fn measure(args: &ScaleArgs, shape: Shape, pieces: &[Vec<u8>]) -> anyhow::Result<ScaleRun> {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::default());
    let messages: Arc<dyn MessageIndex> = Arc::new(MemoryMessages::default());
    let options = EngineOptions { workers: shape.workers, ..EngineOptions::default() };
    let mut others = Others(Vec::new());
    let peers = if shape.processes > 1 {
        let coordinator = Coordinator::bind("127.0.0.1:0", shape.processes, Default::default())?;
        let address = coordinator.address()?.to_string();
        for process in 1..shape.processes {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["--host", &address, &process.to_string()]).stdin(Stdio::null());
            others.0.push(command.spawn()?);
        }
        let asked = AskedStores { events: log.clone(), messages: messages.clone(), checkpoints: None };
        Some(coordinator.gather(options, Origin::default(), asked)?)
    } else {
        None
    };
    let seed: Seed =
        Arc::new(move |_, _| Ok((WorkerState::new(Arc::new(log.clone()), messages.clone()), Aliases::default())));
    let engine = Engine::start(options, peers, seed, encode, Box::new(|_| Ok(())), Beginning::at(CLOCK))?;
    let catalogue = catalogue(args.rules)?;
    let difference = RuleSet::default().difference(&RuleSet::of(&catalogue), &catalogue);
    edit::apply(&engine, &MemoryLog::default(), difference, 0)?;
    let (warm, counted) = pieces.split_at(pieces.len() / 2);
    feed(&engine, warm)?;
    let (begun, cpu_us) = (Instant::now(), worker_cpu_us()?);
    feed(&engine, counted)?;
    let took: Duration = begun.elapsed();
    let cpu_us = worker_cpu_us()? - cpu_us;
    engine.stop();
    for other in &mut others.0 {
        other.wait()?;
    }
    Ok(ScaleRun {
        events_a_second: args.events as f64 / took.as_secs_f64(),
        worker_cpu_us: cpu_us * shape.processes as f64 / args.events as f64,
    })
}

fn feed(engine: &Engine, pieces: &[Vec<u8>]) -> anyhow::Result<()> {
    let workers = engine.workers();
    let mut last = None;
    for tick in pieces.chunks(workers) {
        last = Some(engine.submit(|_| TickItems::dealt(tick.to_vec(), workers))?);
    }
    if let Some(last) = last {
        engine.wait_for(last)?;
    }
    Ok(())
}

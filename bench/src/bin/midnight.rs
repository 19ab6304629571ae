//! Measures midnight: every user of a worker leaves a segment at one instant, while ticks go on.
//!
//! A worker without a store takes users, each with an event of the day that ends. The clock then goes on, a tick every 50 ms,
//! over the midnight of the rule's zone. An event that comes just then waits for the tick that has it: what that takes of the
//! processor is the figure. Once the clock has had the minutes before, in which answers are made ready, and once it starts a
//! second before.

use std::sync::Arc;

use anyhow::{Context, ensure};
use audience_engine::memory::{MemoryLog, MemoryMessages};
use audience_kernel::message::{Publication, Routed, SegmentContent, TickClock};
use audience_kernel::program::Program;
use audience_kernel::worker::{TickInput, WorkerState};
use audience_rules::catalogue::Catalogue;
use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::json::parse_json;
use audience_rules::record::set_sequence;
use clap::Parser;
use hashbrown::HashMap;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// 2026-06-10T22:00:00Z, midnight in Berlin.
const MIDNIGHT: i64 = 1_781_128_800_000;
const STEP: i64 = 50;
const USERS_A_TICK: u64 = 10_000;

/// The rules that are measured, each with what it is called.
const RULES: [(&str, &str); 4] = [
    (
        "a calendar day, one zone",
        r#"{"event": "visit", "within": {"calendar": "day", "from": 0, "zone": "Europe/Berlin"}}"#,
    ),
    (
        "a calendar day, each user's zone",
        r#"{"event": "visit", "within": {"calendar": "day", "from": 0, "zone": "user"}}"#,
    ),
    (
        "lines of orders not cancelled, a calendar day",
        r#"{"event": "visit", "each": "lines", "unless": {"event": "undo", "same": ["item.n", "n"]}, "within": {"calendar": "day", "from": 0, "zone": "Europe/Berlin"}}"#,
    ),
    ("`within` of the first page", r#"{"event": "visit", "within": "12h"}"#),
];

/// Measures midnight.
#[derive(Parser)]
struct MidnightFlags {
    /// Users of the worker.
    #[arg(long, default_value_t = 500_000)]
    users: u64,
}

/// The processor time that a run took, in milliseconds.
struct MidnightRun {
    midnight: f64,
    /// The longest tick before.
    before: f64,
    /// All ticks before.
    all_before: f64,
}

fn main() -> anyhow::Result<()> {
    let flags = MidnightFlags::parse();
    println!("{} users of one worker, each in one segment until midnight; milliseconds of the processor", flags.users);
    println!("| rule | clock before | tick of midnight | longest tick before | all ticks before |");
    println!("|---|---|---|---|---|");
    for (name, rule) in RULES {
        for (before, words) in [(600_000, "ten minutes"), (1_000, "a second")] {
            let MidnightRun { midnight, before, all_before } = measure(flags.users, rule, before)?;
            println!("| {name} | {words} | {midnight:.0} | {before:.1} | {all_before:.0} |");
        }
    }
    Ok(())
}

fn measure(users: u64, rule: &str, before: i64) -> anyhow::Result<MidnightRun> {
    let mut worker = WorkerState::new(Arc::new(Arc::new(MemoryLog::default())), Arc::new(MemoryMessages::default()));
    put_in_force(&mut worker, rule, MIDNIGHT - before)?;
    fill(&mut worker, users, MIDNIGHT - before)?;
    ensure!(worker.segment_members() == [(0, users)], "{:?} of {users} are members", worker.segment_members());
    let mut longest: f64 = 0.0;
    let begun = cpu_millis()?;
    for clock in (MIDNIGHT - before..MIDNIGHT).step_by(STEP as usize) {
        longest = longest.max(tick(&mut worker, clock)?);
    }
    let all_before = cpu_millis()? - begun;
    ensure!(worker.output.changes.is_empty(), "somebody left before midnight");
    let midnight = tick(&mut worker, MIDNIGHT)?;
    ensure!(worker.output.changes.len() as u64 == users, "{} of {users} left at midnight", worker.output.changes.len());
    Ok(MidnightRun { midnight, before: longest, all_before })
}

/// A tick in which only time passes; gives what it took.
fn tick(worker: &mut WorkerState, clock: i64) -> anyhow::Result<f64> {
    let begun = cpu_millis()?;
    worker.tick(TickInput { clock: TickClock::at(clock), routed: Vec::new() }).context("a tick")?;
    Ok(cpu_millis()? - begun)
}

/// The processor time that this thread has had.
fn cpu_millis() -> anyhow::Result<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos: f64 = told.split_whitespace().next().context("no time of the processor")?.parse()?;
    Ok(nanos / 1e6)
}

fn put_in_force(worker: &mut WorkerState, rule: &str, clock: i64) -> anyhow::Result<()> {
    let catalogue = Catalogue::with_shipped_traits();
    let json = parse_json(rule.as_bytes()).map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let node = catalogue.check_rules("s", &json).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    worker.install(&[(Arc::from("s"), Arc::new(Program::compile(&node, &catalogue)))], None);
    worker.begin_scan(None);
    while !worker.scan_slice(u32::MAX) {}
    let published = Publication { segment: Arc::from("s"), version: 1, content: SegmentContent::Rule };
    worker.publish(&[published], &HashMap::new(), clock);
    Ok(())
}

/// Gives each user their zone and an event, which is twelve hours old at midnight.
fn fill(worker: &mut WorkerState, users: u64, clock: i64) -> anyhow::Result<()> {
    let (mut decoder, mut sequence, at) = (EventDecoder::new(), 0, MIDNIGHT - 12 * 3_600_000);
    for first in (0..users).step_by(USERS_A_TICK as usize) {
        let mut records = Vec::new();
        for user in first..users.min(first + USERS_A_TICK) {
            for line in [
                format!(
                    r#"{{"userId":"user-{user:08}","eventType":"identify","timestamp":{at},"traits":{{"timezone":"Europe/Berlin"}}}}"#
                ),
                format!(
                    r#"{{"userId":"user-{user:08}","eventType":"visit","timestamp":{at},"properties":{{"lines":[{{"n":1}},{{"n":2}}]}}}}"#
                ),
            ] {
                let start = records.len();
                let decoded = decoder.decode(line.as_bytes(), &EventDefaults { accepted_at: clock }, &mut records);
                decoded.map_err(|fault| anyhow::anyhow!("{}: {}", fault.pointer, fault.message))?;
                set_sequence(&mut records[start..], sequence);
                sequence += 1;
            }
        }
        let routed = vec![Routed { records, ..Routed::default() }];
        worker.tick(TickInput { clock: TickClock::at(clock), routed }).context("a tick")?;
        worker.output.changes.clear();
    }
    Ok(())
}

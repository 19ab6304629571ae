//! Measures the memory of a live user-feature: what a worker keeps of one user for one measure.
//!
//! A worker without a store takes a million users, first with one event that no rule wants, then with events that give
//! each of them something of every measure. What the process grew by between, by user and measure, is the figure; what it
//! grew by for the users alone is the other.

use std::sync::Arc;

use anyhow::{Context, ensure};
use audience_bench::process::resident;
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

const CLOCK: i64 = 1_700_000_000_000;
/// Categories, each with a count and a sum: two measures.
const CATEGORIES: u64 = 20;
const NO_MEMORY: &str = "the system does not say how much memory this process has";
const USERS_A_TICK: u64 = 10_000;

/// Measures the memory of a live user-feature.
#[derive(Parser)]
struct Flags {
    /// Users.
    #[arg(long, default_value_t = 1_000_000)]
    users: u64,
    /// Rules over the measures.
    #[arg(long, default_value_t = 100)]
    rules: u64,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let mut worker = WorkerState::new(Arc::new(Arc::new(MemoryLog::default())), Arc::new(MemoryMessages::default()));
    put_in_force(&mut worker, flags.rules)?;
    let mut feed = WorkerFeed { worker, decoder: EventDecoder::new(), sequence: 0 };
    let empty = resident(None).context(NO_MEMORY)?;
    feed.everyone(flags.users, |user| format!(r#"{{"userId":"user-{user:08}","eventType":"nothing"}}"#))?;
    let known = resident(None).context(NO_MEMORY)?;
    for category in 0..CATEGORIES {
        feed.everyone(flags.users, |user| {
            let amount = user * 7919 % 900;
            format!(
                r#"{{"userId":"user-{user:08}","eventType":"purchase","properties":{{"category":"cat{category:02}","amount":{amount}.25}}}}"#
            )
        })?;
    }
    let full = resident(None).context(NO_MEMORY)?;
    let (users, cells) = feed.worker.figures();
    let expected = flags.users as usize * 2 * CATEGORIES as usize;
    ensure!(users as u64 == flags.users && cells == expected, "{users} users have {cells} cells, not {expected}");
    let per = |bytes: u64, count: usize| bytes as f64 / count as f64;
    println!("| figure | measured | target |");
    println!("|---|---|---|");
    println!("| a user, with an id of 13 bytes | {:.1} bytes | |", per(known - empty, users));
    println!("| a live user-feature ({cells} of them) | {:.1} bytes | ≤ 48 |", per(full - known, cells));
    println!("| a live user-feature with its share of the user | {:.1} bytes | |", per(full - empty, cells));
    Ok(())
}

/// Puts rules in force over all measures.
fn put_in_force(worker: &mut WorkerState, rules: u64) -> anyhow::Result<()> {
    let catalogue = Catalogue::with_shipped_traits();
    let mut programs = Vec::new();
    for rule in 0..rules.max(2 * CATEGORIES) {
        let category = rule % CATEGORIES;
        let measure =
            if (rule / CATEGORIES).is_multiple_of(2) { r#""count""# } else { r#"{"fn": "sum", "of": "amount"}"# };
        let text = format!(
            r#"{{"event": "purchase", "where": {{"field": "category", "operator": "eq", "value": "cat{category:02}"}}, "measure": {measure}, "operator": "gt", "value": {}}}"#,
            rule * 9
        );
        let json = parse_json(text.as_bytes()).map_err(|fault| anyhow::anyhow!("{fault}"))?;
        let node = catalogue.check_rules("s", &json).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
        programs.push((Arc::from(format!("s{rule}")), Arc::new(Program::compile(&node, &catalogue))));
    }
    worker.install(&programs, None);
    let publications: Vec<Publication> = programs
        .iter()
        .map(|(segment, _)| Publication { segment: Arc::clone(segment), version: 1, content: SegmentContent::Rule })
        .collect();
    worker.begin_scan(None);
    while !worker.scan_slice(u32::MAX) {}
    worker.publish(&publications, &HashMap::new(), CLOCK);
    Ok(())
}

/// Feeds events to a worker.
struct WorkerFeed {
    worker: WorkerState,
    decoder: EventDecoder,
    sequence: u64,
}

impl WorkerFeed {
    /// One event of each user.
    fn everyone(&mut self, users: u64, line: impl Fn(u64) -> String) -> anyhow::Result<()> {
        for first in (0..users).step_by(USERS_A_TICK as usize) {
            let mut records = Vec::new();
            for user in first..users.min(first + USERS_A_TICK) {
                let start = records.len();
                let defaults = EventDefaults { accepted_at: CLOCK };
                let decoded = self.decoder.decode(line(user).as_bytes(), &defaults, &mut records);
                decoded.map_err(|fault| anyhow::anyhow!("{}: {}", fault.pointer, fault.message))?;
                set_sequence(&mut records[start..], self.sequence);
                self.sequence += 1;
            }
            let routed = vec![Routed { records, ..Routed::default() }];
            self.worker.tick(TickInput { clock: TickClock::at(CLOCK), routed }).context("a tick")?;
            self.worker.output.changes.clear();
        }
        Ok(())
    }
}

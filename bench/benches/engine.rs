//! The operators by themselves: decoding, events against many rules, and a look at every user.
//!
//! `cargo bench -p audience-bench --bench engine`

use std::sync::Arc;

use audience_engine::memory::{MemoryLog, MemoryMessages};
use audience_kernel::message::{Publication, Routed, SegmentContent, TickClock};
use audience_kernel::program::Program;
use audience_kernel::worker::{TickInput, WorkerState};
use audience_rules::catalogue::Catalogue;
use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::json::parse_json;
use audience_rules::record::set_sequence;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hashbrown::HashMap;

const USERS: u64 = 50_000;
const EVENTS: u64 = 10_000;
const CLOCK: i64 = 1_700_000_000_000;

fn line(index: u64) -> String {
    let user = index * 7919 % USERS;
    let category = index % 20;
    format!(
        r#"{{"userId":"u{user}","eventType":"purchase","timestamp":{CLOCK},"properties":{{"category":"cat{category:02}","amount":{}.25}}}}"#,
        index % 90
    )
}

fn encoded(first: u64, count: u64) -> Vec<u8> {
    let mut decoder = EventDecoder::new();
    let mut out = Vec::new();
    for index in first..first + count {
        let start = out.len();
        let defaults = EventDefaults { accepted_at: CLOCK };
        decoder.decode(line(index).as_bytes(), &defaults, &mut out).expect("an event");
        set_sequence(&mut out[start..], index);
    }
    out
}

fn tick(worker: &mut WorkerState, records: Vec<u8>) {
    let routed = vec![Routed { records, ..Routed::default() }];
    worker.tick(TickInput { clock: TickClock::at(CLOCK), routed }).expect("a tick");
    worker.output.changes.clear();
}

/// A worker with so many rules in force and every user known.
fn worker(rules: usize) -> WorkerState {
    let mut worker = WorkerState::new(Arc::new(Arc::new(MemoryLog::default())), Arc::new(MemoryMessages::default()));
    let catalogue = Catalogue::with_shipped_traits();
    let programs: Vec<_> = (0..rules)
        .map(|rule| {
            let category = rule % 20;
            let text = format!(
                r#"{{"conditions": [{{"field": "totalSpent", "operator": "gte", "value": {}}}, {{"event": "purchase", "where": {{"field": "category", "operator": "eq", "value": "cat{category:02}"}}, "operator": "gt", "value": {}}}]}}"#,
                rule % 997,
                rule % 7
            );
            let json = parse_json(text.as_bytes()).expect("JSON");
            let node = catalogue.check_rules("s", &json).expect("a rule");
            (Arc::from(format!("s{rule}")), Arc::new(Program::compile(&node, &catalogue)))
        })
        .collect();
    worker.install(&programs, None);
    worker.begin_scan(None);
    while !worker.scan_slice(u32::MAX) {}
    let publications: Vec<Publication> = programs
        .iter()
        .map(|(segment, _)| Publication { segment: Arc::clone(segment), version: 1, content: SegmentContent::Rule })
        .collect();
    worker.publish(&publications, &HashMap::new(), CLOCK);
    tick(&mut worker, encoded(0, USERS));
    worker
}

fn decode(criterion: &mut Criterion) {
    let lines: Vec<String> = (0..EVENTS).map(line).collect();
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("events", |bencher| {
        let mut decoder = EventDecoder::new();
        let mut out = Vec::new();
        bencher.iter(|| {
            out.clear();
            for line in &lines {
                decoder.decode(line.as_bytes(), &EventDefaults { accepted_at: CLOCK }, &mut out).expect("an event");
            }
            out.len()
        });
    });
    group.finish();
}

fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tick");
    group.throughput(Throughput::Elements(EVENTS)).sample_size(10);
    for rules in [10, 1_000, 10_000] {
        let mut worker = worker(rules);
        let mut next = USERS;
        group.bench_function(format!("{rules} rules"), |bencher| {
            bencher.iter_batched(
                || {
                    next += EVENTS;
                    encoded(next - EVENTS, EVENTS)
                },
                |records| tick(&mut worker, records),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn edit(criterion: &mut Criterion) {
    let mut worker = worker(1_000);
    let catalogue = Catalogue::with_shipped_traits();
    let mut version = 1u64;
    criterion.bench_function("an edited rule over 50,000 users", |bencher| {
        bencher.iter(|| {
            version += 1;
            let text = format!(r#"{{"field": "totalSpent", "operator": "gte", "value": {}}}"#, 100 + version % 2);
            let node = catalogue.check_rules("s", &parse_json(text.as_bytes()).expect("JSON")).expect("a rule");
            let segment: Arc<str> = Arc::from("s1");
            worker.install(&[(Arc::clone(&segment), Arc::new(Program::compile(&node, &catalogue)))], None);
            worker.begin_scan(None);
            while !worker.scan_slice(u32::MAX) {}
            worker.publish(&[Publication { segment, version, content: SegmentContent::Rule }], &HashMap::new(), CLOCK);
            worker.output.changes.clear();
        });
    });
}

criterion_group!(benches, decode, events, edit);
criterion_main!(benches);

//! Measures the stores on this machine: `cargo run --release -p audience-embedded --example measure_embedded [millions] [dir]`.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use audience_contract::{EventLog, MessageIndex, Progress, suite};
use audience_embedded::{Options, Stores};

const BATCH: u64 = 500;
const EVENTS_OF_A_USER: u64 = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let millions: u64 = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let made = tempfile::tempdir()?;
    let path = arguments.next().map_or(made.path().to_owned(), PathBuf::from);
    let events = millions * 1_000_000;
    {
        let stores = Stores::open(&path, &Options::default())?;
        if stores.events().end() == 0 {
            append(&*stores.events(), events / 2, 8);
            append(&*stores.events(), events / 2, 8);
            single(&*stores.events(), 1);
            single(&*stores.events(), 8);
            note(&*stores.messages(), events, 4);
            commit(&stores);
        }
    }
    let start = Instant::now();
    let stores = Stores::open(&path, &Options::default())?;
    println!("open: {:?}", start.elapsed());
    let log = stores.events();
    for _ in 0..3 {
        scan(&*log, 4);
    }
    scan(&*log, 1);
    of_users(&*log, events);
    renote(&*stores.messages(), events);
    Ok(())
}

fn user(event: u64, users: u64) -> String {
    // Scatters the events of a user over the whole log.
    format!("user-{:08}", event.wrapping_mul(0x9e37_79b9_7f4a_7c15) % users)
}

fn rate(what: &str, count: u64, time: Duration) {
    println!("{what}: {:.0}/s ({count} in {time:?})", count as f64 / time.as_secs_f64());
}

fn append(log: &dyn EventLog, events: u64, callers: u64) {
    let users = events * 2 / EVENTS_OF_A_USER;
    let batches: Vec<Vec<u8>> = (0..64)
        .map(|batch| {
            let mut records = Vec::new();
            for at in 0..BATCH {
                suite::record(&user(batch * BATCH + at, users), "", "0123456789abcdef", &mut records);
            }
            records
        })
        .collect();
    println!("record: {} bytes", batches[0].len() as u64 / BATCH);
    let start = Instant::now();
    thread::scope(|scope| {
        for caller in 0..callers {
            scope.spawn(move || {
                let mut records = Vec::new();
                for batch in 0..events / callers / BATCH {
                    records.clear();
                    for at in 0..BATCH {
                        let event = (batch * callers + caller) * BATCH + at;
                        suite::record(&user(event, users), "", "0123456789abcdef", &mut records);
                    }
                    log.append(&mut records).expect("append");
                }
            });
        }
    });
    rate(&format!("append by {callers} callers, events"), events, start.elapsed());
}

fn single(log: &dyn EventLog, callers: u64) {
    const APPENDS: u64 = 300;
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                for _ in 0..APPENDS {
                    let mut records = Vec::new();
                    for at in 0..BATCH {
                        suite::record(&user(at, 1 << 40), "", "0123456789abcdef", &mut records);
                    }
                    log.append(&mut records).expect("append");
                }
            });
        }
    });
    rate(&format!("append by {callers} callers, batches"), APPENDS * callers, start.elapsed());
}

fn scan(log: &dyn EventLog, threads: usize) {
    let start = Instant::now();
    let bytes: usize = thread::scope(|scope| {
        let parts = log.split(0..log.end(), threads).into_iter();
        let parts = parts.map(|part| {
            scope.spawn(move || {
                let mut bytes = 0;
                let scanned = log.scan(part, &mut |run| {
                    bytes += run.len();
                    ControlFlow::Continue(())
                });
                scanned.expect("scan");
                bytes
            })
        });
        parts.collect::<Vec<_>>().into_iter().map(|part| part.join().expect("a scan")).sum()
    });
    rate(&format!("scan by {threads} threads of {bytes} bytes, events"), log.end(), start.elapsed());
}

fn of_users(log: &dyn EventLog, events: u64) {
    let users = events / EVENTS_OF_A_USER;
    let mut times = Vec::new();
    let mut bytes = 0;
    for at in 0..1000 {
        let id = user(at * 7919, users);
        let start = Instant::now();
        bytes += log.of_users(&[&id], u64::MAX).expect("of_users").len();
        times.push(start.elapsed());
    }
    times.sort();
    println!("of_users: median {:?}, p99 {:?}, {} bytes each", times[500], times[990], bytes / 1000);
}

fn key(at: u64) -> u128 {
    u128::from(at.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64 | u128::from(at)
}

fn note(index: &dyn MessageIndex, messages: u64, callers: u64) {
    let start = Instant::now();
    thread::scope(|scope| {
        for caller in 0..callers {
            scope.spawn(move || {
                for batch in 0..messages / callers / BATCH {
                    let first = (batch * callers + caller) * BATCH;
                    let batch: Vec<_> = (first..first + BATCH).map(|at| (key(at), at)).collect();
                    index.note(&batch).expect("note");
                }
            });
        }
    });
    rate(&format!("note by {callers} callers, new messages"), messages, start.elapsed());
    let start = Instant::now();
    index.flush().expect("flush");
    println!("flush: {:?}", start.elapsed());
}

fn renote(index: &dyn MessageIndex, messages: u64) {
    let start = Instant::now();
    for batch in 0..1000 {
        let first = batch * 7919 * BATCH % messages;
        let batch: Vec<_> = (first..first + BATCH).map(|at| (key(at), at)).collect();
        index.note(&batch).expect("note");
    }
    rate("note by 1 caller, known messages", 1000 * BATCH, start.elapsed());
}

fn commit(stores: &Stores) {
    let changes = stores.changes();
    let bytes = vec![1; 10_000];
    let start = Instant::now();
    for tick in 1..=300 {
        changes.commit(Progress { tick, ..Progress::default() }, &bytes).expect("commit");
    }
    rate("commits of 10 kB of changes", 300, start.elapsed());
}

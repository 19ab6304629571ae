//! Measures the sink against the Redis of `AUDIENCE_TEST_REDIS`:
//! `cargo run --release -p audience-redis --example measure_redis [thousands of changes] [changes at once]`.
//!
//! Deletes what it has written.

use std::time::Instant;

use audience_contract::{Cause, ChangeKind, MembershipChange, Progress, Reach, Sink};
use audience_redis::{RedisSettings, RedisSink};

const USERS: usize = 200_000;
const SEGMENTS: usize = 1_000;
/// An event changes so many memberships of its user.
const AN_EVENT: usize = 4;
const SMALL_WRITES: u64 = 500;

type PingAnswer<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> PingAnswer<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let count = 1_000 * numbers.next().unwrap_or(Ok(2_000))?;
    let at_once = numbers.next().unwrap_or(Ok(100_000))?;
    let settings = RedisSettings {
        prefix: format!("measure-{}", std::process::id()),
        ..RedisSettings::of(&std::env::var("AUDIENCE_TEST_REDIS")?)
    };
    let changes = changes(count);
    let mut sink = RedisSink::new(settings.clone())?;
    sink.open()?;
    let mut redis = redis::Client::open(settings.url.as_str())?.get_connection()?;
    let (start, worked) = (Instant::now(), processor_seconds(&mut redis)?);
    for (tick, changes) in changes.chunks(at_once).enumerate() {
        sink.write(&reach(tick as u64), changes)?;
    }
    let (time, worked) = (start.elapsed(), processor_seconds(&mut redis)? - worked);
    println!("{count} changes, {at_once} at once: {time:?}, {:.0}/s", count as f64 / time.as_secs_f64());
    println!("Redis itself worked for {worked:.2} s, {:.0} changes/s", count as f64 / worked);
    write_small(&mut sink, &changes)?;
    let start = Instant::now();
    sink.clear(Progress::default(), &|_| true)?;
    println!("cleared in {:?}", start.elapsed());
    Ok(())
}

/// Many changes of a few users and few of many, as events are.
fn changes(count: usize) -> Vec<MembershipChange> {
    let segments: Vec<std::sync::Arc<str>> = (0..SEGMENTS).map(|segment| format!("seg-{segment:05}").into()).collect();
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut changes = Vec::with_capacity(count);
    while changes.len() < count {
        let below = 1 + random(USERS);
        let user_id: std::sync::Arc<str> = format!("u{}", random(below)).into();
        for _ in 0..AN_EVENT {
            let change = if random(3) == 0 { ChangeKind::Left } else { ChangeKind::Entered };
            let (segment_id, at) = (segments[random(SEGMENTS)].clone(), 1_700_000_000_000 + changes.len() as i64);
            let user_id = user_id.clone();
            changes.push(MembershipChange { user_id, segment_id, change, at, version: 1, cause: Cause::Event });
        }
    }
    changes.truncate(count);
    changes
}

/// Processor time of the server so far.
fn processor_seconds(redis: &mut redis::Connection) -> PingAnswer<f64> {
    let info: String = redis::cmd("INFO").arg("cpu").query(redis)?;
    let value = |line: &str| line.split_once(':').and_then(|(_, value)| value.trim().parse::<f64>().ok());
    let of = |name: &str| info.lines().find(|line| line.starts_with(name)).and_then(value).unwrap_or_default();
    Ok(of("used_cpu_user:") + of("used_cpu_sys:"))
}

fn reach(tick: u64) -> Reach {
    Reach::All(Progress { tick, ..Progress::default() })
}

fn write_small(sink: &mut RedisSink, changes: &[MembershipChange]) -> PingAnswer<()> {
    let mut times = Vec::new();
    for tick in 0..SMALL_WRITES {
        let start = Instant::now();
        sink.write(&reach(tick), &changes[..10])?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!("a write of 10 changes: p50 {:?}, p99 {:?}, greatest {:?}", at(50), at(99), at(100));
    Ok(())
}

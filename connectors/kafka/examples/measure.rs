//! Measures source and sink against the broker of `AUDIENCE_TEST_KAFKA`:
//! `cargo run --release -p audience-kafka --example measure [thousands of messages]`.
//!
//! Makes topics whose names begin with `measure-` and leaves them there.

use std::time::{Duration, Instant};

use audience_contract::{Cause, ChangeKind, MembershipChange, Progress, Reach, Share, Sink, Source};
use audience_kafka::topics::{self, Topic};
use audience_kafka::{Connection, KafkaSink, KafkaSource, SinkSettings, SourceSettings};

const PARTITIONS: u32 = 4;
const SMALL_WRITES: u64 = 500;
const PATIENCE: Duration = Duration::from_millis(500);

type Answer<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Answer<()> {
    let count: usize = 1_000 * std::env::args().nth(1).map_or(Ok(1_000), |text| text.parse())?;
    let connection = Connection::to(&std::env::var("AUDIENCE_TEST_KAFKA")?);
    let name = |what: &str| format!("measure-{what}-{}", std::process::id());
    let settings = SinkSettings {
        topic: name("changes"),
        progress_topic: name("progress"),
        writer: name("writer"),
        ..SinkSettings::of(connection.clone())
    };
    let changes = Topic::user_segments(PARTITIONS).named(&settings.topic);
    let progress = Topic::user_segments_progress().named(&settings.progress_topic);
    topics::ensure(&connection, &[changes, progress])?;
    let topic = settings.topic.clone();
    let mut sink = KafkaSink::new(settings)?;
    sink.open()?;
    write_large(&mut sink, count)?;
    write_small(&mut sink)?;
    let start = Instant::now();
    sink.open()?;
    println!("sink: taken over in {:?}", start.elapsed());
    read(connection, &topic)
}

fn change(user: usize) -> MembershipChange {
    let (user_id, segment_id) = (format!("user-{user:08}").into(), "high-value".into());
    let change = ChangeKind::Entered;
    MembershipChange { user_id, segment_id, change, at: 1_700_000_000_000, version: 1, cause: Cause::Event }
}

fn reach(tick: u64) -> Reach {
    Reach::All(Progress { tick, ..Progress::default() })
}

fn write_large(sink: &mut KafkaSink, count: usize) -> Answer<()> {
    let changes: Vec<_> = (0..count).map(change).collect();
    let start = Instant::now();
    sink.write(&reach(1), &changes)?;
    let time = start.elapsed();
    println!("sink: {count} changes in one write: {time:?}, {:.0}/s", count as f64 / time.as_secs_f64());
    Ok(())
}

fn write_small(sink: &mut KafkaSink) -> Answer<()> {
    let changes: Vec<_> = (0..10).map(change).collect();
    let mut times = Vec::new();
    for tick in 0..SMALL_WRITES {
        let start = Instant::now();
        sink.write(&reach(2 + tick), &changes)?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!("sink: a write of 10 changes: p50 {:?}, p99 {:?}, greatest {:?}", at(50), at(99), at(100));
    Ok(())
}

fn read(connection: Connection, topic: &str) -> Answer<()> {
    let mut source = KafkaSource::new(SourceSettings::of(connection, topic))?;
    source.open(&[], Share::ALL)?;
    let (mut messages, mut batches, mut last) = (0, 0, Instant::now());
    let start = last;
    loop {
        let batch = source.poll(PATIENCE)?;
        if batch.messages.is_empty() && batches > 0 {
            break;
        }
        messages += batch.messages.len();
        batches += 1;
        last = Instant::now();
    }
    let time = last - start;
    println!(
        "source: {messages} messages in {batches} batches: {time:?}, {:.0}/s",
        messages as f64 / time.as_secs_f64()
    );
    Ok(())
}

//! Measures source and sink against the broker of `AUDIENCE_TEST_KAFKA`:
//! `cargo run --release -p audience-kafka --example measure_kafka [thousands of messages]`.
//!
//! Makes topics whose names begin with `measure-` and leaves them there.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use audience_contract::{
    Cause, ChangeKind, MembershipChange, Progress, Reach, Share, SharedSink, Sink, Source, Writer, Writers,
};
use audience_kafka::topics::{self, Topic};
use audience_kafka::{Connection, KafkaSink, KafkaSource, KafkaWriters, SinkSettings, SourceSettings};

const PARTITIONS: u32 = 4;
const SMALL_WRITES: u64 = 500;
const PATIENCE: Duration = Duration::from_millis(500);

type MeasuredAnswer<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> MeasuredAnswer<()> {
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
    // Twice, since a broker is slow at first.
    for writers in [1, 2, 4, 1, 2, 4] {
        write_side_by_side(&connection, count, writers)?;
    }
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

fn write_large(sink: &mut KafkaSink, count: usize) -> MeasuredAnswer<()> {
    let changes: Vec<_> = (0..count).map(change).collect();
    let start = Instant::now();
    sink.write(&reach(1), &changes)?;
    let time = start.elapsed();
    println!("sink: {count} changes in one write: {time:?}, {:.0}/s", count as f64 / time.as_secs_f64());
    Ok(())
}

fn write_small(sink: &mut KafkaSink) -> MeasuredAnswer<()> {
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

/// The changes of all users, dealt over so many writers.
fn write_side_by_side(connection: &Connection, count: usize, writers: u32) -> MeasuredAnswer<()> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let round = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = |what: &str| format!("measure-{what}-{round}-{}", std::process::id());
    let settings = SinkSettings {
        topic: name("shared"),
        progress_topic: name("shared-progress"),
        writer: name("shared-writer"),
        writers: writers.try_into()?,
        ..SinkSettings::of(connection.clone())
    };
    let changes = Topic::user_segments(3 * PARTITIONS).named(&settings.topic);
    let progress = Topic::user_segments_progress().named(&settings.progress_topic);
    let Writers::AsWanted(mut writers) = KafkaWriters::new(settings, [changes, progress])?.open()? else {
        return Err("somebody has written there before".into());
    };
    let mut shares: Vec<Vec<MembershipChange>> = Vec::new();
    for writer in &mut writers {
        writer.sink.open()?;
        shares.push((0..count).map(change).filter(|change| (writer.owns)(&change.user_id)).collect());
    }
    let start = Instant::now();
    std::thread::scope(|scope| {
        let write = |(writer, share): (&mut Writer, &Vec<MembershipChange>)| {
            let at_once = writer.sink.changes_at_once();
            let mut pieces = (1..).zip(share.chunks(at_once));
            pieces.try_for_each(|(tick, piece)| writer.sink.write(&reach(tick), piece))
        };
        let threads: Vec<_> = writers.iter_mut().zip(&shares).map(|both| scope.spawn(move || write(both))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("a writer does not panic"))
    })?;
    let (time, of) = (start.elapsed(), writers.len());
    println!("sink: {count} changes by {of} writers: {time:?}, {:.0}/s", count as f64 / time.as_secs_f64());
    Ok(())
}

fn read(connection: Connection, topic: &str) -> MeasuredAnswer<()> {
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

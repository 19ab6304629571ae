//! Killed at any moment, a log has every record that it acknowledged, once and in order.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::io::{BufRead, BufReader, Write};
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use audience_contract::{EventLog, MessageIndex, Progress, SourcePosition, suite};
use audience_embedded::{Options, Stores};
use audience_rules::record::records;

const WRITER: &str = "AUDIENCE_TEST_WRITER";
const KILLS: u64 = 10;

fn open(path: &Path) -> Stores {
    // Records of sources wait for nobody, so that a kill rarely meets a log at rest.
    let company = Duration::ZERO;
    Stores::open(path, &Options { cache_bytes: 8 << 20, reserve_bytes: 0, company, ..Options::default() }).unwrap()
}

#[test]
fn acknowledged_records_survive_being_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for kill in 0..KILLS {
        let (range, tick) = run_and_kill(directory.path(), Duration::from_millis(20 + kill * 97 % 400));
        assert!(range.start <= range.end && range.start >= acknowledged, "{range:?} behind {acknowledged}");
        acknowledged = acknowledged.max(range.end);
        let stores = open(directory.path());
        check(&*stores.events(), acknowledged);
        let reached = stores.changes().progress().unwrap().map_or(0, |progress| progress.tick);
        assert!(reached >= tick, "tick {tick} was acknowledged, and {reached} is the last");
        acknowledged = stores.events().end();
    }
    assert!(acknowledged > KILLS, "something was written");
}

/// Runs a writer for that long; gives the range of what it said is durable, and the last tick.
fn run_and_kill(path: &Path, time: Duration) -> (Range<u64>, u64) {
    let test = std::env::current_exe().unwrap();
    let mut writer = Command::new(test)
        .args(["--exact", "writer", "--ignored", "--nocapture"])
        .env(WRITER, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = writer.stdout.take().unwrap();
    let (started, start) = std::sync::mpsc::sync_channel(1);
    let reader = std::thread::spawn(move || {
        let (mut first, mut end, mut tick) = (None, 0, 0);
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { break };
            // Only whole lines count: the last one may be cut short.
            let Some(line) = line.strip_suffix(';') else { continue };
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["end", number] => end = number.parse().unwrap(),
                ["start", number] => {
                    first = Some(number.parse().unwrap());
                    started.send(()).unwrap();
                }
                ["tick", number] => tick = number.parse().unwrap(),
                _ => {}
            }
        }
        let first = first.unwrap_or(0);
        (first..end.max(first), tick)
    });
    start.recv_timeout(Duration::from_secs(60)).unwrap();
    std::thread::park_timeout(time);
    writer.kill().unwrap();
    writer.wait().unwrap();
    reader.join().unwrap()
}

#[test]
#[ignore = "is run by acknowledged_records_survive_being_killed"]
fn writer() {
    let Some(path) = std::env::var_os(WRITER) else { return };
    let stores = open(path.as_ref());
    say(&format!("start {}", stores.events().end()));
    let first_tick = stores.changes().progress().unwrap().map_or(0, |progress| progress.tick);
    std::thread::scope(|scope| {
        // One thread names the records after their place, and says up to where they are durable.
        scope.spawn(|| append_forever(&*stores.events()));
        scope.spawn(|| note_forever(&*stores.messages()));
        scope.spawn(|| {
            for tick in first_tick + 1.. {
                let progress = Progress { tick, ..Progress::default() };
                stores.changes().commit(progress, &tick.to_be_bytes()).unwrap();
                say(&format!("tick {tick}"));
            }
        });
    });
}

fn append_forever(log: &dyn EventLog) {
    let mut next = log.end();
    loop {
        let mut bytes = Vec::new();
        for sequence in next..next + 1 + next % 700 {
            suite::record(&format!("u{}", sequence % 100), "", &sequence.to_string(), &mut bytes);
        }
        // The source's offsets are the log's own numbers, so that the two can be held against each other.
        let end = next + records(&bytes).count() as u64;
        let positions = [0, 1].map(|partition| SourcePosition { source: "s".to_owned(), partition, next_offset: end });
        next = log.append_from(&mut bytes, &positions).unwrap().end;
        say(&format!("end {next}"));
    }
}

fn note_forever(index: &dyn MessageIndex) {
    for batch in 0u64.. {
        let messages: Vec<_> = (batch * 100..batch * 100 + 100).map(|at| (u128::from(at), at)).collect();
        assert!(index.note(&messages).unwrap().into_iter().eq(batch * 100..batch * 100 + 100));
        if batch % 50 == 0 {
            index.flush().unwrap();
        }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line};").unwrap();
    out.flush().unwrap();
}

fn check(log: &dyn EventLog, acknowledged: u64) {
    let end = log.end();
    assert!(end >= acknowledged, "{acknowledged} were acknowledged, and {end} are there");
    let mut next = 0;
    let scanned = log.scan(0..end, &mut |run| {
        for event in records(run) {
            assert_eq!(event.sequence(), next);
            assert_eq!(event.message(), Some(next.to_string().as_str()));
            next += 1;
        }
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    assert_eq!(next, end);
    let positions = log.positions().unwrap();
    assert!(end == 0 || positions.len() == 2, "positions are there with the first records");
    assert!(positions.iter().all(|position| position.next_offset == end), "{positions:?} and {end} records");
    let own = log.of_users(&["u42"], u64::MAX).unwrap();
    let own: Vec<u64> = records(&own).map(|event| event.sequence()).collect();
    assert!(own.into_iter().eq((0..end).filter(|sequence| sequence % 100 == 42)));
}

//! Exactly once: what a writer leaves behind that dies is never half seen.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use audience_contract::suite::SuiteMembers;
use audience_contract::{Cause, ChangeKind, MembershipChange, Progress, Reach, Sink, SinkError};
use audience_kafka::{KafkaSink, SinkSettings};
use common::{LIMIT, connection, fold, producer, read_all, sink_settings};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer};

const WRITER: &str = "AUDIENCE_TEST_SINK_WRITER";
const KILLS: u64 = 8;
const USERS: u64 = 40;

fn all(tick: u64) -> Reach {
    Reach::All(Progress { tick, ..Progress::default() })
}

fn change(user: &str, change: ChangeKind) -> MembershipChange {
    let (user_id, segment_id) = (user.into(), "s".into());
    MembershipChange { user_id, segment_id, change, at: 1_700_000_000_000, version: 1, cause: Cause::Time }
}

/// The changes of a tick: a tenth of the users turn.
fn changes(tick: u64) -> Vec<MembershipChange> {
    let turned = |user: &u64| (user + tick).is_multiple_of(10);
    let kind = |user: u64| match turns(user, tick) % 2 {
        1 => ChangeKind::Entered,
        _ => ChangeKind::Left,
    };
    (0..USERS).filter(turned).map(|user| change(&format!("u{user}"), kind(user))).collect()
}

/// How often a user has turned by the end of that tick; ticks begin with 1.
fn turns(user: u64, tick: u64) -> u64 {
    (1..=tick).filter(|tick| (user + tick).is_multiple_of(10)).count() as u64
}

fn members(tick: u64) -> SuiteMembers {
    let is_member = |user: &u64| turns(*user, tick) % 2 == 1;
    (0..USERS).filter(is_member).map(|user| (format!("u{user}"), "s".to_owned())).collect()
}

fn tick_of(reach: Option<Reach>) -> u64 {
    reach.map_or(0, |reach| reach.progress().tick)
}

#[test]
fn a_change_is_written_as_the_interface_says() {
    let settings = sink_settings("form", 2);
    let mut sink = KafkaSink::new(settings.clone()).unwrap();
    sink.open().unwrap();
    sink.write(&all(1), &[change("ü\"1", ChangeKind::Entered)]).unwrap();
    let found = read_all(&settings.topic, "read_committed");
    assert_eq!(found[0].key(), Some("ü\"1".as_bytes()));
    let expected = r#"{"userId":"ü\"1","segmentId":"s","change":"entered","at":"2023-11-14T22:13:20Z","version":1,"cause":"time"}"#;
    assert_eq!(String::from_utf8_lossy(found[0].payload().unwrap()), expected);
}

/// An edit may move more users than the buffer has room for. Its transaction ends within its time only where requests do not
/// become smaller and smaller meanwhile.
#[test]
fn a_write_may_be_much_larger_than_the_buffer() {
    let mut settings = sink_settings("large", 12);
    let properties = [("queue.buffering.max.messages", "1000"), ("transaction.timeout.ms", "60000")];
    settings.connection.properties.extend(properties.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let mut sink = KafkaSink::new(settings.clone()).unwrap();
    sink.open().unwrap();
    let changes: Vec<_> = (0..100_000).map(|user| change(&format!("u{user}"), ChangeKind::Entered)).collect();
    sink.write(&all(1), &changes).unwrap();
    assert_eq!(fold(&settings.topic).len(), changes.len());
}

/// Killed between the writing and the commit: the records lie in the topic, and nobody who reads committed ones sees them.
#[test]
fn an_unfinished_transaction_is_undone_by_the_next_writer() {
    let settings = sink_settings("unfinished", 2);
    let mut sink = KafkaSink::new(settings.clone()).unwrap();
    sink.open().unwrap();
    sink.write(&all(1), &[change("ann", ChangeKind::Entered)]).unwrap();
    let dead = producer(&[("transactional.id", &settings.writer), ("enable.idempotence", "true")]);
    dead.init_transactions(LIMIT).unwrap();
    dead.begin_transaction().unwrap();
    let reach = serde_json::to_vec(&all(2)).unwrap();
    for (topic, key, value) in [
        (&settings.topic, "bob", &br#"{"userId":"bob"}"#[..]),
        (&settings.progress_topic, settings.writer.as_str(), reach.as_slice()),
    ] {
        dead.send(BaseRecord::to(topic).key(key).payload(value)).map_err(|(error, _)| error).unwrap();
    }
    dead.flush(LIMIT).unwrap();
    assert_eq!(read_all(&settings.topic, "read_uncommitted").len(), 2, "it is there");
    assert!(matches!(sink.write(&all(2), &[]), Err(SinkError::Fenced(_))), "the one before is shut out");
    let mut sink = KafkaSink::new(settings.clone()).unwrap();
    assert_eq!(sink.open().unwrap(), Some(all(1)), "progress is of what was committed");
    sink.write(&all(2), &[change("bob", ChangeKind::Entered)]).unwrap();
    assert!(dead.commit_transaction(LIMIT).is_err(), "who was shut out commits nothing");
    assert_eq!(read_all(&settings.topic, "read_committed").len(), 2);
    assert_eq!(fold(&settings.topic), BTreeSet::from(["ann", "bob"].map(|user| (user.to_owned(), "s".to_owned()))));
    assert_eq!(sink.open().unwrap(), Some(all(2)));
}

#[test]
fn writers_of_other_names_do_not_disturb() {
    let settings = sink_settings("parallel", 3);
    let threads = (0..3).map(|index| {
        let settings = SinkSettings { writer: format!("{}-{index}", settings.writer), ..settings.clone() };
        std::thread::spawn(move || {
            let mut sink = KafkaSink::new(settings).unwrap();
            assert_eq!(sink.open().unwrap(), None);
            for tick in 1..=20 {
                let changes = [change(&format!("{index}-{tick}"), ChangeKind::Entered)];
                sink.write(&all(tick), &changes).unwrap();
            }
            assert_eq!(sink.open().unwrap(), Some(all(20)), "each has its own progress");
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(fold(&settings.topic).len(), 60);
}

/// Killed at any moment, the topic holds exactly what its progress says.
#[test]
fn what_is_committed_is_whole_after_kills() {
    let settings = sink_settings("killed", 3);
    let mut last = 0;
    for kill in 0..KILLS {
        run_and_kill(&settings, Duration::from_millis(20 + kill * 61 % 200));
        let mut sink = KafkaSink::new(settings.clone()).unwrap();
        let tick = tick_of(sink.open().unwrap());
        assert!(tick >= last, "{tick} behind {last}");
        assert_eq!(fold(&settings.topic), members(tick), "after tick {tick}");
        last = tick;
    }
    assert!(last > KILLS, "something was written: {last}");
    let expected: usize = (1..=last).map(|tick| changes(tick).len()).sum();
    assert_eq!(read_all(&settings.topic, "read_committed").len(), expected, "each change once");
}

fn run_and_kill(settings: &SinkSettings, time: Duration) {
    let names = [&settings.topic, &settings.progress_topic, &settings.writer].map(String::as_str).join(" ");
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writer", "--ignored", "--nocapture"])
        .env(WRITER, names)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(writer.stdout.take().unwrap());
    let started = output.lines().map_while(Result::ok).any(|line| line.contains("writes"));
    assert!(started, "the writer began");
    std::thread::park_timeout(time);
    writer.kill().unwrap();
    writer.wait().unwrap();
}

#[test]
#[ignore = "is run by what_is_committed_is_whole_after_kills"]
fn writer() {
    let Ok(names) = std::env::var(WRITER) else { return };
    let [topic, progress_topic, writer] = names.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let settings = SinkSettings {
        topic: String::from(topic),
        progress_topic: String::from(progress_topic),
        writer: String::from(writer),
        ..SinkSettings::of(connection())
    };
    let mut sink = KafkaSink::new(settings).unwrap();
    let first = tick_of(sink.open().unwrap()) + 1;
    println!("writes");
    for tick in first.. {
        sink.write(&all(tick), &changes(tick)).unwrap();
    }
}

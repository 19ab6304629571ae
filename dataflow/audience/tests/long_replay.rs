//! The real program, killed more often than it takes checkpoints: after a long replay it takes one at once, so that starts do
//! not take longer and longer.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fmt::Write as _;

use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause};

/// Whoever replays as many takes a checkpoint at once.
const EVENTS: usize = 120_000;

fn metric(served: &Served, name: &str) -> f64 {
    let text = served.client().get("/metrics").unwrap().text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or("0");
    line.parse().unwrap()
}

fn send_events(served: &Served) {
    let mut lines = String::new();
    for number in 0..EVENTS {
        writeln!(lines, r#"{{"userId":"u{}","eventType":"e"}}"#, number % 1_000).unwrap();
    }
    let answer = served.client().send("POST", "/api/events", "application/x-ndjson", lines.as_bytes()).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
}

#[test]
fn a_long_replay_is_followed_by_a_checkpoint_and_not_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup { checkpoint_seconds: 3_600, ..Setup::within(program!(), directory.path()) };
    let first = setup.start();
    send_events(&first);
    pause(1_000);
    assert!(metric(&first, "audience_checkpoint_timestamp_seconds") < 1.0, "a start without a replay takes none");
    first.kill();
    let second = setup.start();
    assert!(metric(&second, "audience_start_events_done") >= EVENTS as f64);
    for _ in 0..1_000 {
        if metric(&second, "audience_checkpoint_timestamp_seconds") > 1.0 {
            break;
        }
        pause(20);
    }
    assert!(metric(&second, "audience_checkpoint_timestamp_seconds") > 1.0, "{}", second.said());
    second.kill();
    let third = setup.start();
    let again = metric(&third, "audience_start_events_done");
    assert!(again < EVENTS as f64 / 10.0, "{again} events are replayed again");
    third.stop();
}

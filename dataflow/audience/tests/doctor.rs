//! `audience doctor` on this machine and with real servers: it names each fault with its fix, and changes nothing.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

#[allow(dead_code, reason = "each test uses a part")]
mod between;
mod database;
#[allow(dead_code, reason = "each test uses a part")]
mod topics;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use audience_tests::platform::wait_until;
use audience_tests::program;
use audience_tests::serve::wall_clock;
use serde_json::Value;

use between::setup;
use database::TestDatabase;

/// Runs it with these flags, and on free ports where they name none.
fn doctor(data: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(program!());
    command.args(["doctor", "--listen-ingest", "127.0.0.1:0", "--data"]).arg(data).args(flags);
    if !flags.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command.output().unwrap()
}

/// Its findings as `verdict part`, and all that it says of each.
fn findings(output: &Output) -> Vec<(String, String)> {
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = answer["findings"].as_array().unwrap().iter();
    let findings = findings.map(|finding| {
        let name = format!("{} {}", finding["verdict"].as_str().unwrap(), finding["part"].as_str().unwrap());
        (name, format!("{} {}", finding["found"], finding["fix"]))
    });
    findings.collect()
}

fn told<'a>(findings: &'a [(String, String)], name: &str) -> &'a str {
    let found = findings.iter().find(|(found, _)| found == name);
    &found.unwrap_or_else(|| panic!("{name} is not in {findings:?}")).1
}

#[test]
fn a_new_directory_is_good_and_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let output = doctor(&data, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("is not there yet, and a start makes it"), "{text}");
    assert!(text.ends_with("A start with these settings takes work.\n"), "{text}");
    assert!(!data.exists());
}

#[test]
fn each_fault_is_named_with_its_fix() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    // Nothing listens there once it is dropped.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (postgres, redis) =
        (format!("postgresql://me:hidden-word@{closed}/shop"), format!("redis://:hidden-word@{closed}"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let begun = Instant::now();
    let flags = ["--json", "--kafka", &closed.to_string(), "--postgres", &postgres, "--redis", &redis];
    let output = doctor(&data, &[&flags[..], &["--listen", &taken, "--checkpoints", "file:///dev/null/shop"]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(begun.elapsed() < Duration::from_secs(30), "no server holds it up for long");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("hidden-word"), "{said}");
    let findings = findings(&output);
    for (part, fix) in [
        ("fault Kafka", "--kafka"),
        ("fault PostgreSQL", "--postgres"),
        ("fault Redis", "--redis"),
        ("fault address", "--listen"),
        ("fault checkpoints", "--checkpoints"),
    ] {
        assert!(told(&findings, part).contains(fix), "{part}: {findings:?}");
    }
    let wrong = doctor(&data, &["--json", "--workers", "5000"]);
    assert!(told(&self::findings(&wrong), "fault settings").contains("--workers"));
    assert!(!data.exists());
}

#[test]
fn servers_are_good_before_a_start_and_while_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = format!("doctor-test-{}.", wall_clock());
    let database = TestDatabase::create();
    let mut setup = setup(directory.path(), &prefix);
    setup.flags.extend(["--postgres".to_owned(), database.url.clone()]);
    let data = setup.data.clone();
    let flags: Vec<&str> = ["--json"].into_iter().chain(setup.flags.iter().map(String::as_str)).collect();
    let before = doctor(&data, &flags);
    assert_eq!(before.status.code(), Some(0), "{}", String::from_utf8_lossy(&before.stdout));
    let before = findings(&before);
    assert!(
        told(&before, "good Kafka").contains(&format!("a start makes the topics {prefix}user-events")),
        "{before:?}"
    );
    assert!(told(&before, "good PostgreSQL").contains("a start applies"), "{before:?}");
    told(&before, "good Redis");
    let running = setup.start();
    // Topics are made as the first reader and writer need them.
    wait_until("all topics are there", || {
        told(&findings(&doctor(&data, &flags)), "good Kafka").contains("all topics are there")
    });
    let while_it_runs = findings(&doctor(&data, &flags));
    assert!(told(&while_it_runs, "good PostgreSQL").contains("are those of this program"), "{while_it_runs:?}");
    told(&while_it_runs, "warning data directory");
    running.stop();
    let other = TestDatabase::create();
    let flags: Vec<&str> =
        flags.iter().map(|flag| if *flag == database.url { other.url.as_str() } else { flag }).collect();
    let after = findings(&doctor(&data, &flags));
    assert!(told(&after, "fault PostgreSQL").contains("those of another catalogue"), "{after:?}");
}

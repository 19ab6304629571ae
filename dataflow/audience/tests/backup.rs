//! `audience backup`: what a backup becomes answers as the platform did from which it was made.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod database;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use audience_tests::client::Client;
use audience_tests::platform::wait_until;
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause, wall_clock};
use serde_json::{Value, json};

use database::TestDatabase;

const USERS: u64 = 40;

/// Runs a command of backups and gives its output.
fn backup(backups: &str, words: &[&str]) -> Output {
    let mut command = Command::new(program!());
    command.arg("backup").args(words).args(["--backups", backups]).output().unwrap()
}

/// The same for one that must succeed; gives what it prints.
fn backed(backups: &str, words: &[&str]) -> String {
    let output = backup(backups, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The error of one that must fail with that status.
fn refused(backups: &str, words: &[&str], status: i32) -> String {
    let output = backup(backups, words);
    assert_eq!(output.status.code(), Some(status), "{words:?}");
    String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap()
}

/// Sends the event of that number; whoever bought three times is a buyer.
fn send(client: Client, number: u64) {
    let event =
        json!({"userId": format!("u{}", number * 7 % USERS), "eventType": "buy", "messageId": format!("m{number}")});
    let answer = client.post("/api/events", &event.to_string()).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
}

/// The buyers after the first so many events.
fn buyers(events: u64) -> Vec<String> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for number in 0..events {
        *counts.entry(format!("u{}", number * 7 % USERS)).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count >= 3).map(|(user, _)| user).collect()
}

fn put(client: Client, path: &str, body: &Value) {
    let answer = client.put(path, &body.to_string()).unwrap();
    assert!(answer.status < 300, "{path}: {}", answer.text());
}

/// Waits until these are the buyers, and no others.
fn wait_for_buyers(served: &Served, expected: &[String]) {
    wait_until("the buyers", || {
        let mut members = served.client().members("buyers").unwrap().unwrap_or_default();
        members.sort_unstable();
        members == expected
    });
}

/// The number of events that a restore says the directory has.
fn events_of(said: &str) -> u64 {
    said.split_once(" has ").unwrap().1.split(' ').next().unwrap().parse().unwrap()
}

fn url(directory: &Path) -> String {
    format!("file://{}", directory.join("backups").display())
}

#[test]
fn a_backup_made_while_events_stream_in_becomes_the_same_platform() {
    let directory = tempfile::tempdir().unwrap();
    let backups = url(directory.path());
    let setup = Setup::within(program!(), directory.path());
    let running = setup.start();
    let client = running.client();
    let rules = json!({"event": "buy", "operator": "gte", "value": 3});
    put(client, "/api/segments/buyers", &json!({"name": "Buyers", "rules": rules}));
    put(client, "/api/segments/list", &json!({"name": "List", "members": ["u1", "u2"]}));
    put(client, "/api/vocabulary/labels/event/buy", &json!({"displayName": "Purchase"}));
    let suppressed = json!({"address": "fay@example.org"}).to_string();
    assert_eq!(client.post("/api/suppressions", &suppressed).unwrap().status, 201);
    let (sent, is_stopping) = (AtomicU64::new(0), AtomicBool::new(false));
    let (name, least) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_stopping.load(Ordering::Acquire) {
                send(client, sent.load(Ordering::Acquire));
                sent.fetch_add(1, Ordering::AcqRel);
            }
        });
        wait_until("events are sent", || sent.load(Ordering::Acquire) > 60);
        let least = sent.load(Ordering::Acquire);
        let name = backed(&backups, &["create", "--data", setup.data.to_str().unwrap()]);
        is_stopping.store(true, Ordering::Release);
        (name, least)
    });
    let sent = sent.into_inner();
    let metrics = client.get("/metrics").unwrap().text();
    let noted = metrics.lines().find_map(|line| line.strip_prefix("audience_backup_timestamp_seconds "));
    assert!(noted.is_some_and(|at| at.parse::<f64>().unwrap() > 1e9), "{metrics}");
    running.kill();
    assert!(backed(&backups, &["list"]).contains(&name));
    assert!(backed(&backups, &["verify", &name]).ends_with("is whole"));

    let other = directory.path().join("other");
    fs::create_dir(&other).unwrap();
    let restored = Setup::within(program!(), &other);
    let events = events_of(&backed(&backups, &["restore", &name, "--data", restored.data.to_str().unwrap()]));
    assert!((least..=sent + 1).contains(&events), "{least} {events} {sent}");
    let running = restored.start();
    wait_for_buyers(&running, &buyers(events));
    assert_eq!(running.client().members("list").unwrap().unwrap(), ["u1", "u2"]);
    let words = running.client().get("/api/vocabulary").unwrap().text();
    assert!(words.contains("Purchase"), "{words}");
    let suppressed = running.client().get("/api/suppressions").unwrap().text();
    assert!(suppressed.contains("f…@example.org"), "{suppressed}");
    // Repeated messages count once: the directory knows which came first.
    (0..sent).for_each(|number| send(running.client(), number));
    wait_for_buyers(&running, &buyers(sent));
    running.stop();
}

#[test]
fn a_directory_that_nobody_serves_goes_back_to_an_instant() {
    let directory = tempfile::tempdir().unwrap();
    let backups = url(directory.path());
    let setup = Setup::within(program!(), directory.path());
    let running = setup.start();
    let rules = json!({"event": "buy", "operator": "gte", "value": 3});
    put(running.client(), "/api/segments/buyers", &json!({"name": "Buyers", "rules": rules}));
    (0..100).for_each(|number| send(running.client(), number));
    pause(50);
    let between = jiff_text(wall_clock());
    pause(50);
    (100..160).for_each(|number| send(running.client(), number));
    wait_for_buyers(&running, &buyers(160));
    running.stop();
    let data = setup.data.to_str().unwrap();
    let name = backed(&backups, &["create", "--data", data]);
    assert!(refused(&backups, &["restore", &name, "--data", data], 2).contains("is not empty"));

    let other = directory.path().join("other");
    fs::create_dir(&other).unwrap();
    let restored = Setup::within(program!(), &other);
    let to = restored.data.to_str().unwrap();
    // A restore that was cut off leaves this.
    fs::create_dir(format!("{to}.restoring")).unwrap();
    fs::write(format!("{to}.restoring/left"), "").unwrap();
    let said = backed(&backups, &["restore", &name, "--data", to, "--until", &between]);
    assert_eq!(events_of(&said), 100);
    assert!(!Path::new(&format!("{to}.restoring")).exists());
    let running = restored.start();
    wait_for_buyers(&running, &buyers(100));
    running.stop();
}

/// An instant as people write it.
fn jiff_text(milliseconds: i64) -> String {
    let seconds = milliseconds / 1_000;
    let output =
        Command::new("date").args(["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%S"]).output().unwrap();
    format!("{}.{:03}Z", String::from_utf8(output.stdout).unwrap().trim(), milliseconds % 1_000)
}

#[test]
fn damage_is_found_and_nothing_is_made_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let backups = url(directory.path());
    let setup = Setup::within(program!(), directory.path());
    let running = setup.start();
    (0..30).for_each(|number| send(running.client(), number));
    running.stop();
    let name = backed(&backups, &["create", "--data", setup.data.to_str().unwrap()]);
    let place = directory.path().join("backups").join(&name);
    let restored = directory.path().join("restored");
    let restored = restored.to_str().unwrap();

    let documents = place.join("documents.json");
    let whole = fs::read(&documents).unwrap();
    fs::write(&documents, [&whole[..], b" "].concat()).unwrap();
    assert!(refused(&backups, &["verify", &name], 1).contains("documents.json is damaged"));
    assert!(refused(&backups, &["restore", &name, "--data", restored], 2).contains("documents.json is damaged"));
    fs::write(&documents, whole).unwrap();
    assert!(backed(&backups, &["verify", &name]).ends_with("is whole"));

    let history = fs::read_dir(place.join("history")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&history).unwrap();
    let (third, two_thirds) = (bytes.len() / 3, bytes.len() * 2 / 3);
    bytes[third..two_thirds].fill(0x55);
    fs::write(&history, bytes).unwrap();
    refused(&backups, &["verify", &name], 1);
    refused(&backups, &["restore", &name, "--data", restored], 2);
    assert!(!Path::new(restored).exists());

    // One that was cut off lacks the last file.
    fs::remove_file(place.join("backup.json")).unwrap();
    assert!(backed(&backups, &["list"]).contains("it is not whole"));
    assert!(refused(&backups, &["verify", &name], 1).contains("it is not whole"));
    assert!(refused(&backups, &["restore", "nothing", "--data", restored], 2).contains("there is no backup nothing"));
}

#[test]
fn segments_in_postgresql_are_backed_up_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let backups = url(directory.path());
    let (database, empty) = (TestDatabase::create(), TestDatabase::create());
    let mut setup = Setup::within(program!(), directory.path());
    setup.flags = vec!["--postgres".to_owned(), database.url.clone()];
    let running = setup.start();
    let rules = json!({"event": "buy", "operator": "gte", "value": 3});
    put(running.client(), "/api/segments/buyers", &json!({"name": "Buyers", "rules": rules}));
    (0..100).for_each(|number| send(running.client(), number));
    let name = backed(&backups, &["create", "--data", setup.data.to_str().unwrap()]);
    running.stop();
    let other = directory.path().join("other");
    fs::create_dir(&other).unwrap();
    let mut restored = Setup::within(program!(), &other);
    let to = restored.data.to_str().unwrap();
    assert!(refused(&backups, &["restore", &name, "--data", to], 2).contains("--postgres"));
    backed(&backups, &["restore", &name, "--data", to, "--postgres", &empty.url]);
    restored.flags = vec!["--postgres".to_owned(), empty.url.clone()];
    let running = restored.start();
    wait_for_buyers(&running, &buyers(100));
    running.stop();
}

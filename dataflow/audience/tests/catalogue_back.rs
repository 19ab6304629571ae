//! The real program over a PostgreSQL that comes back without its newest commits: what it has now is what runs, everybody is told,
//! and no version is given out twice.
//!
//! It needs PostgreSQL and Redis from `scripts/services`.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod database;

use std::collections::BTreeMap;

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause, wait_until, wall_clock};
use database::{TestDatabase, sql};
use serde_json::{Value, json};

const USERS: u64 = 10;

fn put_over(client: Client, id: &str, purchases: u64) -> Value {
    let rules = json!({"event": "buy", "operator": "gte", "value": purchases});
    let body = json!({"name": id, "rules": rules}).to_string();
    for _ in 0..400 {
        let answer = client.put(&format!("/api/segments/{id}"), &body).unwrap();
        if answer.status < 300 {
            return answer.json();
        }
        // PostgreSQL was away, or another process was faster.
        assert_eq!(answer.status, 503, "{}", answer.text());
        pause(25);
    }
    panic!("{id} cannot be put");
}

/// User number n buys n times.
fn send_purchases(client: Client) {
    let events = (1..=USERS)
        .flat_map(|user| (0..user).map(move |_| json!({"userId": format!("u{user:02}"), "eventType": "buy"})));
    let events = Value::from(events.collect::<Vec<_>>());
    assert_eq!(client.post("/api/events", &events.to_string()).unwrap().status, 202);
}

fn over(purchases: u64) -> Vec<String> {
    (purchases..=USERS).map(|user| format!("u{user:02}")).collect()
}

fn wait_for_members(client: Client, id: &str, expected: &[String]) {
    wait_until(&format!("{id}: {expected:?}"), || client.members(id).unwrap().as_deref() == Some(expected));
}

fn catalogue_detail(client: Client) -> String {
    let health = client.get("/actuator/health").unwrap().json();
    health["components"]["catalogue"].to_string()
}

fn went_back(client: Client) -> f64 {
    let text = client.get("/metrics").unwrap().text();
    let line = text.lines().find(|line| line.starts_with("audience_catalogue_went_back_total ")).unwrap_or(" 0");
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn assert_told(served: &Served) {
    assert!(went_back(served.client()) >= 1.0, "a metric tells it");
    let detail = catalogue_detail(served.client());
    assert!(detail.contains("taken as new"), "health tells it: {detail}");
    assert!(served.said().contains("taken as new"), "the log tells it: {}", served.said());
}

fn setup(directory: &std::path::Path, database: &TestDatabase, flags: &[String]) -> Setup {
    let flags = [vec!["--postgres".to_owned(), database.url.clone()], flags.to_vec()].concat();
    Setup { flags, ..Setup::within(program!(), directory) }
}

#[test]
fn a_catalogue_that_went_back_is_taken_as_new() {
    let (database, directory) = (TestDatabase::create(), tempfile::tempdir().unwrap());
    let served = setup(directory.path(), &database, &[]).start();
    let client = served.client();
    put_over(client, "s", 3);
    put_over(client, "deleted", 1);
    send_purchases(client);
    wait_for_members(client, "s", &over(3));
    let backup = database.back_up();
    let before = put_over(client, "s", 9);
    put_over(client, "created", 2);
    wait_until("a deletion", || client.send("DELETE", "/api/segments/deleted", "", b"").unwrap().status == 204);
    wait_for_members(client, "s", &over(9));
    database.put_back(&backup);
    // What is there now is what runs.
    wait_for_members(client, "s", &over(3));
    wait_for_members(client, "deleted", &over(1));
    wait_until("what was not created", || client.members("created").unwrap().is_none());
    assert_eq!(client.get("/api/segments/created").unwrap().status, 404);
    assert_told(&served);
    let listed = client.get("/api/users/u09/segments").unwrap().text();
    assert!(!listed.contains("created"), "{listed}");
    // Edits take effect, under versions that nothing had before.
    let after = put_over(client, "s", 5);
    assert_eq!(after["effective"], json!(true), "{after}");
    assert!(after["version"].as_u64() > before["version"].as_u64(), "{after} after {before}");
    wait_for_members(client, "s", &over(5));
    let versions = client.get("/api/segments/s/versions").unwrap().json();
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    let versions = versions.as_array().or_else(|| versions["items"].as_array()).unwrap().clone();
    versions.iter().for_each(|version| *seen.entry(version["version"].as_u64().unwrap()).or_default() += 1);
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
    served.stop();
}

/// It went back, and others went on from there up to the very number that is known, with other content.
#[test]
fn another_content_under_the_same_version_is_taken_as_new() {
    let (database, directory) = (TestDatabase::create(), tempfile::tempdir().unwrap());
    let served = setup(directory.path(), &database, &[]).start();
    let client = served.client();
    put_over(client, "s", 3);
    send_purchases(client);
    let backup = database.back_up();
    put_over(client, "s", 9);
    wait_for_members(client, "s", &over(9));
    let rules = r#"{"event": "buy", "operator": "gte", "value": 7}"#;
    sql(&backup.url, &format!("UPDATE audience.segments SET rules = '{rules}' WHERE id = 's'"));
    database.put_back(&backup);
    wait_for_members(client, "s", &over(7));
    assert_told(&served);
    let after = put_over(client, "s", 5);
    assert_eq!(after["effective"], json!(true), "{after}");
    wait_for_members(client, "s", &over(5));
    served.stop();
}

/// It went back while no engine ran: the start takes it as new, and a store of memberships ends with the same members.
#[test]
fn a_start_finds_that_the_catalogue_went_back() {
    let (database, directory) = (TestDatabase::create(), tempfile::tempdir().unwrap());
    let prefix = format!("back-{}", wall_clock());
    let file = directory.path().join("audience.toml");
    let redis = std::env::var("AUDIENCE_TEST_REDIS").unwrap();
    std::fs::write(&file, format!("[redis]\nurl = \"{redis}\"\nprefix = \"{prefix}\"\n")).unwrap();
    let setup = setup(directory.path(), &database, &["--config".to_owned(), file.display().to_string()]);
    let in_redis = || {
        let mut connection = redis::Client::open(redis.as_str()).unwrap().get_connection().unwrap();
        let members: Vec<String> =
            redis::cmd("SMEMBERS").arg(format!("{prefix}:segment:s:members")).query(&mut connection).unwrap();
        let mut members = members;
        members.sort();
        members
    };
    let served = setup.start();
    put_over(served.client(), "s", 3);
    send_purchases(served.client());
    let backup = database.back_up();
    put_over(served.client(), "s", 9);
    wait_for_members(served.client(), "s", &over(9));
    wait_until("Redis", || in_redis() == over(9));
    served.stop();
    database.put_back(&backup);
    let served = setup.start();
    wait_for_members(served.client(), "s", &over(3));
    wait_until("Redis as it is now", || in_redis() == over(3));
    assert_told(&served);
    let after = put_over(served.client(), "s", 5);
    assert_eq!(after["effective"], json!(true), "{after}");
    wait_for_members(served.client(), "s", &over(5));
    wait_until("Redis after an edit", || in_redis() == over(5));
    served.kill();
    let served = setup.start();
    wait_for_members(served.client(), "s", &over(5));
    assert_eq!(went_back(served.client()), 0.0, "it is told once");
    served.stop();
}

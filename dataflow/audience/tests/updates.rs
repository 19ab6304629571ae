//! Changes of segments in the topic `segment-updates`, from the real program on a real Kafka and PostgreSQL: each is told, those
//! from before the brokers could be reached too, and an engine that hears of one looks at PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod database;
mod topics;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause, wall_clock};
use database::{TestDatabase, sql};
use serde_json::Value;
use topics::{committed, variable};

/// Passes on what comes to a port to another, from now on.
fn forward(listener: TcpListener, to: String) {
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let Ok(other) = TcpStream::connect(&to) else { continue };
            for (mut from, mut to) in [(stream.try_clone().unwrap(), other.try_clone().unwrap()), (other, stream)] {
                std::thread::spawn(move || io::copy(&mut from, &mut to));
            }
        }
    });
}

/// Segment, version and action of each message, once; repeated ones must be the same.
fn told(topic: &str) -> Vec<(String, u64, String)> {
    let mut told = Vec::new();
    for (key, message) in committed(topic, 1) {
        let message: Value = serde_json::from_slice(&message).unwrap();
        assert_eq!(message["segmentId"].as_str().unwrap().as_bytes(), key);
        assert!(message["at"].as_str().unwrap().ends_with('Z'), "{message}");
        let text = |name: &str| message[name].as_str().unwrap().to_owned();
        let update = (text("segmentId"), message["version"].as_u64().unwrap(), text("action"));
        if !told.contains(&update) {
            told.push(update);
        }
    }
    told
}

fn wait_until_told(topic: &str, expected: &[(&str, u64, &str)]) {
    let mut found = Vec::new();
    for _ in 0..200 {
        found = told(topic);
        if found
            .iter()
            .map(|(id, version, action)| (id.as_str(), *version, action.as_str()))
            .eq(expected.iter().copied())
        {
            return;
        }
        pause(50);
    }
    panic!("{found:?}, not {expected:?}");
}

fn put(client: Client, id: &str, rules: &str) {
    let answer = client.put(&format!("/api/segments/{id}"), &format!(r#"{{"name":"{id}","rules":{rules}}}"#)).unwrap();
    assert!(answer.status < 300, "{}", answer.text());
}

fn wait_for_fault(served: &Served) {
    let mut health = Value::Null;
    for _ in 0..2_000 {
        health = served.client().get("/actuator/health").unwrap().json();
        if health["components"]["segment-updates"]["detail"].is_string() {
            return;
        }
        pause(20);
    }
    panic!("{health}");
}

#[test]
fn what_was_edited_while_the_brokers_were_away_is_told_later() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = format!("updates-test-{}.", wall_clock());
    // Bound, so that nobody else is given the port, and answers nobody until it is passed on.
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let brokers: SocketAddr = listener.local_addr().unwrap();
    let file = directory.path().join("audience.toml");
    let text = format!("[kafka]\nbrokers = \"{brokers}\"\npartitions = 1\ntopic_prefix = \"{prefix}\"\n");
    std::fs::write(&file, text).unwrap();
    let flags = vec!["--config".to_owned(), file.display().to_string()];
    let setup = Setup { flags, ..Setup::within(program!(), directory.path()) };

    let served = setup.start();
    put(served.client(), "a", r#"{"event":"buy"}"#);
    put(served.client(), "b", r#"{"event":"buy"}"#);
    put(served.client(), "a", r#"{"event":"view"}"#);
    wait_for_fault(&served);
    served.kill();
    let served = setup.start();
    assert_eq!(served.client().send("DELETE", "/api/segments/b", "", b"").unwrap().status, 204);
    forward(listener, variable("AUDIENCE_TEST_KAFKA"));
    let before = [("a", 1, "created"), ("b", 1, "created"), ("a", 2, "updated"), ("b", 1, "deleted")];
    let topic = format!("{prefix}segment-updates");
    let deadline = wall_clock() + 60_000;
    while served.client().get("/actuator/health").unwrap().json()["components"]["segment-updates"]["details"]
        .is_object()
    {
        assert!(wall_clock() < deadline, "{}", served.said());
        pause(50);
    }
    wait_until_told(&topic, &before);
    served.stop();
    // What is told is not told again by the next start: it ends before the next change.
    let served = setup.start();
    put(served.client(), "c", r#"{"event":"buy"}"#);
    wait_until_told(&topic, &[&before[..], &[("c", 1, "created")]].concat());
    served.stop();
    assert!(committed(&topic, 1).len() <= 2 * before.len() + 1);
}

/// PostgreSQL notifies nobody here, and the next look by itself is far off.
#[test]
fn who_hears_of_a_change_looks_at_postgres() {
    let database = TestDatabase::create();
    let directory = tempfile::tempdir().unwrap();
    let prefix = format!("updates-test-{}.", wall_clock());
    let file = directory.path().join("audience.toml");
    let brokers = variable("AUDIENCE_TEST_KAFKA");
    let text = format!(
        "postgres = \"{}\"\n[kafka]\nbrokers = \"{brokers}\"\npartitions = 1\ntopic_prefix = \"{prefix}\"\n",
        database.url
    );
    std::fs::write(&file, text).unwrap();
    let flags = vec!["--config".to_owned(), file.display().to_string()];
    let served = Setup { flags, ..Setup::within(program!(), directory.path()) }.start();
    let client = served.client();
    put(client, "s", r#"{"event":"buy"}"#);
    let event = r#"{"userId":"ann","eventType":"view"}"#;
    assert_eq!(client.post("/api/events", event).unwrap().status, 202);
    let topic = format!("{prefix}segment-updates");
    let deadline = wall_clock() + 30_000;
    while !client.get("/actuator/health").unwrap().json()["components"]["segment-updates"]["detail"].is_null() {
        assert!(wall_clock() < deadline, "{}", served.said());
        pause(50);
    }
    wait_until_told(&topic, &[("s", 1, "created")]);
    sql(
        &database.url,
        "DO $$ BEGIN EXECUTE replace(pg_get_functiondef('audience.take_version()'::regprocedure),
             'PERFORM pg_notify(''audience_catalogue'', number::text);', ''); END $$",
    );
    sql(&database.url, r#"UPDATE audience.segments SET rules = '{"event": "view"}' WHERE id = 's'"#);
    let mut members = Vec::new();
    for _ in 0..1_000 {
        members = client.members("s").unwrap().unwrap();
        if members == ["ann"] {
            break;
        }
        pause(10);
    }
    assert_eq!(members, ["ann"]);
    sql(&database.url, "DELETE FROM audience.segments WHERE id = 's'");
    wait_until_told(&topic, &[("s", 1, "created"), ("s", 2, "updated"), ("s", 2, "deleted")]);
    served.stop();
}

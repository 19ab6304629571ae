//! The APIs as processes of their own beside a real engine, on real services: events go in by one, segments by another, and
//! users' segments are read without the engine.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod database;
mod topics;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Setup, pause, wall_clock};
use serde_json::Value;

use database::TestDatabase;
use topics::{committed, variable};

/// A process that is killed when dropped.
struct KilledProcess {
    child: Child,
    client: Client,
}

impl KilledProcess {
    /// Starts it and waits until it is ready.
    fn start(command: &str, flags: &[&str]) -> KilledProcess {
        let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let mut child = Command::new(program!())
            .args([command, "--listen", &address.to_string()])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let client = Client(address);
        let process = KilledProcess { child, client };
        let is_ready = output.lines().map_while(Result::ok).any(|line| line.starts_with("audience is ready"));
        assert!(is_ready, "{command} ended");
        process
    }

    /// Asks until the answer is as wanted.
    fn wait_for(&self, path: &str, wanted: impl Fn(u16, &Value) -> bool) {
        let mut last = None;
        for _ in 0..1_000 {
            let answer = self.client.get(path).unwrap();
            if wanted(answer.status, &answer.json()) {
                return;
            }
            last = Some(answer.text());
            pause(20);
        }
        panic!("{path}: {last:?}");
    }
}

impl Drop for KilledProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The keys and values of a topic.
fn messages(topic: &str, partitions: i32) -> Vec<(String, Value)> {
    let said = |(key, value): (Vec<u8>, Vec<u8>)| {
        (String::from_utf8_lossy(&key).into_owned(), serde_json::from_slice(&value).unwrap())
    };
    committed(topic, partitions).into_iter().map(said).collect()
}

fn settings(directory: &Path, prefix: &str, postgres: &str) -> String {
    let file = directory.join("audience.toml");
    let (kafka, redis) = (variable("AUDIENCE_TEST_KAFKA"), variable("AUDIENCE_TEST_REDIS"));
    let text = format!(
        "postgres = \"{postgres}\"\n[kafka]\nbrokers = \"{kafka}\"\npartitions = 2\ntopic_prefix = \"{prefix}\"\n\
         [redis]\nurl = \"{redis}\"\nprefix = \"{prefix}\"\n"
    );
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn apis_beside_an_engine() {
    let database = TestDatabase::create();
    let directory = tempfile::tempdir().unwrap();
    let prefix = format!("processes-test-{}.", wall_clock());
    let config = settings(directory.path(), &prefix, &database.url);
    let setup = Setup::within(program!(), directory.path());
    let engine = Setup { flags: vec!["--config".to_owned(), config.clone()], ..setup }.start();

    let url = format!("http://{}", engine.client().0);
    let segments = KilledProcess::start("segment-api", &["--config", &config, "--engine", &url]);
    let alone = KilledProcess::start("segment-api", &["--config", &config]);
    let events = KilledProcess::start("ingest-api", &["--config", &config]);
    let created = segments.client.post("/api/segments", r#"{"id":"buyers","name":"Buyers","rules":{"event":"buy"}}"#);
    let created = created.unwrap();
    assert_eq!((created.status, created.json()["size"].is_null()), (201, true), "{}", created.text());
    events.wait_for("/health/ready", |status, _| status == 200);
    let sent =
        events.client.post("/api/events", r#"[{"userId":"ann","eventType":"buy"},{"userId":"","eventType":"x"}]"#);
    let sent = sent.unwrap();
    assert_eq!((sent.status, sent.json()["accepted"].as_u64()), (202, Some(1)), "{}", sent.text());

    let bought = |_, answer: &Value| *answer == serde_json::json!([{"segmentId": "buyers", "name": "Buyers"}]);
    segments.wait_for("/api/users/ann/segments", bought);
    assert_eq!(segments.client.get("/api/users/nobody/segments").unwrap().text().trim(), "[]");
    // Whom an id was merged into only the engine knows.
    let merged = events.client.post("/v1/alias", r#"{"previousId":"ann","userId":"bea"}"#).unwrap();
    assert_eq!(merged.status, 200, "{}", merged.text());
    segments.wait_for("/api/users/bea/segments", bought);
    alone.wait_for("/api/users/ann/segments", |_, answer| *answer == serde_json::json!([]));
    segments.wait_for("/api/users/ann/segments", bought);
    // An edit takes effect in the engine, and comes back by the store.
    let edit = r#"{"name":"Viewers","rules":{"event":"view"}}"#;
    assert_eq!(segments.client.put("/api/segments/buyers", edit).unwrap().status, 200);
    segments.wait_for("/api/users/ann/segments", |_, answer| *answer == serde_json::json!([]));
    alone.wait_for("/api/segments/buyers", |_, answer| answer["name"] == "Viewers");

    for path in ["/api/users/ann", "/api/segments/buyers/members?limit=1"] {
        let (here, there) = (segments.client.get(path).unwrap(), engine.client().get(path).unwrap());
        assert_eq!((here.status, here.text()), (200, there.text()), "{path} is asked of the engine");
        let refused = alone.client.get(path).unwrap();
        assert_eq!((refused.status, refused.code()), (501, "needs_engine".to_owned()), "{path}");
    }
    what_only_an_engine_answers(segments.client, engine.client());
    engine.stop();
    let away = segments.client.get("/api/users/ann").unwrap();
    assert_eq!((away.status, away.code()), (503, "engine_away".to_owned()));
    assert_eq!(segments.client.get("/api/users/ann/segments").unwrap().status, 200, "users' segments need no engine");
    assert_eq!(segments.client.get("/actuator/health").unwrap().status, 200);

    let taken = messages(&format!("{prefix}user-events"), 2);
    assert_eq!(taken.len(), 2);
    assert!(taken.iter().any(|(key, event)| key == "ann" && event["receivedAt"].is_string()), "{taken:?}");
    let told = messages(&format!("{prefix}segment-updates"), 1);
    let told: Vec<(&str, Option<&str>, Option<u64>)> =
        told.iter().map(|(key, said)| (key.as_str(), said["action"].as_str(), said["version"].as_u64())).collect();
    assert_eq!(told, [("buyers", Some("created"), Some(1)), ("buyers", Some("updated"), Some(2))]);
}

/// Requests with a body, and those that stay open, are asked of the engine as well.
fn what_only_an_engine_answers(segments: Client, engine: Client) {
    let preview = r#"{"rules":{"event":"buy"}}"#;
    let previewed = segments.post("/api/segments/preview", preview).unwrap();
    assert_eq!((previewed.status, previewed.json()["size"].as_u64()), (200, Some(1)), "{}", previewed.text());
    let created = segments.post("/api/webhooks", r#"{"url":"https://example.org/hook"}"#).unwrap();
    assert_eq!(created.status, 201, "{}", created.text());
    let path = format!("/api/webhooks/{}", created.json()["id"].as_str().unwrap());
    assert_eq!(engine.get(&path).unwrap().status, 200);
    let faulty = segments.put(&path, r#"{"url":"gopher://example.org"}"#).unwrap();
    assert_eq!(faulty.status, 400, "the engine's own answer: {}", faulty.text());
    assert_eq!(segments.send("DELETE", &path, "", b"").unwrap().status, 204);
    assert_eq!(engine.get(&path).unwrap().status, 404);

    let url = format!("ws://{}/api/ws?segment=buyers", segments.0);
    let mut socket = tungstenite::client(url, segments.connect().unwrap()).unwrap().0;
    let mut frame = || loop {
        let message = socket.read().unwrap();
        if message.is_text() {
            return serde_json::from_str::<Value>(message.to_text().unwrap()).unwrap();
        }
    };
    assert_eq!(frame()["event"], "ready");
    assert_eq!(engine.post("/api/events", r#"{"userId":"cid","eventType":"view"}"#).unwrap().status, 202);
    let change = loop {
        let frame = frame();
        if frame["event"].is_null() {
            break frame;
        }
    };
    assert_eq!((&change["userId"], &change["change"]), (&Value::from("cid"), &Value::from("entered")));
}

/// Without brokers nothing is taken, and health says why.
#[test]
fn events_are_refused_while_brokers_are_away() {
    let nobody: SocketAddr = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let events = KilledProcess::start("ingest-api", &["--kafka", &nobody.to_string()]);
    let refused = events.client.post("/api/events", r#"{"userId":"ann","eventType":"buy"}"#).unwrap();
    assert_eq!((refused.status, refused.code()), (503, "unavailable".to_owned()), "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    assert_eq!(events.client.post("/api/events", r#"{"userId":""}"#).unwrap().status, 400, "checks come first");
    let health = events.client.get("/actuator/health").unwrap();
    assert_eq!((health.status, health.json()["components"]["kafka"]["status"].as_str()), (503, Some("DOWN")));
    assert_eq!(events.client.get("/api/segments").unwrap().status, 404, "events only");
}

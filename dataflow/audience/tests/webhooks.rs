//! The real program posts to targets that fail, come back, hang and want no more, also across `kill -9`.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod database;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause};
use audience_tests::stream::Stream;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use database::TestDatabase;
use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::Sha256;

/// The longest time that anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// A target that takes a message and does not answer.
const HANGS: u16 = 0;

/// A message as it came.
#[derive(Clone, Debug)]
struct PostedMessage {
    id: String,
    at: String,
    signature: String,
    body: String,
    /// The status of the answer to it.
    status: u16,
}

impl PostedMessage {
    fn changes(&self) -> Vec<Value> {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        match body["type"].as_str() {
            Some("membership.changed") => body["data"]["changes"].as_array().unwrap().clone(),
            other => {
                assert!(matches!(other, Some("webhook.test" | "membership.reset")), "{body}");
                Vec::new()
            }
        }
    }

    fn is_signed(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut signature = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        signature.update(format!("{}.{}.{}", self.id, self.at, self.body).as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(signature.finalize().into_bytes()));
        self.signature.split(' ').any(|one| one == signature)
    }
}

/// Something that is posted to.
#[derive(Clone)]
struct Receiver {
    url: String,
    answers: Arc<AtomicU16>,
    taken: Arc<Mutex<Vec<PostedMessage>>>,
}

impl Receiver {
    fn start(answers: u16) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/changes", listener.local_addr().unwrap());
        let target = Receiver { url, answers: Arc::new(AtomicU16::new(answers)), taken: Arc::default() };
        let serving = target.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let target = serving.clone();
                thread::spawn(move || target.serve(stream));
            }
        });
        target
    }

    /// A connection is closed where the program is killed.
    fn serve(&self, mut stream: std::net::TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        loop {
            let (mut message, mut length) = (
                PostedMessage {
                    id: String::new(),
                    at: String::new(),
                    signature: String::new(),
                    body: String::new(),
                    status: 0,
                },
                0,
            );
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).ok()? == 0 {
                    return None;
                }
                match line.trim_end().split_once(": ") {
                    Some(("webhook-id", value)) => value.clone_into(&mut message.id),
                    Some(("webhook-timestamp", value)) => value.clone_into(&mut message.at),
                    Some(("webhook-signature", value)) => value.clone_into(&mut message.signature),
                    Some(("content-length", value)) => length = value.parse().ok()?,
                    _ if line.trim_end().is_empty() => break,
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            message.body = String::from_utf8(body).ok()?;
            message.status = self.answers.load(Ordering::Relaxed);
            let status = message.status;
            self.taken.lock().push(message);
            if status == HANGS {
                thread::park_timeout(PATIENCE);
                return None;
            }
            write!(stream, "HTTP/1.1 {status} So\r\ncontent-length: 0\r\n\r\n").ok()?;
        }
    }

    fn answer(&self, status: u16) {
        self.answers.store(status, Ordering::Relaxed);
    }

    fn all(&self) -> Vec<PostedMessage> {
        self.taken.lock().clone()
    }

    /// The changes of all messages that were taken, each message once.
    fn changes(&self) -> Vec<Value> {
        let (mut seen, mut changes) = (Vec::new(), Vec::new());
        for message in self.all().iter().filter(|message| message.status == 200) {
            if !seen.contains(&message.id) {
                seen.push(message.id.clone());
                changes.extend(message.changes());
            }
        }
        changes
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        pause(20);
    }
}

fn segment(client: Client, id: &str) {
    let body = json!({"name": id, "rules": {"event": id}});
    assert_eq!(client.put(&format!("/api/segments/{id}"), &body.to_string()).unwrap().status, 201);
}

fn happens(client: Client, event: &str, users: std::ops::Range<u32>) {
    let lines: Vec<String> =
        users.map(|user| json!({"userId": format!("u{user}"), "eventType": event}).to_string()).collect();
    let answer = client.send("POST", "/api/events", "application/x-ndjson", lines.join("\n").as_bytes()).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn create(client: Client, target: &Receiver, segments: &[&str]) -> Value {
    let body = json!({"url": target.url, "segments": segments});
    let answer = client.post("/api/webhooks", &body.to_string()).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

fn show(client: Client, id: &str) -> Value {
    client.get(&format!("/api/webhooks/{id}")).unwrap().json()
}

fn started(directory: &std::path::Path) -> (Setup, Served) {
    let mut setup = Setup::within(program!(), directory);
    setup.flags = vec!["--webhook-private-targets".to_owned()];
    let served = setup.start();
    segment(served.client(), "a");
    segment(served.client(), "b");
    (setup, served)
}

/// The messages of a stream, with ids.
fn streamed(client: Client, query: &str, count: usize) -> Vec<Value> {
    let mut stream = Stream::open(client, query, Some("0")).unwrap().unwrap();
    let mut next = || {
        let event = stream.next_event().unwrap().unwrap();
        let mut data = event.data;
        data["id"] = event.id.into();
        data
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn a_target_that_fails_and_comes_back_gets_everything_once_also_across_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let (setup, served) = started(directory.path());
    let target = Receiver::start(500);
    let created = create(served.client(), &target, &["a"]);
    let (id, secret) = (created["id"].as_str().unwrap(), created["secret"].as_str().unwrap());
    happens(served.client(), "a", 0..130);
    happens(served.client(), "b", 0..10);
    until("it is tried", || target.all().len() >= 2);
    served.kill();
    let first = target.all().remove(0);
    let served = setup.start();
    happens(served.client(), "a", 130..250);
    let before = target.all().len();
    until("it is tried again", || target.all().len() > before);
    target.answer(200);
    until("everything comes", || target.changes().len() == 250);
    assert_eq!(target.changes(), streamed(served.client(), "segment=a", 250));
    // The message that had failed is the same each time, but for its time.
    let all = target.all();
    let again: Vec<&PostedMessage> = all.iter().filter(|message| message.id == first.id).collect();
    assert!(again.len() > 2 && again.iter().all(|message| message.body == first.body));
    assert!(all.iter().all(|message| message.is_signed(secret)));
    assert!(!first.is_signed("whsec_AAAA"));
    until("it is accounted for", || show(served.client(), id)["deliveries"]["delivered"] == 250);
    let shown = show(served.client(), id);
    assert_eq!((&shown["status"], &shown["secret"]), (&json!("ACTIVE"), &Value::Null));
    assert!(shown["deliveries"]["failed"].as_u64().unwrap() >= 2);
    let attempts = served.client().get(&format!("/api/webhooks/{id}/deliveries")).unwrap().json();
    assert_eq!(attempts["items"][0]["delivered"], true);
    assert!(attempts["items"].as_array().unwrap().iter().any(|attempt| attempt["status"] == 500));
    served.stop();
}

#[test]
fn a_target_that_hangs_holds_back_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let (_, served) = started(directory.path());
    let (hangs, answers) = (Receiver::start(HANGS), Receiver::start(200));
    create(served.client(), &hangs, &["*"]);
    create(served.client(), &answers, &["*"]);
    happens(served.client(), "a", 0..1);
    until("one hangs", || !hangs.all().is_empty());
    for user in 1..20 {
        happens(served.client(), "a", user..user + 1);
        until("the other goes on", || answers.changes().len() == user as usize + 1);
    }
    served.stop();
}

#[test]
fn a_target_that_wants_no_more_is_paused_until_it_is_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let (setup, served) = started(directory.path());
    let target = Receiver::start(410);
    let id = create(served.client(), &target, &["a", "b"])["id"].as_str().unwrap().to_owned();
    happens(served.client(), "a", 0..3);
    until("it is paused", || show(served.client(), &id)["status"] == "PAUSED");
    assert!(show(served.client(), &id)["pausedBecause"].as_str().unwrap().contains("410"));
    let tried = target.all().len();
    target.answer(200);
    happens(served.client(), "b", 0..3);
    served.stop();
    let served = setup.start();
    pause(1_500);
    assert_eq!(target.all().len(), tried, "nothing is posted meanwhile, nor by a later run");
    let act = |what: &str| served.client().post(&format!("/api/webhooks/{id}/{what}"), "").unwrap();
    assert_eq!(act("resume").json()["status"], "ACTIVE");
    until("what waited comes", || target.changes().len() == 6);
    // A key that is replaced is good for a while.
    let old = act("rotate-secret").json()["secret"].as_str().unwrap().to_owned();
    let new = act("rotate-secret").json()["secret"].as_str().unwrap().to_owned();
    assert_eq!(act("test").json()["delivered"], true);
    let test = target.all().pop().unwrap();
    assert!(test.is_signed(&old) && test.is_signed(&new) && test.body.contains("webhook.test"));
    // Other changes from now on.
    let path = format!("/api/webhooks/{id}");
    let version = show(served.client(), &id)["version"].as_u64().unwrap();
    let patch = json!({"segments": ["b"], "changes": ["entered"]}).to_string();
    let patched = served.client().send("PATCH", &path, "application/json", patch.as_bytes()).unwrap();
    assert_eq!((patched.status, patched.json()["version"].as_u64()), (200, Some(version + 1)));
    happens(served.client(), "a", 10..12);
    happens(served.client(), "b", 10..12);
    until("they come", || target.changes().len() == 8);
    assert!(target.changes()[6..].iter().all(|change| change["segmentId"] == "b"));
    assert_eq!(served.client().send("DELETE", &path, "", b"").unwrap().status, 204);
    assert_eq!(served.client().get(&path).unwrap().status, 404);
    assert!(!served.client().get("/metrics").unwrap().text().contains(&id), "its figures go with it");
    served.stop();
    let served = setup.start();
    assert_eq!(served.client().get("/api/webhooks").unwrap().json(), json!({"items": []}));
    served.stop();
}

/// Edits a webhook as somebody; gives it.
fn done_by(client: Client, author: &str, method: &str, path: &str, body: &str) -> Value {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nx-author: {author}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = client.raw(request.as_bytes()).unwrap();
    assert!(answer.status < 300, "{}", answer.text());
    if answer.status == 204 { Value::Null } else { answer.json() }
}

/// Every edit of a webhook is in the audit log, whichever catalogue there is.
fn audited(client: Client) {
    let target = Receiver::start(200);
    let body = json!({"url": target.url, "segments": ["a"], "description": "first"}).to_string();
    let made = done_by(client, "ann", "POST", "/api/webhooks", &body);
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let path = format!("/api/webhooks/{id}");
    done_by(client, "bob", "PATCH", &path, r#"{"description": "second", "changes": ["left"]}"#);
    done_by(client, "bob", "POST", &format!("{path}/pause"), "");
    done_by(client, "ann", "POST", &format!("{path}/resume"), "");
    let rotated = done_by(client, "ann", "POST", &format!("{path}/rotate-secret"), "");
    assert_eq!(client.send("PATCH", &path, "application/json", b"{\"url\": \"x\"}").unwrap().status, 400);
    done_by(client, "cy", "DELETE", &path, "");
    let log = client.get(&format!("/api/audit?kind=webhook&id={id}")).unwrap();
    for secret in [secret, rotated["secret"].as_str().unwrap()] {
        assert!(!log.text().contains(secret), "no secret is in it");
    }
    let log = log.json();
    let rows = log["items"].as_array().unwrap();
    let said: Vec<_> = rows.iter().rev().map(|row| [&row["action"], &row["author"], &row["version"]]).collect();
    let expected = [
        [json!("created"), json!("ann"), json!(1)],
        [json!("updated"), json!("bob"), json!(2)],
        [json!("paused"), json!("bob"), json!(3)],
        [json!("resumed"), json!("ann"), json!(4)],
        [json!("secretRotated"), json!("ann"), json!(5)],
        [json!("deleted"), json!("cy"), json!(5)],
    ];
    assert_eq!(said, expected.iter().map(|row| row.each_ref()).collect::<Vec<_>>());
    let updated = &rows[4];
    assert_eq!(
        (&updated["before"]["description"], &updated["after"]["description"]),
        (&json!("first"), &json!("second"))
    );
    assert_eq!(
        (&updated["before"]["changes"], &updated["after"]["changes"]),
        (&json!(["entered", "left"]), &json!(["left"]))
    );
    assert_eq!(
        (&rows[3]["after"]["status"], &rows[5]["before"], &rows[0]["after"]),
        (&json!("PAUSED"), &Value::Null, &Value::Null)
    );
    for pair in rows.windows(2).filter(|pair| pair[0]["action"] != "deleted") {
        assert_eq!(pair[0]["before"], pair[1]["after"], "each begins where the one before ended");
    }
}

#[test]
fn what_is_done_with_webhooks_is_audited_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let (_, served) = started(directory.path());
    audited(served.client());
    let target = Receiver::start(500);
    let id = create(served.client(), &target, &["a"])["id"].as_str().unwrap().to_owned();
    let figure = |name: &str| {
        let wanted = format!("audience_webhook_{name}{{webhook=\"{id}\"}} ");
        let text = served.client().get("/metrics").unwrap().text();
        text.lines().find_map(|line| line.strip_prefix(&wanted)?.parse::<f64>().ok())
    };
    assert_eq!((figure("deliveries_total"), figure("paused")), (Some(0.0), Some(0.0)));
    happens(served.client(), "a", 0..5);
    until("it is tried again", || target.all().len() >= 2);
    until("that is counted", || figure("retries_total") >= Some(1.0) && figure("failures_total") >= Some(2.0));
    until("it falls behind", || figure("lag_seconds") >= Some(1.0));
    target.answer(200);
    until("everything comes", || figure("changes_total") == Some(5.0));
    assert!(figure("deliveries_total") >= Some(1.0));
    until("it has everything", || figure("lag_seconds") < Some(1.0));
    served.client().post(&format!("/api/webhooks/{id}/pause"), "").unwrap();
    assert_eq!(figure("paused"), Some(1.0));
    served.stop();
}

#[test]
fn webhooks_in_postgres_outlast_the_data_directory() {
    let database = TestDatabase::create();
    let directory = tempfile::tempdir().unwrap();
    let with_postgres = |data: &str| {
        let own = directory.path().join(data);
        std::fs::create_dir(&own).unwrap();
        let mut setup = Setup::within(program!(), &own);
        setup.flags = vec!["--webhook-private-targets".to_owned(), "--postgres".to_owned(), database.url.clone()];
        setup
    };
    let setup = with_postgres("first");
    let served = setup.start();
    segment(served.client(), "a");
    segment(served.client(), "b");
    audited(served.client());
    let target = Receiver::start(200);
    let created = create(served.client(), &target, &["a"]);
    let (id, secret) = (created["id"].as_str().unwrap(), created["secret"].as_str().unwrap());
    happens(served.client(), "a", 0..20);
    until("they come", || target.changes().len() == 20);
    target.answer(500);
    happens(served.client(), "a", 20..30);
    until("it is tried", || target.all().iter().any(|message| message.status == 500));
    served.kill();
    target.answer(200);
    let served = setup.start();
    until("it goes on where it was", || target.changes().len() == 30);
    until("that is noted", || show(served.client(), id)["deliveries"]["delivered"] == 30);
    assert!(!served.client().get(&format!("/api/webhooks/{id}/deliveries")).unwrap().json()["items"][0].is_null());
    served.stop();
    // The data directory is lost, and with it the places in its change log: the target is told so.
    let served = with_postgres("second").start();
    until("it is told", || target.all().last().is_some_and(|last| last.body.contains("membership.reset")));
    let told = target.all().last().unwrap().clone();
    assert!(told.is_signed(secret), "with the secret that it has");
    happens(served.client(), "a", 100..103);
    until("it goes on", || target.changes().len() == 33);
    let resets = target.all().iter().filter(|message| message.body.contains("membership.reset")).count();
    assert_eq!(resets, 1, "it is told once");
    served.stop();
}

#[test]
fn what_is_no_target_is_refused_and_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let create = |body: Value| served.client().post("/api/webhooks", &body.to_string()).unwrap();
    for (body, pointer) in [
        (json!({"url": "http://127.0.0.1:9/"}), "/url"),
        (json!({"url": "https://[fe80::1]/"}), "/url"),
        (json!({"url": "gopher://example.org/"}), "/url"),
        (json!({"url": "https://example.org/", "segments": ["none"]}), "/segments/0"),
        (json!({"url": "https://example.org/", "segments": []}), "/segments"),
        (json!({"url": "https://example.org/", "changes": []}), "/changes"),
        (json!({"url": "https://example.org/", "secret": "x"}), "/secret"),
    ] {
        let answer = create(body.clone());
        assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (400, &json!(pointer)), "{body}");
    }
    // A name is looked up as it is posted to.
    let id = create(json!({"url": "http://localhost:9/"})).json()["id"].as_str().unwrap().to_owned();
    let test = served.client().post(&format!("/api/webhooks/{id}/test"), "").unwrap().json();
    assert!(test["error"].as_str().unwrap().contains("public"), "{test}");
    served.stop();
}

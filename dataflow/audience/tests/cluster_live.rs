//! The APIs say the same of live state with two worker processes as with one: users, sizes, overlaps, exports, and the
//! changes over server-sent events and webhooks.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Setup, pause, wall_clock};
use audience_tests::stream::Stream;
use parking_lot::Mutex;
use serde_json::{Value, json};

const PATIENCE_MILLISECONDS: i64 = 60_000;
/// Each of them enters `a`, every third `b`, and every fifth leaves `a` again.
const USERS: u32 = 300;
/// Users who are in nothing.
const STRANGERS: u32 = 40;

/// A change: user, segment and which way.
type LiveChange = (String, String, String);

fn change(change: &Value) -> LiveChange {
    let text = |name: &str| change[name].as_str().unwrap().to_owned();
    (text("userId"), text("segmentId"), text("change"))
}

/// Takes what is posted; gives where.
fn target(taken: Arc<Mutex<BTreeSet<LiveChange>>>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let taken = taken.clone();
            std::thread::spawn(move || take(stream, &taken));
        }
    });
    url
}

/// Ends where the connection does.
fn take(mut stream: TcpStream, taken: &Mutex<BTreeSet<LiveChange>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().ok()?;
            }
            if line.trim_end().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let body: Value = serde_json::from_slice(&body).ok()?;
        taken.lock().extend(body["data"]["changes"].as_array()?.iter().map(change));
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = wall_clock() + PATIENCE_MILLISECONDS;
    while !holds() {
        assert!(wall_clock() < deadline, "{what}");
        pause(20);
    }
}

fn send(client: Client, events: Vec<Value>) {
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    let answer = client.send("POST", "/api/events", "application/x-ndjson", lines.join("\n").as_bytes()).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn get(client: Client, path: &str) -> Value {
    let answer = client.get(path).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

/// All users of a list, page by page.
fn users(client: Client, prefix: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(client, &format!("/api/users?limit=50&q={prefix}{cursor}"));
        found.extend(page["items"].as_array().unwrap().iter().map(|user| user["userId"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// The answers of so many processes, in words that are the same for any number, and the emitted changes.
fn said(processes: usize) -> (Vec<Value>, BTreeSet<LiveChange>) {
    let directory = tempfile::tempdir().unwrap();
    let flags = vec!["--webhook-private-targets".to_owned()];
    let served = Setup { processes, flags, ..Setup::within(program!(), directory.path()) }.start();
    let client = served.client();
    let not_out = json!({"conditions": [{"event": "a"}, {"conditions": [{"event": "out"}], "logic": "NOT"}]});
    for (id, rules) in [("a", not_out), ("b", json!({"event": "b"}))] {
        let body = json!({"name": id, "rules": rules}).to_string();
        assert_eq!(client.put(&format!("/api/segments/{id}"), &body).unwrap().status, 201);
    }
    let posted = Arc::new(Mutex::new(BTreeSet::new()));
    let hook = json!({"url": target(posted.clone()), "segments": ["a", "b"]}).to_string();
    assert_eq!(client.post("/api/webhooks", &hook).unwrap().status, 201);
    let mut stream = Stream::open(client, "", None).unwrap().unwrap();
    let of = |kind: &'static str| move |user: u32| json!({"userId": format!("u{user:03}"), "eventType": kind});
    send(client, (0..USERS).map(of("a")).collect());
    send(client, (0..USERS).step_by(3).map(of("b")).collect());
    send(client, (0..STRANGERS).map(|user| json!({"userId": format!("x{user:02}"), "eventType": "c"})).collect());
    until("all enter", || get(client, "/api/segments/a")["size"] == USERS);
    send(client, (0..USERS).step_by(5).map(of("out")).collect());
    let left = USERS / 5;
    until("some leave", || get(client, "/api/segments/a")["size"] == USERS - left);
    until("the others are known", || users(client, "x").len() == STRANGERS as usize);
    let count = (USERS + USERS.div_ceil(3) + left) as usize;
    let streamed: BTreeSet<LiveChange> =
        (0..count).map(|_| change(&stream.next_event().unwrap().expect("an event").data)).collect();
    assert_eq!(streamed.len(), count, "each once");
    until("webhooks have all", || posted.lock().len() == count);
    assert_eq!(*posted.lock(), streamed);
    until("sizes are kept", || get(client, "/api/segments/a/size")["size"] == USERS - left);
    let sizes = get(client, "/api/segments/a/size?step=1m");
    let sum = |name: &str| -> u64 {
        sizes["points"].as_array().unwrap().iter().map(|point| point[name].as_u64().unwrap()).sum()
    };
    let csv = client.get("/api/segments/a/members?format=csv").unwrap().text();
    let said = vec![
        json!(users(client, "")),
        json!(users(client, "x3")),
        json!(users(client, "x07")),
        json!([sum("entered"), sum("left")]),
        get(client, "/api/segments/a/overlap?with=b"),
        json!(sorted(&csv)),
        get(client, "/api/segments/b/members?limit=1000"),
    ];
    served.stop();
    (said, streamed)
}

#[test]
fn two_processes_say_what_one_says() {
    let (one, two) = (said(1), said(2));
    assert_eq!(one.0[0].as_array().unwrap().len(), (USERS + STRANGERS) as usize);
    assert_eq!(one, two);
}

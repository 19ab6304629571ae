//! The real program, followed over server-sent events and WebSockets: also across `kill -9`, by who is slow, and by too many.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause};
use audience_tests::stream::{Event, Stream};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// The number of kills of the program under a subscriber.
const KILLS: usize = 4;

fn segment(client: Client, id: &str, least: u32) {
    let body = json!({"name": id, "rules": {"event": "buy", "operator": "gte", "value": least}});
    assert_eq!(client.put(&format!("/api/segments/{id}"), &body.to_string()).unwrap().status, 201);
}

/// One event of each of these users.
fn buy(client: Client, users: std::ops::Range<u32>) -> bool {
    let lines: Vec<String> = users.map(|user| format!(r#"{{"userId":"u{user}","eventType":"buy"}}"#)).collect();
    let body = lines.join("\n");
    client.send("POST", "/api/events", "application/x-ndjson", body.as_bytes()).is_ok_and(|answer| answer.status == 202)
}

fn open(client: Client, query: &str, after: Option<&str>) -> Stream {
    Stream::open(client, query, after).unwrap().unwrap()
}

fn take(stream: &mut Stream, count: usize) -> Vec<Event> {
    (0..count).map(|_| stream.next_event().unwrap().expect("an event")).collect()
}

/// Everything from the beginning, up to that id.
fn everything(client: Client, last: &str) -> Vec<Event> {
    let mut stream = open(client, "", Some("0"));
    let mut events = Vec::new();
    while events.last().is_none_or(|event: &Event| event.id != last) {
        events.extend(take(&mut stream, 1));
    }
    events
}

#[test]
fn a_subscriber_goes_on_behind_its_last_id_whatever_happens_to_the_program() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let served = setup.start();
    segment(served.client(), "one", 1);
    segment(served.client(), "two", 2);
    let (link, is_over) = (Mutex::new(served.client()), AtomicBool::new(false));
    let (served, mut seen, mut id) = thread::scope(|scope| {
        scope.spawn(|| {
            let mut user = 0;
            while !is_over.load(Ordering::Relaxed) {
                let client = *link.lock();
                if buy(client, user % 3000..user % 3000 + 50) {
                    user += 25;
                } else {
                    pause(20);
                }
            }
        });
        let (mut served, mut seen, mut id) = (served, Vec::new(), "0".to_owned());
        for _ in 0..KILLS {
            let mut stream = open(served.client(), "", Some(&id));
            seen.extend(take(&mut stream, 500));
            served.kill();
            // What was sent before it died may still come.
            while let Ok(Some(event)) = stream.next_event() {
                seen.push(event);
            }
            id = stream.id;
            served = setup.start();
            *link.lock() = served.client();
        }
        is_over.store(true, Ordering::Relaxed);
        (served, seen, id)
    });
    segment(served.client(), "last", 1);
    let mut stream = open(served.client(), "", Some(&id));
    while seen.last().is_none_or(|event: &Event| event.data["segmentId"] != "last") {
        seen.extend(take(&mut stream, 1));
        id.clone_from(&stream.id);
    }
    let client = served.client();
    assert_eq!(seen, everything(client, &id));
    // Folded they are who is in it.
    let mut members = BTreeSet::new();
    for event in seen.iter().filter(|event| event.data["segmentId"] == "two") {
        let user = event.data["userId"].as_str().unwrap().to_owned();
        let is_new = if event.event == "entered" { members.insert(user) } else { members.remove(&user) };
        assert!(is_new, "{event:?}");
    }
    assert_eq!(Some(members.into_iter().collect::<Vec<_>>()), client.members("two").unwrap());
    served.stop();
}

/// Has so many users enter, and waits until the first and the last of them did.
fn entered(served: &Served, users: u32) -> Stream {
    let mut stream = open(served.client(), &format!("user=u0&user=u{}", users - 1), None);
    for start in (0..users).step_by(10_000) {
        assert!(buy(served.client(), start..users.min(start + 10_000)));
    }
    take(&mut stream, 4);
    stream
}

#[test]
fn one_who_is_slow_gets_everything_and_holds_back_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    segment(served.client(), "a", 1);
    segment(served.client(), "b", 1);
    let (mut slow, mut of_b) = (open(served.client(), "", None), open(served.client(), "segment=b&segment=none", None));
    // Twice as many changes as are kept in memory; nothing of them is taken meanwhile.
    let users = 70_000;
    entered(&served, users);
    let seen = take(&mut slow, 2 * users as usize);
    let pairs: BTreeSet<(&str, &str)> = seen
        .iter()
        .map(|event| (event.data["userId"].as_str().unwrap(), event.data["segmentId"].as_str().unwrap()))
        .collect();
    assert_eq!(pairs.len(), 2 * users as usize);
    let of_b = take(&mut of_b, users as usize);
    assert_eq!(of_b, seen.iter().filter(|event| event.data["segmentId"] == "b").cloned().collect::<Vec<_>>());
    // And from the log again, a part of them.
    let middle = seen.len() / 2;
    assert_eq!(take(&mut open(served.client(), "", Some(&seen[middle].id)), 100), seen[middle + 1..middle + 101]);
    served.stop();
}

#[test]
fn what_is_not_known_any_more_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let mut stream = open(served.client(), "", Some("99999999-3"));
    let reset = take(&mut stream, 1).remove(0);
    assert_eq!(reset.event, "reset");
    segment(served.client(), "a", 1);
    assert!(buy(served.client(), 7..8));
    let event = take(&mut stream, 1).remove(0);
    assert_eq!((&event.data["userId"], &event.data["change"]), (&json!("u7"), &json!("entered")));
    assert_eq!(take(&mut open(served.client(), "", Some(&reset.id)), 1), [event]);
    assert_eq!(Stream::open(served.client(), "after=x", None).unwrap().err(), Some(400));
    served.stop();
}

type Socket = tungstenite::WebSocket<std::net::TcpStream>;

fn socket(client: Client, query: &str) -> Socket {
    tungstenite::client(format!("ws://{}/api/ws?{query}", client.0), client.connect().unwrap()).unwrap().0
}

fn frame(socket: &mut Socket) -> Value {
    loop {
        let message = socket.read().unwrap();
        if message.is_text() {
            return serde_json::from_str(message.to_text().unwrap()).unwrap();
        }
    }
}

#[test]
fn a_socket_gets_the_same_and_may_ask_for_something_else() {
    let directory = tempfile::tempdir().unwrap();
    let mut served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    segment(client, "a", 1);
    segment(client, "b", 1);
    let mut stream = open(client, "segment=a", None);
    let mut socket = socket(client, "segment=a");
    assert_eq!(frame(&mut socket)["event"], "ready");
    assert!(buy(client, 1..2));
    let (mut first, event) = (frame(&mut socket), take(&mut stream, 1).remove(0));
    assert_eq!(first["id"].as_str(), Some(event.id.as_str()));
    first.as_object_mut().unwrap().remove("id");
    assert_eq!(first, event.data);
    socket.send(r#"{"subscribe":{"segments":["b"],"users":["u3"]}}"#.into()).unwrap();
    assert_eq!(frame(&mut socket)["event"], "subscribed");
    assert!(buy(client, 2..4));
    let second = frame(&mut socket);
    assert_eq!((&second["userId"], &second["segmentId"]), (&json!("u3"), &json!("b")));
    socket.send(r#"{"subscribe":7}"#.into()).unwrap();
    assert_eq!(frame(&mut socket)["event"], "error");
    // The end in order: both are told, and the program ends.
    served.terminate();
    while let Ok(Some(_)) = stream.next_event() {}
    let closed = loop {
        if let tungstenite::Message::Close(closed) = socket.read().unwrap() {
            break closed.unwrap();
        }
    };
    assert_eq!(u16::from(closed.code), 1001);
    assert!(served.wait().success());
}

#[test]
fn a_socket_is_for_scripts_of_this_site() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    assert_eq!(client.get("/api/ws").unwrap().code(), "upgrade_required");
    for (origin, status) in [("http://elsewhere.example", "403"), ("http://localhost:8081", "426")] {
        let request = format!("GET /api/ws HTTP/1.1\r\nhost: localhost:8081\r\norigin: {origin}\r\n\r\n");
        assert_eq!(client.raw(request.as_bytes()).unwrap().status.to_string(), status, "{origin}");
    }
    served.stop();
}

#[test]
fn too_many_are_refused_until_one_has_gone() {
    let directory = tempfile::tempdir().unwrap();
    let mut setup = Setup::within(program!(), directory.path());
    setup.flags = ["--max-streams", "2"].map(String::from).to_vec();
    let served = setup.start();
    let (first, _second) = (open(served.client(), "", None), socket(served.client(), ""));
    assert_eq!(Stream::open(served.client(), "", None).unwrap().err(), Some(429));
    drop(first);
    segment(served.client(), "a", 1);
    // Noticed with the next write to it at the latest.
    let mut user = 0;
    let mut third = loop {
        user += 1;
        assert!(user < 1000 && buy(served.client(), user..user + 1));
        match Stream::open(served.client(), "", None).unwrap() {
            Ok(stream) => break stream,
            Err(status) => assert_eq!(status, 429),
        }
        pause(20);
    };
    third.set_patience(Duration::from_secs(30)).unwrap();
    assert!(buy(served.client(), 5000..5001));
    while take(&mut third, 1)[0].data["userId"] != "u5000" {}
    served.stop();
}

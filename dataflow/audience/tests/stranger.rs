//! The real program before clients that are wrong, hostile or slow, and on disks that are: each is told what is wrong and
//! where, nothing that was accepted is lost, and everybody else is served as ever.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use audience_contract::suite::SmallDisk;
use audience_tests::client::{Answer, Client, read_answer};
use audience_tests::platform::wait_until;
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause};
use tempfile::TempDir;

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

/// A program with a segment of one member.
struct Host {
    served: Served,
    _directory: TempDir,
}

impl Host {
    fn start() -> Host {
        let directory = tempfile::tempdir().unwrap();
        let served = Setup::within(program!(), directory.path()).start();
        let host = Host { served, _directory: directory };
        let rules = r#"{"name":"known","rules":{"event":"known"}}"#;
        assert_eq!(host.client().put("/api/segments/known", rules).unwrap().status, 201);
        let event = r#"{"userId":"first","eventType":"known"}"#;
        assert_eq!(host.client().post("/api/events", event).unwrap().status, 202);
        host
    }

    fn client(&self) -> Client {
        self.served.client()
    }

    /// Everything is as it should be, and goes on.
    fn check(mut self, others: &[&str]) {
        assert!(self.served.is_alive());
        let event = r#"{"userId":"last","eventType":"known"}"#;
        assert_eq!(self.client().post("/api/events", event).unwrap().status, 202);
        let mut expected = vec!["first".to_owned(), "last".to_owned()];
        expected.extend(others.iter().map(|other| (*other).to_owned()));
        expected.sort();
        wait_for_members(self.client(), &expected);
        let said = self.served.said();
        assert!(!said.contains("panicked"), "{said}");
        self.served.stop();
    }
}

fn wait_for_members(client: Client, expected: &[String]) {
    let mut members = Vec::new();
    for _ in 0..500 {
        members = client.members("known").unwrap().unwrap();
        if members == expected {
            return;
        }
        pause(10);
    }
    assert_eq!(members, expected);
}

/// The answer is a problem of that status which has these words.
fn assert_problem(about: &str, answer: &Answer, status: u16, words: &[&str]) {
    let about: String = about.chars().take(200).collect();
    let text = answer.text();
    assert_eq!(answer.status, status, "{about}: {text}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{about}: {text}");
    let json = answer.json();
    assert_eq!(json["status"].as_u64(), Some(u64::from(status)), "{about}: {text}");
    let is_said = |key: &str| json[key].as_str().is_some_and(|text| !text.is_empty());
    assert!(is_said("detail") && is_said("code") && is_said("title") && is_said("type"), "{about}: {text}");
    for word in words {
        assert!(text.contains(word), "{about}: {word} is not in {text}");
    }
    assert!(text.len() < 1 << 20, "{about}: an answer of {} bytes", text.len());
}

fn event(members: &str) -> Vec<u8> {
    format!(r#"{{"userId":"u","eventType":"known"{members}}}"#).into_bytes()
}

#[test]
fn events_that_are_none() {
    let host = Host::start();
    let deep = format!(r#","properties":{{"a":{}"#, "[".repeat(10_000));
    let deep_closed = format!(r#","properties":{{"a":{}1{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let long = "i".repeat(1 << 20);
    let many = format!("[{}]", vec!["{}"; 10_001].join(","));
    let cases: Vec<(Vec<u8>, u16, &[&str])> = vec![
        (b"".to_vec(), 400, &["malformed_json"]),
        (b"{".to_vec(), 400, &["malformed_json"]),
        (b"nul".to_vec(), 400, &["malformed_json"]),
        (b"[{},".to_vec(), 400, &["malformed_json"]),
        ([event(""), b"x".to_vec()].concat(), 400, &["malformed_json"]),
        (b"{'userId':1}".to_vec(), 400, &["malformed_json"]),
        (b"\"text\"".to_vec(), 400, &["wrong_type"]),
        (b"null".to_vec(), 400, &["wrong_type"]),
        (b"[]".to_vec(), 400, &["no_events"]),
        (b"[[]]".to_vec(), 400, &["/0", "wrong_type"]),
        (b"{}".to_vec(), 400, &["eventType"]),
        (b"{\"batch\":7}".to_vec(), 400, &["/batch"]),
        (br#"{"userId":"u","eventType":7}"#.to_vec(), 400, &["/eventType", "wrong_type"]),
        (br#"{"userId":{},"eventType":"p"}"#.to_vec(), 400, &["/userId", "wrong_type"]),
        (br#"{"userId":"","eventType":"p"}"#.to_vec(), 400, &["/userId", "empty"]),
        (br#"{"userId":"a","customerId":"b","eventType":"p"}"#.to_vec(), 400, &["conflict"]),
        (event(r#","properties":[]"#), 400, &["/properties", "wrong_type"]),
        (event(r#","properties":{"a":NaN}"#), 400, &["malformed_json"]),
        (event(r#","timestamp":"0000-01-01T00:00:00Z""#), 400, &["/timestamp", "bad_time"]),
        (event(r#","timestamp":"9999-12-31T23:59:59Z""#), 400, &["/timestamp", "bad_time"]),
        (event(r#","timestamp":"2026-02-30T00:00:00Z""#), 400, &["/timestamp", "bad_time"]),
        (event(r#","timestamp":-1"#), 400, &["/timestamp", "looks_like_seconds"]),
        (event(r#","timestamp":1.5"#), 400, &["/timestamp", "bad_time"]),
        (event(r#","timestamp":1e300"#), 400, &["/timestamp", "bad_time"]),
        (event(&format!(",\"timestamp\":{}", "9".repeat(400))), 400, &["/timestamp", "bad_time"]),
        (event(&deep), 400, &["too_deep"]),
        (event(&deep_closed), 400, &["too_deep"]),
        ([b"[".to_vec(), b"[".repeat(10_000)].concat(), 400, &["too_deep"]),
        (event(",\"a\":\"\0\""), 400, &["malformed_json"]),
        ([b"{\"userId\":\"".to_vec(), vec![0xff, 0xfe], b"\"}".to_vec()].concat(), 400, &["malformed_json"]),
        (event(r#","a":"\ud800""#), 400, &["malformed_json"]),
        (format!(r#"{{"userId":"{long}","eventType":"p"}}"#).into_bytes(), 400, &["too_large"]),
        (format!(r#"{{"userId":"{}","eventType":"p"}}"#, &long[..300]).into_bytes(), 400, &["/userId", "too_long"]),
        (many.into_bytes(), 413, &["too_many_events"]),
        (vec![b' '; 9 << 20], 413, &["too_large"]),
    ];
    for (body, status, words) in &cases {
        let answer = host.client().send("POST", "/api/events", JSON, body).unwrap();
        assert_problem(&String::from_utf8_lossy(body), &answer, *status, words);
    }
    host.check(&[]);
}

#[test]
fn events_that_are_odd_and_right() {
    let host = Host::start();
    for members in [
        format!(r#","properties":{{"a":{}}}"#, "7".repeat(400)),
        format!(r#","properties":{{"a":1e400,"b":-1E-400,"c":0.{}}}"#, "1".repeat(400)),
        r#","properties":{"a":"\u0000","":{"":[[],{},null]}},"unknown":[1,{"x":[]}]"#.to_owned(),
        r#","timestamp":"2199-12-31T23:59:59.999Z""#.to_owned(),
        r#","timestamp":"1970-01-01","messageId":"1970""#.to_owned(),
        r#","properties":null,"context":null,"traits":7"#.to_owned(),
    ] {
        let body = event(&members);
        let answer = host.client().send("POST", "/api/events", JSON, &body).unwrap();
        let is_odd_traits = members.contains("traits");
        let expected = if is_odd_traits { 400 } else { 202 };
        assert_eq!(answer.status, expected, "{members}: {}", answer.text());
    }
    // One bad event among good ones keeps none of them out.
    let mixed = r#"[{"userId":"v","eventType":"known"},{"userId":"w"},{"userId":"w","eventType":"known"}]"#;
    let answer = host.client().post("/api/events", mixed).unwrap();
    assert_eq!((answer.status, answer.json()["accepted"].as_u64()), (202, Some(2)));
    assert_eq!(answer.json()["rejected"][0]["index"].as_u64(), Some(1));
    let lines = b"{\"userId\":\"x\",\"eventType\":\"known\"}\n\xff\n\n{\"userId\":\"y\",\"eventType\":\"known\"}";
    let answer = host.client().send("POST", "/api/events", NDJSON, lines).unwrap();
    assert_eq!((answer.status, answer.json()["accepted"].as_u64()), (202, Some(2)), "{}", answer.text());
    host.check(&["u", "v", "w", "x", "y"]);
}

fn nested(levels: usize) -> String {
    format!("{}{{\"event\":\"p\"}}{}", "{\"conditions\":[".repeat(levels - 1), "]}".repeat(levels - 1))
}

#[test]
fn rules_that_are_refused() {
    let host = Host::start();
    let digits = "9".repeat(400);
    let nodes = format!(r#"{{"conditions":[{}]}}"#, vec![r#"{"event":"p"}"#; 299].join(","));
    let matches = |pattern: &str| format!(r#"{{"field":"f","operator":"matches","value":"{pattern}"}}"#);
    let cases: Vec<(String, &[&str])> = vec![
        ("7".into(), &["/rules"]),
        ("{}".into(), &["/rules"]),
        ("[]".into(), &["/rules"]),
        (r#"{"event":"p","field":"f"}"#.into(), &["/rules"]),
        (r#"{"event":"p","oops":1}"#.into(), &["/rules/oops", "unknown_key"]),
        (r#"{"event":7}"#.into(), &["/rules/event", "wrong_type"]),
        (r#"{"event":"p","operator":"is","value":1}"#.into(), &["/rules/operator"]),
        (r#"{"event":"p","within":"3 days"}"#.into(), &["/rules/within"]),
        (r#"{"event":"p","within":"99999999999999999999d"}"#.into(), &["/rules/within"]),
        (r#"{"event":"p","within":{"from":"0000-01-01T00:00:00Z"}}"#.into(), &["/rules/within/from"]),
        (format!(r#"{{"event":"p","operator":"gt","value":{digits}}}"#), &["/rules/value"]),
        (r#"{"event":"p","operator":"gt","value":NaN}"#.into(), &["malformed_json"]),
        (r#"{"rank":{"by":"f"},"top":0}"#.into(), &["/rules/top"]),
        (r#"{"rank":{"by":"f"},"percent":1e300}"#.into(), &["/rules/percent"]),
        (matches("("), &["/rules/value"]),
        (matches("(a{1000}){1000}"), &["/rules/value"]),
        (matches("((((((((((x*)*)*)*)*){100}){100}){100}){100}){100})"), &["/rules/value"]),
        (matches(&"a?".repeat(501)), &["/rules/value"]),
        (nodes, &["too_many_nodes", "300 nodes"]),
        (nested(17), &["too_deep"]),
        (nested(10_000), &["too_deep"]),
        (r#"{"segment":"nowhere"}"#.into(), &["/rules/segment", "nowhere"]),
        (r#"{"segment":"new"}"#.into(), &["/rules/segment"]),
        (
            r#"{"conditions":[{"event":7},{"oops":1},{"segment":"nowhere"}]}"#.into(),
            &["/rules/conditions/0/event", "/rules/conditions/1", "/rules/conditions/2/segment"],
        ),
    ];
    for (rules, words) in &cases {
        let body = format!(r#"{{"name":"new","rules":{rules}}}"#);
        let answer = host.client().put("/api/segments/new", &body).unwrap();
        assert_problem(rules, &answer, 400, words);
        assert_eq!(host.client().get("/api/segments/new").unwrap().status, 404, "{rules}");
    }
    // A circle through two segments; the running version stays.
    let put = |id: &str, rules: &str| {
        host.client().put(&format!("/api/segments/{id}"), &format!(r#"{{"name":"{id}","rules":{rules}}}"#)).unwrap()
    };
    assert_eq!(put("one", r#"{"event":"known"}"#).status, 201);
    assert_eq!(put("two", r#"{"segment":"one"}"#).status, 201);
    assert_problem("a circle", &put("one", r#"{"segment":"two"}"#), 400, &["/rules/segment", "cycl"]);
    let answer = host.client().send("DELETE", "/api/segments/one", JSON, b"").unwrap();
    assert_problem("it is used", &answer, 409, &["two"]);
    assert_eq!(host.client().members("two").unwrap().unwrap(), ["first"]);
    assert_eq!(put("wide", &nested(16)).status, 201);
    host.check(&[]);
}

/// Method, path, content type, body; the status, and words that the answer must have.
type RequestCase<'a> = (&'a str, &'a str, &'a str, String, u16, &'a [&'a str]);

#[test]
fn segments_and_paths_that_are_wrong() {
    let host = Host::start();
    let long = "i".repeat(1 << 20);
    let body = |members: &str| format!(r#"{{{members},"rules":{{"event":"p"}}}}"#);
    let named = body(r#""name":"n""#);
    let many = format!(r#"["{long}","a",""]"#);
    let cases: Vec<RequestCase<'_>> = vec![
        ("POST", "/api/segments", JSON, body(r#""nam":"n""#), 400, &["nam"]),
        ("POST", "/api/segments", JSON, body(r#""name":7"#), 400, &["/name"]),
        ("PUT", "/api/segments/n", JSON, body(r#""name":"""#), 400, &["/name"]),
        ("POST", "/api/segments", JSON, body(r#""name":"n","status":"GONE""#), 400, &["/status"]),
        ("POST", "/api/segments", JSON, body(r#""name":"n","type":"ODD""#), 400, &["/type"]),
        ("POST", "/api/segments", JSON, body(&format!(r#""name":"n","id":"{long}""#)), 400, &["/id"]),
        ("POST", "/api/segments", JSON, body(r#""name":"n","id":"known""#), 409, &["exists"]),
        ("POST", "/api/segments", JSON, r#"{"name":"n"}"#.into(), 400, &["rules"]),
        ("POST", "/api/segments", JSON, "[".repeat(10_000), 400, &["malformed_json"]),
        ("PUT", "/api/segments/known/members", JSON, r#"["a"]"#.into(), 409, &["not_static"]),
        ("PUT", "/api/segments/nowhere/members", JSON, r#"["a"]"#.into(), 404, &["nowhere"]),
        ("PUT", "/api/segments/known/members?strict=true", JSON, many, 400, &["/0", "/2"]),
        ("POST", "/api/segments", "text/html", named.clone(), 415, &["application/json"]),
        ("PUT", "/api/segments/n", "application/json; charset=latin1", named.clone(), 415, &["UTF-8"]),
        ("PUT", "/api/segments/n", JSON, " ".repeat(9 << 20), 413, &["too_large"]),
        ("PUT", "/api/segments/%ff", JSON, named.clone(), 400, &["invalid_path"]),
        ("PUT", "/api/segments/preview", JSON, named.clone(), 405, &["POST"]),
        ("GET", "/api/segments/nowhere", JSON, String::new(), 404, &["nowhere"]),
        ("GET", "/api/segments?limit=-1", JSON, String::new(), 400, &["limit"]),
        ("GET", "/api/segments?status=odd", JSON, String::new(), 400, &["status"]),
        ("GET", "/api/segments/known/members?limit=0", JSON, String::new(), 400, &["limit"]),
        ("GET", "/api/nothing", JSON, String::new(), 404, &["unknown_path"]),
        ("GET", "//", JSON, String::new(), 404, &["unknown_path"]),
        ("BREW", "/api/segments", JSON, String::new(), 405, &["BREW", "POST"]),
        ("DELETE", "/api/events", JSON, String::new(), 405, &["method_not_allowed"]),
        ("POST", "/api/segments/known/explode", JSON, String::new(), 404, &["unknown_path"]),
        ("GET", "/api/users/nobody", JSON, String::new(), 404, &["nobody"]),
        ("PUT", "/api/traits/t", JSON, r#"{"event":7}"#.into(), 400, &["/event"]),
        ("DELETE", "/api/traits/nowhere", JSON, String::new(), 404, &["nowhere"]),
    ];
    for (method, path, media, body, status, words) in &cases {
        let answer = host.client().send(method, path, media, body.as_bytes()).unwrap();
        assert_problem(&format!("{method} {path} {body}"), &answer, *status, words);
    }
    let answer = host.client().get("/api/users/nobody/segments").unwrap();
    assert_eq!((answer.status, answer.text()), (200, "[]".to_owned()));
    host.check(&[]);
}

/// Sends parts, as long as they are taken; gives the answer and how many bytes were taken.
fn stream(client: Client, head: &str, part: &[u8], parts: usize) -> (Answer, usize) {
    let mut stream = client.connect().unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let answer = std::thread::spawn(move || read_answer(&mut reader));
    let mut taken = 0;
    for _ in 0..parts {
        if answer.is_finished() || stream.write_all(part).is_err() {
            break;
        }
        taken += part.len();
    }
    (answer.join().unwrap().unwrap(), taken)
}

#[test]
fn bodies_without_an_end() {
    let host = Host::start();
    let head = |path: &str, media: &str, more: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {media}\r\n{more}\r\n\r\n")
    };
    for (path, media) in [("/api/events", JSON), ("/api/segments", JSON)] {
        let lie = head(path, media, "content-length: 1073741824");
        let (answer, _) = stream(host.client(), &lie, b"{", 1);
        assert_problem("a gigabyte is announced", &answer, 413, &["too_large"]);
    }
    // A gigabyte in chunks of a mebibyte; refused long before its end.
    let part = [b"100000\r\n".to_vec(), vec![b'x'; 1 << 20], b"\r\n".to_vec()].concat();
    for media in [JSON, NDJSON] {
        let chunked = head("/api/events", media, "transfer-encoding: chunked");
        let (answer, taken) = stream(host.client(), &chunked, &part, 1024);
        assert_problem("a gigabyte is sent", &answer, 413, &["too_large"]);
        assert!(taken < 64 << 20, "{taken} bytes were taken");
    }
    host.check(&[]);
}

#[test]
fn requests_that_are_none() {
    let host = Host::start();
    let long = "h".repeat(1 << 20);
    let body = String::from_utf8(event("")).unwrap();
    let length = body.len();
    for request in [
        "\0\u{1}\u{2}\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "GET /a b HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
        format!("GET /{long} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(5_000)),
        format!(
            "POST /api/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\ncontent-length: 3\r\n\r\n{body}"
        ),
        format!("POST /api/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n{body}"),
        format!(
            "POST /api/events HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{body}\r\n0\r\n\r\n"
        ),
    ] {
        // Where there is an answer it is a refusal; else the connection is closed.
        if let Ok(answer) = host.client().raw(request.as_bytes()) {
            assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text());
        }
    }
    let packed = format!(
        "POST /api/events HTTP/1.1\r\nhost: localhost\r\ncontent-encoding: gzip\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    assert_problem("no gzip", &host.client().raw(packed.as_bytes()).unwrap(), 400, &["malformed_gzip"]);
    host.check(&[]);
}

#[test]
fn clients_that_are_slow_or_gone() {
    let host = Host::start();
    let body = String::from_utf8(event("")).unwrap();
    let head = format!("POST /api/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
    // Many that begin a request and do not go on, in the head or in the body.
    let idle: Vec<TcpStream> = (0..300)
        .map(|number| {
            let mut stream = host.client().connect().unwrap();
            let part = if number % 2 == 0 { &head[..20] } else { &*format!("{head}{{") };
            stream.write_all(part.as_bytes()).unwrap();
            stream
        })
        .collect();
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(host.client().members("known").unwrap().unwrap(), ["first"]);
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "others waited {:?}", begun.elapsed());
    drop(idle);
    // Bytes one by one come to the same in the end.
    let mut slow = host.client().connect().unwrap();
    for byte in format!("{head}{}", body.replace("\"u\"", "\"s\"")).bytes() {
        slow.write_all(&[byte]).unwrap();
        pause(2);
    }
    assert_eq!(read_answer(&mut slow).unwrap().status, 202);
    // Half of a body, and gone: nothing was accepted.
    let mut half = host.client().connect().unwrap();
    half.write_all(format!("{head}{}", &body[..10]).as_bytes()).unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    let _ = half.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains(" 202 "));
    // All of it, and the side that sends is closed: that is no reason not to do it.
    let mut closed = host.client().connect().unwrap();
    closed.write_all(format!("{head}{}", body.replace("\"u\"", "\"c\"")).as_bytes()).unwrap();
    closed.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_answer(&mut closed).unwrap().status, 202);
    host.check(&["c", "s"]);
}

#[test]
fn a_disk_that_fills_up() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(directory.path(), "size=320m") else { return };
    let logs = tempfile::tempdir().unwrap();
    let setup = Setup { log: logs.path().join("log"), ..Setup::within(program!(), disk.path()) };
    let mut served = setup.start();
    let client = served.client();
    assert_eq!(client.put("/api/segments/known", r#"{"name":"n","rules":{"event":"known"}}"#).unwrap().status, 201);
    let post = |client: Client, user: &str| {
        client.post("/api/events", &format!(r#"{{"userId":"{user}","eventType":"known"}}"#)).unwrap()
    };
    assert_eq!(post(client, "a").status, 202);
    // Less is left than is kept in reserve.
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![0; 96 << 20]).unwrap();
    assert_problem("events", &post(client, "b"), 503, &["once there is room"]);
    let answer = client.put("/api/segments/new", r#"{"name":"n","rules":{"event":"known"}}"#).unwrap();
    assert_problem("a segment", &answer, 503, &["once there is room"]);
    assert_eq!(client.get("/api/segments/new").unwrap().status, 404);
    assert_eq!(client.members("known").unwrap().unwrap(), ["a"]);
    assert_eq!(client.get("/health/ready").unwrap().status, 503);
    assert_eq!(client.get("/health/live").unwrap().status, 200);
    // A checkpoint or two find no room either.
    pause(3_000);
    assert!(served.is_alive());
    std::fs::remove_file(&ballast).unwrap();
    assert_eq!(post(client, "c").status, 202);
    wait_for_members(client, &["a".to_owned(), "c".to_owned()]);
    // A commit of changes that found no room is tried again within five seconds.
    wait_until("the change log works", || client.get("/health/ready").unwrap().status == 200);
    served.kill();
    let served = setup.start();
    wait_for_members(served.client(), &["a".to_owned(), "c".to_owned()]);
    served.stop();
}

/// The program's words when it is not able to start.
fn refusal(setup: &Setup) -> String {
    let mut served = setup.spawn();
    let status = served.wait();
    let said = served.said();
    assert!(!status.success() && said.contains("error: ") && !said.contains("panicked"), "{status}: {said}");
    said
}

#[test]
fn data_directories_that_are_none() {
    let directory = tempfile::tempdir().unwrap();
    let within = Setup::within(program!(), directory.path());
    std::fs::write(directory.path().join("file"), "x").unwrap();
    for place in ["file", "file/below"] {
        let setup = Setup { data: directory.path().join(place), ..within.clone() };
        let said = refusal(&setup);
        assert!(said.contains(place), "{said}");
    }
    // Something else is in it.
    let setup = Setup { data: directory.path().join("other"), ..within.clone() };
    std::fs::create_dir(&setup.data).unwrap();
    std::fs::write(setup.data.join("FORMAT"), "audience-data 99\n").unwrap();
    let said = refusal(&setup);
    assert!(said.contains("newer version"), "{said}");
    let mounted = tempfile::tempdir().unwrap();
    if let Some(disk) = SmallDisk::mount(mounted.path(), "ro") {
        let said = refusal(&Setup { data: disk.path().join("data"), ..within.clone() });
        assert!(said.contains("Read-only"), "{said}");
    }
    // A port that is taken is named, with the flag that sets it.
    let first = within.start();
    let mut command = Command::new(program!());
    command.arg("serve").arg("--data").arg(directory.path().join("third"));
    command.args(["--listen", &first.address.to_string(), "--listen-ingest", "127.0.0.1:0"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("in use") && said.contains("--listen"), "{said}");
    first.stop();
}

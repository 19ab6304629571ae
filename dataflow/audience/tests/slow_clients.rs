//! The real program and its worst clients: they send a byte now and then, send bombs, or take nothing. None keeps others out,
//! and none keeps the program from ending.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod own_redis;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause};
use own_redis::OwnRedis;

const EVENT: &str = r#"{"userId":"u","eventType":"x"}"#;
/// More than requests that are worked on at once.
const TRICKLERS: usize = 600;

/// A request for events whose body is long, and has not come.
fn begun(served: &Served, head: &str) -> TcpStream {
    let mut stream = served.client().connect().unwrap();
    let head = format!("POST /api/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n{head}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

#[test]
fn slow_clients_keep_nobody_out() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let media = ["", "content-type: application/x-ndjson\r\n", "content-encoding: gzip\r\n"];
    let mut slow: Vec<_> = (0..TRICKLERS).map(|number| begun(&served, media[number % media.len()])).collect();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                slow.iter_mut().for_each(|stream| drop(stream.write_all(b" ")));
                pause(500);
            }
        });
        pause(500);
        let (mut slowest, begun) = (Duration::ZERO, Instant::now());
        while begun.elapsed() < Duration::from_secs(4) {
            let asked = Instant::now();
            assert_eq!(served.client().post("/api/events", EVENT).unwrap().status, 202);
            assert_eq!(served.client().get("/api/segments").unwrap().status, 200);
            slowest = slowest.max(asked.elapsed());
        }
        is_over.store(true, Ordering::Relaxed);
        eprintln!("beside {TRICKLERS} slow clients two requests took {slowest:?} at most");
    });
    let begun = Instant::now();
    served.stop();
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
}

/// So many line ends, packed by `gzip`.
fn packed_line_ends(mebibytes: usize) -> Vec<u8> {
    let mut gzip =
        Command::new("gzip").args(["-9", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (gzip.stdin.take().unwrap(), gzip.stdout.take().unwrap());
    let writer = std::thread::spawn(move || {
        let lines = vec![b'\n'; 1 << 20];
        (0..mebibytes).for_each(|_| input.write_all(&lines).unwrap());
    });
    let mut packed = Vec::new();
    output.read_to_end(&mut packed).unwrap();
    writer.join().unwrap();
    assert!(gzip.wait().unwrap().success());
    packed
}

#[test]
fn blank_lines_by_the_gigabyte_are_refused_after_the_first_mebibyte() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let bomb = packed_line_ends(1_024);
    let head = format!(
        "POST /api/events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/x-ndjson\r\n\
         content-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        bomb.len()
    );
    let begun = Instant::now();
    let answer = served.client().raw(&[head.as_bytes(), &bomb].concat()).unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (400, "blank_lines"), "{}", answer.text());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    served.stop();
}

#[test]
fn requests_of_two_lengths_or_no_host_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let served = Setup::within(program!(), directory.path()).start();
    let client = served.client();
    let length = format!("content-length: {}\r\n", EVENT.len());
    let chunks = "transfer-encoding: chunked\r\n";
    let body = format!("{:x}\r\n{EVENT}\r\n0\r\n\r\n", EVENT.len());
    for both in [format!("{length}{chunks}"), format!("{chunks}{length}")] {
        let request = format!("POST /api/events HTTP/1.1\r\nhost: localhost\r\n{both}\r\n{body}");
        let answer = client.raw(request.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (400, "ambiguous_length"), "{}", answer.text());
        assert_eq!(answer.header("connection"), Some("close"));
    }
    for hosts in ["", "host: a\r\nhost: b\r\n"] {
        let answer = client.raw(format!("GET /api/segments HTTP/1.1\r\n{hosts}\r\n").as_bytes()).unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (400, "no_host"), "{}", answer.text());
    }
    let request = format!("POST /api/events HTTP/1.1\r\nhost: localhost\r\n{chunks}connection: close\r\n\r\n{body}");
    assert_eq!(client.raw(request.as_bytes()).unwrap().status, 202);
    assert_eq!(client.raw(b"GET /api/segments HTTP/1.0\r\n\r\n").unwrap().status, 200, "HTTP/1.0 has no Host");
    served.stop();
}

#[test]
fn clients_that_take_nothing_and_a_silent_store_do_not_hold_up_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let redis = OwnRedis::start();
    let flags = vec!["--redis".to_owned(), redis.url(), "--profiles".to_owned()];
    let served = Setup { flags, ..Setup::within(program!(), directory.path()) }.start();
    let buyers = r#"{"name":"buyers","rules":{"event":"x","operator":"gte","value":1}}"#;
    assert!(served.client().put("/api/segments/buyers", buyers).unwrap().status < 300);
    // Large answers that nobody takes, over and over on one connection; followers; and one who asks for nothing.
    let mut deaf: Vec<_> = (0..20).map(|_| served.client().connect().unwrap()).collect();
    for stream in &mut deaf {
        let ask = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(200);
        stream.write_all(ask.as_bytes()).unwrap();
    }
    let mut followers: Vec<_> = (0..10).map(|_| served.client().connect().unwrap()).collect();
    for stream in &mut followers {
        stream.write_all(b"GET /api/stream HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    }
    let _silent = served.client().connect().unwrap();
    for number in 0..200 {
        let event = format!(r#"{{"userId":"u{number}","eventType":"x"}}"#);
        assert_eq!(served.client().post("/api/events", &event).unwrap().status, 202);
    }
    redis.pause();
    for number in 200..300 {
        let event = format!(r#"{{"userId":"u{number}","eventType":"x"}}"#);
        assert_eq!(served.client().post("/api/events", &event).unwrap().status, 202);
    }
    pause(500);
    let begun = Instant::now();
    served.stop();
    let took = begun.elapsed();
    eprintln!("with deaf clients and a silent Redis it ended after {took:?}");
    assert!(took < Duration::from_secs(12), "{took:?}");
    redis.resume();
}

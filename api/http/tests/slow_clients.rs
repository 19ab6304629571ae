//! Senders that are slow, and bodies that are large: neither keeps others out.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod common;

use std::time::Duration;

use audience_api::ApiOptions;
use common::{Harness, options, read, start_with};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const EVENT: &str = r#"{"userId":"u","eventType":"x"}"#;
const POST: &str = "POST /api/events HTTP/1.1\r\nhost: t\r\nconnection: close\r\n";

/// A request whose body does not come, but for its first bytes.
async fn begun(server: &Harness, head: &str, body: impl AsRef<[u8]>) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(format!("{POST}{head}\r\n").as_bytes()).await.unwrap();
    stream.write_all(body.as_ref()).await.unwrap();
    stream
}

/// The memory that bodies take, as the metrics have it.
async fn body_bytes(server: &Harness) -> usize {
    let metrics = server.get("/metrics").await.text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("audience_http_body_bytes "));
    line.unwrap().parse().unwrap()
}

async fn takes(server: &Harness, bytes: usize) {
    for _ in 0..200 {
        if body_bytes(server).await == bytes {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} bytes are taken, not {bytes}", body_bytes(server).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_do_not_come_take_no_place() {
    let server =
        start_with(ApiOptions { max_requests: 2, body_window: Duration::from_millis(1_500), ..options() }).await;
    let mut waiting = Vec::new();
    for number in 0..20 {
        let media = ["", "content-type: application/x-ndjson\r\n"][number % 2];
        waiting.push(begun(&server, &format!("{media}content-length: 1000\r\n"), "{").await);
    }
    takes(&server, 20).await;
    for _ in 0..5 {
        assert_eq!(server.json("POST /api/events", EVENT).await.status, 202);
        assert_eq!(server.get("/api/users/u/segments").await.status, 200);
    }
    for mut stream in waiting {
        read(&mut stream).await.is_problem(408, "too_slow");
    }
    takes(&server, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_keeps_up_the_least_rate_is_read_to_its_end() {
    let rate = ApiOptions { min_body_rate: 20, body_window: Duration::from_millis(500), ..options() };
    let server = start_with(rate).await;
    let mut even = begun(&server, &format!("content-length: {}\r\n", EVENT.len()), "").await;
    let mut slow = begun(&server, "content-length: 1000\r\n", "").await;
    // Fifteen bytes in half a second, and five.
    for (number, part) in EVENT.as_bytes().chunks(3).enumerate() {
        even.write_all(part).await.unwrap();
        let _ = slow.write_all(b"[").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(number < 11);
    }
    assert_eq!(read(&mut even).await.status, 202);
    read(&mut slow).await.is_problem(408, "too_slow");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_bodies_share_one_budget_of_memory() {
    let memory = ApiOptions { max_body_memory: 16 << 20, ..options() };
    let server = start_with(memory).await;
    // A declared length takes nothing; what came does.
    let declared = begun(&server, "content-length: 8000000\r\n", "[").await;
    takes(&server, 1).await;
    drop(declared);
    takes(&server, 0).await;
    let mut large = Vec::new();
    for _ in 0..3 {
        large.push(begun(&server, "content-length: 8000000\r\n", vec![b' '; 4 << 20]).await);
    }
    let mut refused = server.ask("POST /api/events", &[], vec![b' '; 7 << 20]).await;
    for _ in 0..100 {
        if refused.status == 429 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        refused = server.ask("POST /api/events", &[], vec![b' '; 7 << 20]).await;
    }
    refused.is_problem(429, "busy");
    assert_eq!(server.json("POST /api/events", EVENT).await.status, 202, "small bodies have room of their own");
    assert!(body_bytes(&server).await <= 16 << 20);
    drop(large);
    takes(&server, 0).await;
    let spaces = server.ask("POST /api/events", &[], vec![b' '; 7 << 20]).await;
    spaces.is_problem(400, "malformed_json");
    takes(&server, 0).await;
}

//! Previews over the wire.

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use audience_api::ApiOptions;
use common::{options, start, start_with};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

const PREVIEW: &str = "POST /api/segments/preview";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_a_document_or_events() {
    let server = start().await;
    let body = r#"{"id":"vip","rules":{"event":"a"},"sampleSize":3}"#;
    let answer = server.json(PREVIEW, body).await;
    assert_eq!((answer.status, &answer.value()["size"]), (200, &json!(13)), "{}", answer.text());
    let headers = [("accept", "text/event-stream"), ("content-type", "application/json")];
    let events = server.ask(PREVIEW, &headers, body).await;
    assert_eq!((events.status, events.header("content-type")), (200, "text/event-stream"));
    let text = events.text().to_owned();
    let (progress, result) = text.split_once("\n\n").expect("two events");
    assert!(progress.contains("event:progress") && progress.contains(r#"{"phase":"scanning","done":1,"total":2}"#));
    assert!(result.contains("event:result") && result.contains(r#""size":13"#), "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_have_a_status_and_a_place() {
    let server = start().await;
    let headers = [("accept", "text/event-stream"), ("content-type", "application/json")];
    for headers in [&headers[..], &headers[1..]] {
        let faulty = server.ask(PREVIEW, headers, r#"{"rules":{"event":"faulty"}}"#).await;
        assert_eq!(faulty.is_problem(400, "invalid")["errors"][0]["pointer"], "/rules/event");
    }
    server.json(PREVIEW, r#"{"rules":{},"name":"x"}"#).await.is_problem(400, "invalid");
    server.json(PREVIEW, "{").await.is_problem(400, "malformed_json");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_stops_it() {
    // Who reads no events may have closed only the sending side, and is given up at the time limit.
    let server = start_with(ApiOptions { request_timeout: Duration::from_millis(200), ..options() }).await;
    let body = r#"{"rules":{"event":"forever"}}"#;
    for accept in ["application/json", "text/event-stream"] {
        let before = server.platform.given_up.load(Ordering::Relaxed);
        let mut client = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "{PREVIEW} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        client.write_all(head.as_bytes()).await.unwrap();
        if accept == "text/event-stream" {
            let mut first = [0; 64];
            client.read_exact(&mut first).await.unwrap();
        }
        drop(client);
        let gone = async {
            while server.platform.given_up.load(Ordering::Relaxed) == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), gone).await.expect("it goes on, though nobody reads it");
    }
}

/// A way to the engine that counts its connections.
async fn relay(engine: SocketAddr) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, opened) = (listener.local_addr().expect("an address"), Arc::new(AtomicU64::new(0)));
    let count = opened.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let mut engine = TcpStream::connect(engine).await.expect("the engine");
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut engine).await });
        }
    });
    (address, opened)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_engine_asks_one_over_one_connection() {
    let engine = start().await;
    let (address, opened) = relay(engine.address).await;
    let server = start_with(ApiOptions { engine: Some(address.to_string()), ..options() }).await;
    server.platform.is_without_engine.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let answer = server.json(PREVIEW, r#"{"rules":{"event":"a"}}"#).await;
        assert_eq!((answer.status, &answer.value()["size"]), (200, &json!(13)), "{}", answer.text());
    }
    assert_eq!(opened.load(Ordering::Relaxed), 1);
}

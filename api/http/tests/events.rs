//! Events in every form, idempotency keys, streams and packed bodies.

mod common;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{NOW, gzip, options, read, start, start_with};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

fn event(user: &str) -> String {
    format!(r#"{{"userId":"{user}","eventType":"buy","timestamp":500000000000,"properties":{{"amount":1}}}}"#)
}

/// The timestamp of an event that has one.
const FIXED: i64 = 500_000_000_000;
const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");
const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

#[tokio::test(flavor = "multi_thread")]
async fn one_list_and_batch() {
    let server = start().await;
    let (a, b) = (event("a"), r#"{"customerId":"b","type":"see"}"#);
    for (body, accepted) in
        [(a.clone(), 1), (format!(" [{a} ,\n{b}] "), 2), (format!(r#"{{"batch":[{a},{b}],"sentAt":"x"}}"#), 2)]
    {
        let reply = server.json("POST /api/events", &body).await;
        assert_eq!((reply.status, reply.value()), (202, json!({"accepted": accepted, "rejected": []})), "{body}");
    }
    let events = server.platform.events.lock().unwrap();
    let seen: Vec<_> =
        events.iter().map(|seen| (seen.user.as_str(), seen.event_type.as_str(), seen.timestamp)).collect();
    assert_eq!(
        seen,
        [("a", "buy", FIXED), ("a", "buy", FIXED), ("b", "see", NOW), ("a", "buy", FIXED), ("b", "see", NOW)]
    );
    assert_eq!(*server.platform.pieces.lock().unwrap(), [1, 2, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn some_and_all_refused() {
    let server = start().await;
    let good = event("a");
    let list =
        format!(r#"[{good},{{"userId":"","eventType":"x"}},7,{{"userId":"u","eventType":"x","timestamp":"no"}}]"#);
    let reply = server.json("POST /api/events", &list).await;
    let value = reply.value();
    assert_eq!((reply.status, value["accepted"].as_u64()), (202, Some(1)));
    let places: Vec<_> = value["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["index"].clone(), one["pointer"].clone()))
        .collect();
    assert_eq!(places, [(json!(1), json!("/userId")), (json!(2), json!("")), (json!(3), json!("/timestamp"))]);

    for (body, pointers) in [
        (r#"{"userId":"u","eventType":"x","timestamp":true}"#.to_owned(), vec!["/timestamp"]),
        (r#"[{"userId":"u","eventType":"x","timestamp":-1},{"eventType":"x"}]"#.into(), vec!["/0/timestamp", "/1"]),
        (r#"{"batch":[{"userId":"u","eventType":["x"]}]}"#.into(), vec!["/batch/0/eventType"]),
        (r#"{"batch":{}}"#.into(), vec!["/batch"]),
        (format!(r#"{{"batch":[{good}],"userId":"u"}}"#), vec!["/userId"]),
        ("7".into(), vec![""]),
        ("\"x\"".into(), vec![""]),
        (format!(r#"{{"userId":"{}","eventType":"x"}}"#, "u".repeat(1 << 20)), vec![""]),
        (format!(r#"{{"userId":"{}","eventType":"x"}}"#, "u".repeat(257)), vec!["/userId"]),
    ] {
        let reply = server.json("POST /api/events", &body).await;
        assert_eq!(reply.pointers(400), pointers, "{body:.200}");
    }
    for body in ["[]", r#"{"batch":[]}"#, " [ ] "] {
        server.json("POST /api/events", body).await.is_problem(400, "no_events");
    }
    assert_eq!(server.platform.events.lock().unwrap().len(), 1);
    let metrics = server.get("/metrics").await.text();
    assert!(metrics.contains("audience_ingest_events_accepted_total 1\n"), "{metrics}");
    assert!(metrics.contains("audience_ingest_events_rejected_total{reason=\"bad_time\"}"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_json_is_refused_as_a_whole() {
    let server = start().await;
    let good = event("a");
    for body in [
        format!("[{good}"),
        format!("[{good},]"),
        format!("[{good} {good}]"),
        format!("[{good}]]"),
        format!("{good}{good}"),
        format!(r#"[{good},{{"userId":"b","eventType":"x",}}]"#),
        format!(r#"[{good},{{"userId":"b","eventType":"x"]]"#),
        format!(r#"[{good},{{'userId':'b'}}]"#),
        format!("[{good},nul]"),
        "{\"userId\":\"a".into(),
        String::new(),
        "  ".into(),
        "[\u{feff}]".into(),
    ] {
        server.json("POST /api/events", &body).await.is_problem(400, "malformed_json");
    }
    let invalid = [b"[".as_slice(), good.as_bytes(), b",{\"userId\":\"\xff\",\"eventType\":\"x\"}]"].concat();
    let problem = server.ask("POST /api/events", &[JSON], invalid).await.is_problem(400, "malformed_json");
    assert!(problem["detail"].as_str().unwrap().contains("UTF-8"));
    assert!(server.platform.events.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds() {
    let server = start_with(audience_api::ApiOptions { max_body_bytes: 1 << 20, max_events: 100, ..options() }).await;
    let list = |count: usize| format!("[{}]", vec![r#"{"userId":"u","eventType":"x"}"#; count].join(","));
    assert_eq!(server.json("POST /api/events", &list(100)).await.status, 202);
    server.json("POST /api/events", &list(101)).await.is_problem(413, "too_many_events");
    let batch = format!(r#"{{"batch":{}}}"#, list(101));
    server.json("POST /api/events", &batch).await.is_problem(413, "too_many_events");
    let long = format!("[{}]", " ".repeat(1 << 20));
    server.json("POST /api/events", &long).await.is_problem(413, "too_large");
    let deep = format!(r#"{{"userId":"u","eventType":"x","properties":{{"a":{}}}}}"#, "[".repeat(10_000));
    server.json("POST /api/events", &deep).await.is_problem(400, "too_deep");
    server.json("POST /api/events", &"{\"a\":".repeat(10_000)).await.is_problem(400, "too_deep");
    let packed = gzip(&vec![b' '; 64 << 20]);
    assert!(packed.len() < 1 << 20);
    server.ask("POST /api/events", &[JSON, GZIP], &packed).await.is_problem(413, "too_large");
    server.ask("POST /api/events", &[NDJSON, GZIP], gzip(&vec![b'x'; 64 << 20])).await.is_problem(413, "too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn media_types_and_codings() {
    let server = start().await;
    let body = event("a");
    for media in ["application/json", "application/json; charset=UTF-8", "application/vnd.x+json", "APPLICATION/JSON"] {
        assert_eq!(server.ask("POST /api/events", &[("content-type", media)], &body).await.status, 202, "{media}");
    }
    assert_eq!(server.ask("POST /api/events", &[], &body).await.status, 202);
    for media in
        ["application/x-www-form-urlencoded", "text/plain", "text/csv", "json", "application/json; charset=utf-16", ""]
    {
        let reply = server.ask("POST /api/events", &[("content-type", media)], &body).await;
        reply.is_problem(415, "unsupported_media_type");
    }
    for coding in ["br", "gzip, gzip", "deflate"] {
        let reply = server.ask("POST /api/events", &[JSON, ("content-encoding", coding)], &body).await;
        reply.is_problem(415, "unsupported_media_type");
        assert_eq!(reply.header("accept-encoding"), "gzip, identity");
    }
    assert_eq!(server.ask("POST /api/events", &[JSON, GZIP], gzip(body.as_bytes())).await.status, 202);
    server.ask("POST /api/events", &[JSON, GZIP], &body).await.is_problem(400, "malformed_gzip");
    let packed = gzip(body.as_bytes());
    server.ask("POST /api/events", &[JSON, GZIP], &packed[..packed.len() - 3]).await.is_problem(400, "malformed_gzip");
}

#[tokio::test(flavor = "multi_thread")]
async fn ndjson() {
    let server = start().await;
    let body = format!("{}\r\n\n  \n{}\nnot json\n{}", event("a"), event("b"), event("c"));
    let reply = server.ask("POST /api/events", &[NDJSON], &body).await;
    let value = reply.value();
    assert_eq!((reply.status, &value["accepted"], &value["rejected"][0]["index"]), (202, &json!(3), &json!(2)));
    server.ask("POST /api/events", &[NDJSON], "\n \n").await.is_problem(400, "no_events");
    assert_eq!(server.ask("POST /api/events", &[NDJSON], "x\n{}").await.pointers(400), ["/0", "/1"]);
    server.platform.events.lock().unwrap().clear();
    server.platform.pieces.lock().unwrap().clear();

    let many = format!("{}\n", event("u")).repeat(25_500);
    for (headers, body) in [(vec![NDJSON], many.clone().into_bytes()), (vec![NDJSON, GZIP], gzip(many.as_bytes()))] {
        let reply = server.ask("POST /api/events", &headers, body).await;
        assert_eq!((reply.status, reply.value()["accepted"].as_u64()), (202, Some(25_500)), "{}", reply.text());
    }
    let pieces = server.platform.pieces.lock().unwrap().clone();
    assert!(pieces.iter().all(|count| *count <= 1_000) && pieces.iter().sum::<usize>() == 51_000, "{pieces:?}");
    let packed = gzip(many.as_bytes());
    let cut = server.ask("POST /api/events", &[NDJSON, GZIP], &packed[..packed.len() - 9]).await;
    let problem = cut.is_problem(400, "malformed_gzip");
    assert!(problem["accepted"].as_u64().unwrap() > 20_000, "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_stream_is_taken_as_it_comes() {
    let server = start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /api/events HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: application/x-ndjson\r\n\
                transfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let line = format!("{}\n{}", event("a"), r#"{"userId""#);
    stream.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).await.unwrap();
    let mut waited = 0;
    while server.platform.events.lock().unwrap().is_empty() {
        assert!(waited < 100, "a waiting line is handed over");
        waited += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rest = r#":"b","eventType":"x"}"#;
    stream.write_all(format!("{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len()).as_bytes()).await.unwrap();
    let reply = read(&mut stream).await;
    assert_eq!((reply.status, reply.value()["accepted"].as_u64()), (202, Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_waits_while_the_platform_is_busy_and_a_list_does_not() {
    let server = start_with(audience_api::ApiOptions { request_timeout: Duration::from_secs(1), ..options() }).await;
    server.platform.busy.store(2, Ordering::SeqCst);
    let reply = server.ask("POST /api/events", &[NDJSON], event("a")).await;
    assert_eq!((reply.status, reply.value()["accepted"].as_u64()), (202, Some(1)));
    server.platform.busy.store(1, Ordering::SeqCst);
    let reply = server.json("POST /api/events", &event("a")).await;
    reply.is_problem(429, "busy");
    assert_eq!(reply.header("retry-after"), "3");
    server.platform.busy.store(1_000, Ordering::SeqCst);
    let problem = server.ask("POST /api/events", &[NDJSON], event("a")).await.is_problem(429, "busy");
    assert_eq!(problem["accepted"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn idempotency() {
    let server = start().await;
    let key = |key| ("idempotency-key", key);
    let body = event("a");
    let first = server.ask("POST /api/events", &[JSON, key("k1")], &body).await;
    let again = server.ask("POST /api/events", &[JSON, key("k1")], &body).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (202, ""));
    assert_eq!((again.status, again.header("idempotency-replayed"), &again.body), (202, "true", &first.body));
    assert_eq!(server.platform.events.lock().unwrap().len(), 1);
    let other = server.ask("POST /api/events", &[JSON, key("k1")], event("b")).await;
    other.is_problem(422, "idempotency_key_reused");
    // A refused body stays refused; a busy platform leaves the key free.
    for _ in 0..2 {
        server.ask("POST /api/events", &[JSON, key("k2")], "[]").await.is_problem(400, "no_events");
    }
    server.platform.busy.store(1, Ordering::SeqCst);
    server.ask("POST /api/events", &[JSON, key("k3")], &body).await.is_problem(429, "busy");
    assert_eq!(server.ask("POST /api/events", &[JSON, key("k3")], &body).await.status, 202);
    let lines = format!("{body}\n{body}\n");
    for _ in 0..2 {
        assert_eq!(server.ask("POST /api/events", &[NDJSON, key("k4")], &lines).await.value()["accepted"], 2);
    }
    assert_eq!(server.platform.events.lock().unwrap().len(), 4);
    for bad in ["", &"k".repeat(256), "\u{e9}"] {
        server.ask("POST /api/events", &[JSON, key(bad)], &body).await.is_problem(400, "invalid_header");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_request_is_under_way() {
    let server =
        start_with(audience_api::ApiOptions { request_timeout: Duration::from_millis(700), ..options() }).await;
    *server.platform.shut.lock().unwrap() = true;
    let headers = [JSON, ("idempotency-key", "k")];
    // The first client goes away at the time limit; its work goes on, and keeps the key.
    let address = server.address;
    let first =
        tokio::spawn(async move { common::ask(address, "POST /api/events", &headers, event("a").as_bytes()).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.ask("POST /api/events", &headers, event("a")).await.is_problem(409, "request_in_progress");
    first.await.unwrap().is_problem(503, "timeout");
    server.ask("POST /api/events", &headers, event("a")).await.is_problem(409, "request_in_progress");
    server.platform.open();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let again = server.ask("POST /api/events", &headers, event("a")).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (202, "true"));
    assert_eq!(server.platform.events.lock().unwrap().len(), 1);
}

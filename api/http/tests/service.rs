//! Paths, health, metrics, the description, listeners, and strangers at the door.

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use audience_api::{ApiOptions, Listen, Scope, Server, serve, templates};
use audience_auth::Auth;
use common::{ask, options, read, start, start_with};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods() {
    let server = start().await;
    for path in ["/nothing", "/api/segments/", "/api//segments", "/API/segments", "/api/segments/a/b/c"] {
        server.get(path).await.is_problem(404, "unknown_path");
    }
    let reply = server.ask("DELETE /api/segments", &[], "").await;
    reply.is_problem(405, "method_not_allowed");
    assert_eq!(reply.header("allow"), "GET, POST, HEAD");
    let reply = server.ask("BREW /api/events", &[], "").await;
    reply.is_problem(405, "method_not_allowed");
    assert_eq!(reply.header("allow"), "POST");
    server.get("/api/users/%FF/segments").await.is_problem(400, "invalid_path");
    let nul = server.get("/api/users/a%00b/segments").await;
    assert_eq!((nul.status, nul.text()), (200, "[]".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_listener_has_its_paths() {
    let server = start().await;
    let [all, ingestion, segments] = server.addresses[..] else { panic!("three listeners") };
    for path in [
        "/health/live",
        "/health/ready",
        "/actuator/health",
        "/metrics",
        "/openapi.json",
        "/schemas/rules.json",
        "/docs",
        "/",
    ] {
        for address in [all, ingestion, segments] {
            assert_eq!(ask(address, &format!("GET {path}"), &[], b"").await.status, 200, "{path}");
        }
    }
    ask(ingestion, "GET /api/segments", &[], b"").await.is_problem(404, "unknown_path");
    ask(segments, "POST /api/events", &[], b"{}").await.is_problem(404, "unknown_path");
    ask(ingestion, "POST /api/events", &[], b"[]").await.is_problem(400, "no_events");
    ask(all, "POST /api/events", &[], b"[]").await.is_problem(400, "no_events");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_an_engine_is_asked_of_one() {
    let engine = start().await;
    let event = r#"{"userId":"a b","eventType":"x"}"#;
    assert_eq!(engine.json("POST /api/events", event).await.status, 202);
    let without = |engine| start_with(ApiOptions { engine, ..options() });
    let [alone, beside] = [without(None).await, without(Some(engine.address.to_string())).await];
    for server in [&alone, &beside] {
        server.platform.is_without_engine.store(true, Ordering::Relaxed);
    }
    alone.get("/api/users/a%20b").await.is_problem(501, "needs_engine");
    let (here, there) = (beside.get("/api/users/a%20b?x=1").await, engine.get("/api/users/a%20b").await);
    assert_eq!((here.status, here.text(), here.header("content-type")), (200, there.text(), "application/json"));
    beside.get("/api/users/nobody").await.is_problem(404, "not_found");
    assert_eq!(beside.get("/api/users/nobody/segments").await.text(), "[]", "what is known here is answered here");
    engine.stop().await;
    beside.get("/api/users/a%20b").await.is_problem(503, "engine_away");
}

#[tokio::test(flavor = "multi_thread")]
async fn health() {
    let server = start().await;
    let up = server.get("/actuator/health").await;
    assert_eq!(
        (up.status, up.value()),
        (200, json!({"status": "UP", "components": {"engine": {"status": "UP"}}, "access": "open"}))
    );
    assert_eq!(server.get("/health/live").await.text(), r#"{"status":"UP"}"#);
    *server.platform.down.lock().unwrap() = true;
    for path in ["/health/ready", "/actuator/health"] {
        let down = server.get(path).await;
        assert_eq!((down.status, down.value()["status"].as_str()), (503, Some("DOWN")));
    }
    assert_eq!(server.get("/health/live").await.status, 200);
    *server.platform.failure.lock().unwrap() = Some("the log is gone".to_owned());
    let gone = server.get("/health/live").await;
    let process = json!({"status": "DOWN", "detail": "the log is gone"});
    assert_eq!((gone.status, gone.value()), (503, json!({"status": "DOWN", "components": {"process": process}})));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics() {
    let server = start().await;
    for user in ["secret1", "secret2"] {
        server.get(&format!("/api/users/{user}/segments")).await;
    }
    server.get("/secret3").await;
    server.ask("BREW /", &[], "").await;
    let metrics = server.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = metrics.text();
    for line in [
        "audience_http_requests_total{route=\"/api/users/{id}/segments\",method=\"GET\",status=\"200\"} 2\n",
        "audience_http_requests_total{route=\"(unknown)\",method=\"GET\",status=\"404\"} 1\n",
        "audience_http_requests_total{route=\"/\",method=\"OTHER\",status=\"405\"} 1\n",
        "audience_http_request_duration_seconds_count{route=\"/api/users/{id}/segments\"} 2\n",
        "audience_http_requests_in_flight 1\n",
        "audience_fake 1\n",
        "audience_ready 1\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("secret"));
    assert!(text.ends_with("\n# EOF\n") && text.matches("# EOF").count() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_knows_every_route_and_no_other() {
    let server = start().await;
    let spec = server.get("/openapi.json").await.value();
    assert_eq!(spec["openapi"], "3.1.0");
    let mut described = Vec::new();
    for (path, item) in spec["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters") {
            described.push((method.to_uppercase(), path.clone()));
            assert!(operation["summary"].is_string() && operation["operationId"].is_string(), "{method} {path}");
        }
    }
    let mut routes: Vec<_> = templates().into_iter().map(|(method, path, _)| (method, path.to_owned())).collect();
    routes.sort();
    described.sort();
    assert_eq!(described, routes);
    references(&spec, &spec);
    let docs = server.get("/docs").await;
    assert!(docs.text().contains("/openapi.json") && !docs.text().contains("://"));
    assert!(docs.header("content-security-policy").contains("default-src 'none'"));
}

/// Every reference leads somewhere.
fn references(spec: &Value, value: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                assert!(spec.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            }
            members.values().for_each(|value| references(spec, value));
        }
        Value::Array(items) => items.iter().for_each(|value| references(spec, value)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers() {
    let server =
        start_with(ApiOptions { max_body_bytes: 100_000, body_window: Duration::from_secs(1), ..options() }).await;
    let post = "POST /api/segments HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n";
    let started = Instant::now();
    let huge = server.raw(format!("{post}content-length: 1073741824\r\n\r\n")).await;
    huge.is_problem(413, "too_large");
    assert!(started.elapsed() < Duration::from_millis(900), "nothing is waited for");

    // Many clients read no answer before all of the body is sent: one that is not much too large is read and dropped.
    let body = " ".repeat(5 << 20);
    for head in
        [format!("content-length: {}\r\n\r\n", body.len()), "transfer-encoding: chunked\r\n\r\n500000\r\n".into()]
    {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(format!("{post}connection: close\r\n{head}").as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        if head.contains("chunked") {
            stream.write_all(b"\r\n0\r\n\r\n").await.unwrap();
        }
        read(&mut stream).await.is_problem(413, "too_large");
    }

    // Chunks without end: the answer comes at the bound, long before the sender is through.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(format!("{post}transfer-encoding: chunked\r\n\r\n").as_bytes()).await.unwrap();
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(4096));
    let mut sent = 0;
    while sent < 64 << 20 && stream.write_all(chunk.as_bytes()).await.is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 64 << 20, "the server hangs up");

    // A body that does not come.
    let slow = server.raw(format!("{post}connection: close\r\ncontent-length: 10\r\n\r\n{{")).await;
    slow.is_problem(408, "too_slow");
    for bytes in ["GARBAGE\r\n\r\n", "GET /\0 HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n"] {
        assert_eq!(server.raw(bytes).await.status, 400, "{bytes:?}");
    }
    let long = server.raw(format!("GET /api/users/{}/segments HTTP/1.1\r\n\r\n", "u".repeat(1 << 20))).await;
    assert!(matches!(long.status, 414 | 431), "{long:?}");
    let header = server.raw(format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "u".repeat(1 << 20))).await;
    assert_eq!(header.status, 431);
    let close = [("content-type", "application/json")];
    for body in [&b"{\"name\":\"a\0\"}"[..], b"{\"name\":\"\xff\"}", b"\0", b"\xff\xfe"] {
        server.ask("POST /api/segments", &close, body).await.is_problem(400, "malformed_json");
    }
    let deep = format!(r#"{{"name":"a","rules":{}}}"#, "[".repeat(10_000));
    server.json("POST /api/segments", &deep).await.is_problem(400, "too_deep");
    server.json("PUT /api/traits/x", &"{\"a\":".repeat(10_000)).await.is_problem(400, "too_deep");
    assert_eq!(server.get("/health/ready").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_at_once() {
    let server = start_with(ApiOptions { max_requests: 2, ..options() }).await;
    *server.platform.shut.lock().unwrap() = true;
    let address = server.address;
    let event = br#"{"userId":"u","eventType":"x"}"#;
    let waiting: Vec<_> =
        (0..2).map(|_| tokio::spawn(async move { ask(address, "POST /api/events", &[], event).await })).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.get("/api/users/u/segments").await.is_problem(429, "busy");
    assert_eq!(server.get("/health/live").await.status, 200);
    server.platform.open();
    for reply in waiting {
        assert_eq!(reply.await.unwrap().status, 202);
    }
    assert_eq!(server.get("/api/users/u/segments").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_what_is_under_way_first() {
    let server = start().await;
    // One connection that never asks, one that is idle, and one with a request under way.
    let _silent = TcpStream::connect(server.address).await.unwrap();
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /health/live HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
    *server.platform.shut.lock().unwrap() = true;
    let address = server.address;
    let busy = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let event = r#"{"userId":"u","eventType":"x"}"#;
        let request = format!("POST /api/events HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{event}", event.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        read(&mut stream).await
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let platform = Arc::clone(&server.platform);
    let opening = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        platform.open();
    });
    server.stop().await;
    assert_eq!(busy.await.unwrap().status, 202);
    opening.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named() {
    let server = start().await;
    let platform = Arc::new(common::platform::FakePlatform::default());
    let listen = [Listen { address: server.address, scope: Scope::All, flag: "--segment-address" }];
    let error = serve(platform.platform(), Arc::new(Auth::off()), &listen, options(), std::future::pending()).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains(&server.address.port().to_string()) && error.contains("--segment-address"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_origins() {
    let server = start().await;
    let origin = ("origin", "https://console.example.com");
    let plain = server.ask("GET /health/live", &[origin], "").await;
    assert_eq!((plain.status, plain.header("access-control-allow-origin")), (200, ""));
    let server = start_with(ApiOptions { cors_origins: vec![origin.1.into()], ..options() }).await;
    let allowed = server.ask("GET /health/live", &[origin], "").await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, origin.1));
    let preflight = [origin, ("access-control-request-method", "PUT"), ("access-control-request-headers", "if-match")];
    let reply = server.ask("OPTIONS /api/segments/a", &preflight, "").await;
    assert_eq!((reply.status, reply.header("access-control-allow-headers")), (204, "if-match"));
    let evil = ("origin", "https://evil.example");
    let stranger = server.ask("GET /health/live", &[evil], "").await;
    assert_eq!((stranger.status, stranger.header("access-control-allow-origin")), (200, ""));
    for head in ["POST /api/segments", "DELETE /api/segments/a"] {
        server.ask(head, &[evil], "").await.is_problem(403, "cors_forbidden");
    }
    let preflight = [evil, ("access-control-request-method", "PUT")];
    server.ask("OPTIONS /api/segments/a", &preflight, "").await.is_problem(403, "cors_forbidden");
    for own in [("origin", "http://test"), ("sec-fetch-site", "same-origin")] {
        let reply = server.ask("DELETE /api/segments/a", &[evil, own][usize::from(own.0 == "origin")..], "").await;
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (404, ""));
    }
    let platform = Arc::new(common::platform::FakePlatform::default());
    let listen = [Listen { address: SocketAddr::from(([127, 0, 0, 1], 0)), scope: Scope::All, flag: "--x" }];
    let faulty = ApiOptions { cors_origins: vec!["nonsense".into()], ..options() };
    let error =
        Server::bind(platform.platform(), Arc::new(Auth::off()), &listen, faulty).await.err().unwrap().to_string();
    assert!(error.starts_with("cors_origins: "), "{error}");
}

/// The page of a shop sends events to another origin: with a header of its own the browser asks first, with `sendBeacon` not.
#[tokio::test(flavor = "multi_thread")]
async fn events_from_every_origin() {
    let server = start().await;
    let shop = ("origin", "https://shop.example");
    let wanted = "authorization,content-type,x-retry-count";
    let preflight = [shop, ("access-control-request-method", "POST"), ("access-control-request-headers", wanted)];
    for path in ["/v1/batch", "/v1/t", "/api/events", "/v1/batch/"] {
        let reply = server.ask(&format!("OPTIONS {path}"), &preflight, "").await;
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (204, "*"), "{path}");
        assert_eq!(reply.header("access-control-allow-headers"), wanted);
        assert_eq!(reply.header("access-control-allow-credentials"), "");
    }
    let body = r#"{"userId":"u","event":"x"}"#;
    let beacon = server.ask("POST /v1/t", &[shop, ("content-type", "text/plain;charset=UTF-8")], body).await;
    assert_eq!((beacon.status, beacon.header("access-control-allow-origin")), (200, "*"));
    server.ask("OPTIONS /api/segments", &preflight, "").await.is_problem(403, "cors_forbidden");
    let only = ApiOptions { cors_ingest_origins: vec!["https://own.example".into()], ..options() };
    let server = start_with(only).await;
    server.ask("OPTIONS /v1/t", &preflight, "").await.is_problem(403, "cors_forbidden");
}

//! A server whose platform is not there yet: it lives, says what it waits for, and serves from the moment on at which it comes.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use audience_api::{ApiOptions, Door, Listen, Scope, Server};
use audience_auth::Auth;
use common::platform::FakePlatform;
use common::{Reply, ask, options, start_with};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

struct Starting {
    door: Door,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Starting {
    async fn begin() -> Starting {
        let listen = [Listen { address: ([127, 0, 0, 1], 0).into(), scope: Scope::All, flag: "--test" }];
        let server = Server::bind_early(&listen, options()).await.unwrap();
        let (door, address) = (server.door(), server.addresses()[0]);
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async { drop(stopped.await) }));
        Starting { door, address, stop, running }
    }

    async fn get(&self, path: &str) -> Reply {
        ask(self.address, &format!("GET {path}"), &[], b"").await
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(4), self.running).await.expect("it ends in time").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_is_waited_for_until_it_is_open() {
    let server = Starting::begin().await;
    server.door.wait_for("the store is away");
    let live = server.get("/health/live").await;
    assert_eq!((live.status, live.value()), (200, json!({"status": "UP"})));
    for path in ["/health/ready", "/actuator/health"] {
        let start = json!({"status": "DOWN", "detail": "the store is away"});
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.value()), (503, json!({"status": "DOWN", "components": {"start": start}})));
    }
    let metrics = server.get("/metrics").await;
    assert!(metrics.status == 200 && metrics.text().contains("\naudience_ready 0\n"), "{}", metrics.text());
    for head in ["GET /", "GET /api/segments", "POST /metrics", "POST /api/events", "POST /health/live", "GET /nothing"]
    {
        let problem = ask(server.address, head, &[], b"").await.is_problem(503, "starting");
        assert!(problem["detail"].as_str().unwrap().ends_with("the store is away"), "{head}: {problem}");
    }
    let platform = Arc::new(FakePlatform::default());
    server.door.open(platform.platform(), Arc::new(Auth::off()));
    server.door.open(Arc::new(FakePlatform::default()).platform(), Arc::new(Auth::off()));
    *platform.down.lock().unwrap() = true;
    assert_eq!(server.get("/api/segments").await.status, 200);
    let answer = server.get("/health/ready").await;
    assert!(answer.status == 503 && !answer.text().contains("the store is away"), "it is the first that is served");
    *platform.down.lock().unwrap() = false;
    assert_eq!(server.get("/health/ready").await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_comes_free_is_waited_for() {
    let taken = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let listen = [Listen { address: taken.local_addr().unwrap(), scope: Scope::All, flag: "--test" }];
    let error = Server::bind_early(&listen, options()).await.err().expect("it is taken for good").to_string();
    assert!(error.contains("in use") && error.contains("--test"), "{error}");
    let freed = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(taken);
    });
    let server = Server::bind_early(&listen, options()).await;
    assert!(server.is_ok(), "{:?}", server.err());
    freed.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_end_before_it_is_open() {
    let server = Starting::begin().await;
    assert_eq!(server.get("/health/live").await.status, 200);
    let address = server.address;
    server.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nothing listens there any more");
}

/// A process without an engine answers by itself what it can while the engine is not there: also while that starts.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_starts_is_one_that_is_away() {
    let engine = Starting::begin().await;
    let server = start_with(ApiOptions { engine: Some(engine.address.to_string()), ..options() }).await;
    server.platform.is_without_engine.store(true, Ordering::Relaxed);
    let segments = server.get("/api/users/nobody/segments").await;
    assert_eq!((segments.status, segments.value()), (200, json!([])));
    server.get("/api/system").await.is_problem(503, "starting");
    engine.stop().await;
}

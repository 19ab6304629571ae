//! A server over a platform of plain maps, and a client that writes bytes.
#![allow(dead_code, reason = "every test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

pub(crate) mod access;
pub(crate) mod platform;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use audience_api::{ApiOptions, Listen, Scope, Server};
use audience_auth::Auth;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use platform::FakePlatform;

/// 2024-01-01T00:00:00Z
pub(crate) const NOW: i64 = 1_704_067_200_000;

pub(crate) struct Harness {
    pub address: SocketAddr,
    pub addresses: Vec<SocketAddr>,
    pub platform: Arc<FakePlatform>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

/// Options with a fixed clock and a short patience.
pub(crate) fn options() -> ApiOptions {
    ApiOptions {
        clock: || NOW,
        request_timeout: Duration::from_secs(5),
        drain_timeout: Duration::from_secs(5),
        ..ApiOptions::default()
    }
}

pub(crate) async fn start() -> Harness {
    start_with(options()).await
}

pub(crate) async fn start_with(options: ApiOptions) -> Harness {
    start_behind(Arc::new(Auth::off()), options).await
}

/// A server whose door asks.
pub(crate) async fn start_behind(auth: Arc<Auth>, options: ApiOptions) -> Harness {
    let platform = Arc::new(FakePlatform::default());
    let listen = [Scope::All, Scope::Ingestion, Scope::Segments].map(|scope| Listen {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        scope,
        flag: "--test",
    });
    let server = Server::bind(platform.platform(), auth, &listen, options).await.unwrap();
    let addresses = server.addresses();
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Harness { address: addresses[0], addresses, platform, stop, running }
}

impl Harness {
    /// Stops the server and waits for its end.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(4), self.running).await.expect("the server ends in time").unwrap();
    }

    /// Sends a request on a connection of its own.
    pub(crate) async fn ask(&self, head: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reply {
        ask(self.address, head, headers, body.as_ref()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), &[], "").await
    }

    /// Sends JSON.
    pub(crate) async fn json(&self, head: &str, body: &str) -> Reply {
        self.ask(head, &[("content-type", "application/json")], body).await
    }

    /// Sends bytes as they are; reads to the end.
    pub(crate) async fn raw(&self, bytes: impl AsRef<[u8]>) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_ref()).await.unwrap();
        read(&mut stream).await
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

pub(crate) async fn ask(address: SocketAddr, head: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut request = format!("{head} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    // The server may answer and close before it has read all.
    let _ = stream.write_all(body).await;
    read(&mut stream).await
}

/// Reads one answer of a connection that the server closes.
pub(crate) async fn read(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let reading = async {
        let mut part = [0; 16 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut part).await {
            bytes.extend_from_slice(&part[..count]);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("an answer in time");
    Reply::parse(&bytes)
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer with a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(':').unwrap());
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        Reply { status, headers, body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body of an answer sent in chunks; `None` where it was broken off.
    pub(crate) fn chunked(&self) -> Option<Vec<u8>> {
        assert_eq!(self.header("transfer-encoding"), "chunked");
        let (mut rest, mut whole) = (&self.body[..], Vec::new());
        loop {
            let end = rest.windows(2).position(|window| window == b"\r\n")?;
            let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
            whole.extend_from_slice(rest.get(end + 2..end + 2 + length)?);
            rest = rest.get(end + 4 + length..)?;
            if length == 0 {
                return Some(whole);
            }
        }
    }

    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that this is a problem of that status and code, in every formal respect.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        let problem = self.value();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["type"], format!("urn:audience-manager:problem:{code}"));
        assert!(!problem["title"].as_str().unwrap().is_empty() && !problem["detail"].as_str().unwrap().is_empty());
        if matches!(status, 429 | 503) {
            assert!(self.header("retry-after").parse::<u64>().unwrap() >= 1);
        }
        problem
    }

    /// The pointers of a problem's errors.
    #[track_caller]
    pub(crate) fn pointers(&self, status: u16) -> Vec<String> {
        let problem = self.is_problem(status, "invalid");
        let errors = problem["errors"].as_array().unwrap();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }
}

//! Settings of the HTTP APIs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use audience_auth::{QuotaOptions, Quotas};
use audience_rules::ast::Millis;
use audience_rules::placeholders::Placeholders;
use ipnet::IpNet;
use rustls::ClientConfig;

use crate::tls::Tls;

/// The paths that a listener offers. Health, metrics and the description are everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    All,
    /// Segments, traits and users.
    Segments,
    /// Events.
    Ingestion,
    /// Only what every process offers: health and figures.
    Health,
}

/// A listener.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// The paths that it offers.
    pub scope: Scope,
    /// The flag or setting that gave the address, for messages.
    pub flag: &'static str,
}

/// Bounds and times of the HTTP APIs.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// Bytes of a body, as sent and as decompressed. For NDJSON: of a line.
    pub max_body_bytes: usize,
    /// Bytes of a body that replaces the members of a static segment.
    pub max_members_bytes: usize,
    /// Bytes of memory that all bodies take together, as sent and as unpacked. A body that finds none is answered with 429.
    pub max_body_memory: usize,
    /// Bytes of a body in a second, at least, measured over each `body_window`.
    pub min_body_rate: usize,
    /// The window of time over which the rate of a body is measured. A body that is there within one may be slower.
    pub body_window: Duration,
    /// Events in one list.
    pub max_events: usize,
    /// Requests that are worked on at once; more are answered with 429.
    pub max_requests: usize,
    /// Connections at once over all listeners; more wait in the backlog.
    pub max_connections: usize,
    /// Clients that follow changes at once, by events or WebSocket; more are answered with 429.
    pub max_streams: u32,
    /// The time limit for an answer, and for the next event of a stream.
    pub request_timeout: Duration,
    /// The time limit for requests under way after the signal to stop.
    pub drain_timeout: Duration,
    /// The time for which an `Idempotency-Key` is kept.
    pub idempotency_ttl: Duration,
    /// Keys kept at most; the oldest goes first.
    pub idempotency_entries: usize,
    /// Bytes of kept answers at most; the oldest goes first.
    pub idempotency_bytes: usize,
    /// Origins of other sites whose scripts may call; `*` for any. None by default.
    pub cors_origins: Vec<String>,
    /// Origins of sites whose scripts may send events; `*`, the default, for any.
    pub cors_ingest_origins: Vec<String>,
    /// Words that are no ids.
    pub placeholders: Arc<Placeholders>,
    /// Addresses of proxies whose `X-Forwarded-For` names the address of the caller. None by default.
    pub trusted_proxies: Vec<IpNet>,
    /// Quotas of requests. By default 1,000 a minute where callers must sign in, counted by this process alone.
    pub quotas: Arc<Quotas>,
    /// The TLS of all listeners; without it they speak in the clear. None by default.
    pub tls: Option<Arc<Tls>>,
    /// The time for which browsers that came by TLS come by TLS alone (`Strict-Transport-Security`); zero promises nothing.
    pub tls_promise: Duration,
    /// `host:port` of a process with an engine: what only such a one can answer is asked there. None by default.
    pub engine: Option<String>,
    /// TLS towards that process; without it the process is asked in the clear. None by default.
    pub engine_tls: Option<Arc<ClientConfig>>,
    /// True where this process has the engines of the tenants beside `default`; else what they need is asked at `engine`.
    pub hosts_tenants: bool,
    /// More figures for `/metrics`, as OpenMetrics without its end.
    pub figures: fn() -> String,
    /// The clock that dates arrivals.
    pub clock: fn() -> Millis,
}

impl Default for ApiOptions {
    fn default() -> Self {
        ApiOptions {
            max_body_bytes: 8 << 20,
            max_members_bytes: 64 << 20,
            max_body_memory: 512 << 20,
            min_body_rate: 4 << 10,
            body_window: Duration::from_secs(10),
            max_events: 10_000,
            max_requests: 512,
            max_connections: 10_000,
            max_streams: 2_000,
            request_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(20),
            idempotency_ttl: Duration::from_secs(24 * 3600),
            idempotency_entries: 100_000,
            idempotency_bytes: 64 << 20,
            cors_origins: Vec::new(),
            cors_ingest_origins: vec!["*".to_owned()],
            placeholders: Arc::default(),
            trusted_proxies: Vec::new(),
            quotas: Arc::new(Quotas::new(QuotaOptions::default(), None, wall_clock)),
            tls: None,
            tls_promise: Duration::from_secs(365 * 24 * 3600),
            engine: None,
            engine_tls: None,
            hosts_tenants: false,
            figures: String::new,
            clock: wall_clock,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the HTTP API is the edge at which arrivals are dated")]
fn wall_clock() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
}

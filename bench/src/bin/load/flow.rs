//! Events into the server: as fast as they are taken, or so many a second.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use audience_bench::http::BenchClient;
use audience_bench::report::Times;
use audience_bench::workload::Workload;

/// Requests a second of [`EventFlow::steadily`].
const REQUESTS_A_SECOND: u64 = 200;
/// Connections of [`EventFlow::steadily`].
const STEADY_CONNECTIONS: u64 = 4;
/// A request that is refused because too much is waiting is sent again after this.
const RETRY: Duration = Duration::from_millis(5);
/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(600);

/// Sleeps; nothing wakes these threads.
pub(crate) fn pause(time: Duration) {
    let until = Instant::now() + time;
    while let Some(rest) = until.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) {
        std::thread::park_timeout(rest);
    }
}

/// The events sent so far: every number below is with the server.
pub struct EventFlow {
    /// The events.
    pub workload: Workload,
    batch: u64,
    sent: AtomicU64,
    /// Events that are none of the workload's.
    pub others: AtomicU64,
}

/// The cost of sending.
#[derive(Default)]
pub struct SendCost {
    /// Events.
    pub events: u64,
    /// The time of each request.
    pub times: Times,
    /// Requests that were refused for a while.
    pub refused: u64,
}

impl EventFlow {
    /// Nothing sent yet.
    pub fn new(workload: Workload, batch: u64) -> EventFlow {
        EventFlow { workload, batch, sent: AtomicU64::new(0), others: AtomicU64::new(0) }
    }

    /// Events of the workload that were sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// Sends the next `count` events as fast as they are taken.
    pub fn at_once(&self, address: SocketAddr, count: u64, connections: usize) -> anyhow::Result<SendCost> {
        let start = self.sent();
        let next = AtomicU64::new(start);
        let send = || -> anyhow::Result<SendCost> {
            let mut client = BenchClient::connect(address)?;
            let (mut sent, mut body) = (SendCost::default(), Vec::new());
            loop {
                let first = next.fetch_add(self.batch, Ordering::Relaxed);
                if first >= start + count {
                    return Ok(sent);
                }
                let end = (first + self.batch).min(start + count);
                self.workload.batch(first..end, None, &mut body);
                let begun = Instant::now();
                sent.refused += post(&mut client, &body)?;
                sent.times.add(begun.elapsed());
                sent.events += end - first;
            }
        };
        let sent = in_threads(connections, |_| send())?;
        self.sent.store(start + count, Ordering::Release);
        Ok(sent)
    }

    /// Sends `rate` events a second until told to stop; a request is timed from when it was to be sent.
    pub fn steadily(&self, address: SocketAddr, rate: u64, stop: &AtomicBool) -> anyhow::Result<SendCost> {
        let start = self.sent();
        let size = (rate / REQUESTS_A_SECOND).max(1);
        let begun = Instant::now();
        let send = |connection: u64| -> anyhow::Result<SendCost> {
            let mut client = BenchClient::connect(address)?;
            let (mut sent, mut body) = (SendCost::default(), Vec::new());
            for round in 0.. {
                let request = round * STEADY_CONNECTIONS + connection;
                let due = begun + Duration::from_micros(request * size * 1_000_000 / rate.max(1));
                pause(due.saturating_duration_since(Instant::now()));
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let first = start + request * size;
                self.workload.batch(first..first + size, Some(crate::now()), &mut body);
                sent.refused += post(&mut client, &body)?;
                sent.times.add(due.elapsed());
                sent.events += size;
            }
            Ok(sent)
        };
        let sent = in_threads(STEADY_CONNECTIONS as usize, |connection| send(connection as u64))?;
        // Connections stop within a round of each other: the numbers may have gaps at the end, which nobody counts on.
        self.sent.store(start + sent.events, Ordering::Release);
        Ok(sent)
    }

    /// Waits until all that was sent is served.
    pub fn wait_served(&self, client: &mut BenchClient, before: u64) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let wanted = before.wrapping_add(self.sent() + self.others.load(Ordering::Relaxed));
        while begun.elapsed() < PATIENCE {
            if events_done(client)? >= wanted {
                return Ok(begun.elapsed());
            }
            pause(Duration::from_millis(10));
        }
        anyhow::bail!("{} of {wanted} events are served after {PATIENCE:?}", events_done(client)?)
    }
}

/// Runs in so many threads, and puts together what they sent.
fn in_threads(count: usize, run: impl Fn(usize) -> anyhow::Result<SendCost> + Sync) -> anyhow::Result<SendCost> {
    let run = &run;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|index| scope.spawn(move || run(index))).collect();
        let mut all = SendCost::default();
        for thread in threads {
            let sent = thread.join().ok().context("a thread of the client died")??;
            all.events += sent.events;
            all.refused += sent.refused;
            all.times.merge(&sent.times);
        }
        Ok(all)
    })
}

/// Posts events until they are taken; gives how often they were refused.
pub(crate) fn post(client: &mut BenchClient, body: &[u8]) -> anyhow::Result<u64> {
    let begun = Instant::now();
    let mut refused = 0;
    while begun.elapsed() < PATIENCE {
        let answer = client.send("POST", "/api/events", body)?;
        match answer.status {
            202 => return Ok(refused),
            429 | 503 => refused += 1,
            status => anyhow::bail!("POST /api/events: {status} {}", String::from_utf8_lossy(answer.body)),
        }
        pause(RETRY);
    }
    anyhow::bail!("events were refused for {PATIENCE:?}")
}

/// Events that the engine has done since its start.
pub(crate) fn events_done(client: &mut BenchClient) -> anyhow::Result<u64> {
    let answer = client.get("/metrics")?;
    ensure!(answer.status == 200, "/metrics: {}", answer.status);
    let text = String::from_utf8_lossy(answer.body);
    let line = text.lines().find_map(|line| line.strip_prefix("audience_engine_events_total "));
    Ok(line.context("no audience_engine_events_total")?.trim().parse::<f64>()? as u64)
}

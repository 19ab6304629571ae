//! The phases of a run, and the figures taken meanwhile.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use audience_bench::http::BenchClient;
use audience_bench::process::resident;
use audience_bench::report::{FigureReport, FigureTarget};
use rustix::process::{Pid, Signal, kill_process};

use crate::kafka::SendPlan;
use crate::traffic::{PROBE_RULE, PROBE_SEGMENT, Traffic, rule};
use crate::{PipelineRun, now, pause};

const MIB: f64 = (1 << 20) as f64;
/// Between two looks at figures.
const LOOK: Duration = Duration::from_millis(100);
/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(1800);
/// At a moderate rate, every so-manieth event is a probe.
const PROBE_EVERY: u64 = 20;
/// Seconds of a rate before times are noted.
const WARM_UP_SECONDS: u64 = 20;
/// Requests a second where events come over HTTP.
const REQUESTS_A_SECOND: u64 = 100;
/// Times that memory may be more in the second half of what happens than in the first: as much as the allocator's own habits
/// make of it. Buffers that fill once, such as those of the stores, have done so by then; what has no bound goes on.
const FLAT: f64 = 1.1;

/// The server's own figures.
#[derive(Clone, Copy, Debug, Default)]
struct ServerFigures {
    /// Events that the engine has done.
    events: u64,
    /// Membership changes that are in the change log.
    changes: u64,
    /// Ticks that are committed and that not every sink has; none before every sink was seen.
    behind: Option<u64>,
}

impl ServerFigures {
    fn read(client: &mut BenchClient) -> anyhow::Result<ServerFigures> {
        let answer = client.get("/metrics")?;
        ensure!(answer.status == 200, "/metrics: {}", answer.status);
        let mut sums: HashMap<&str, Vec<u64>> = HashMap::new();
        let text = std::str::from_utf8(answer.body)?;
        for (name, value) in text.lines().filter_map(|line| line.rsplit_once(' ')) {
            let name = name.split_once('{').map_or(name, |(name, _)| name);
            sums.entry(name).or_default().extend(value.parse::<f64>().ok().map(|value| value as u64));
        }
        let all = |name: &str| sums.get(name).cloned().unwrap_or_default();
        Ok(ServerFigures {
            events: all("audience_engine_events_total").iter().sum(),
            changes: all("audience_membership_changes_total").iter().sum(),
            behind: all("audience_sink_lag_ticks").into_iter().max(),
        })
    }

    fn since(self, before: ServerFigures) -> ServerFigures {
        ServerFigures { events: self.events - before.events, changes: self.changes - before.changes, ..self }
    }
}

/// Waits until so many events are done and both sinks have all changes; gives what came of them.
fn wait_caught_up(client: &mut BenchClient, before: ServerFigures, events: u64) -> anyhow::Result<ServerFigures> {
    let begun = Instant::now();
    loop {
        let figures = ServerFigures::read(client)?.since(before);
        if figures.events >= events && figures.behind == Some(0) {
            return Ok(figures);
        }
        ensure!(begun.elapsed() < PATIENCE, "{figures:?} of {events} events after {PATIENCE:?}");
        pause(LOOK);
    }
}

/// The segments that there are from the beginning.
pub(crate) fn put_rules(client: &mut BenchClient, rules: u64) -> anyhow::Result<()> {
    let rules = (0..rules).map(|number| (format!("seg-{number:05}"), rule(number)));
    for (id, rule) in rules.chain([(PROBE_SEGMENT.to_owned(), PROBE_RULE.to_owned())]) {
        let body = format!(r#"{{"name":"{id}","rules":{rule}}}"#);
        let answer = client.send("PUT", &format!("/api/segments/{id}"), body.as_bytes())?;
        ensure!(answer.status == 201, "{id}: {} {}", answer.status, String::from_utf8_lossy(answer.body));
    }
    Ok(())
}

/// Waits until both sinks have what there was before, and sends other events than before.
pub(crate) fn go_on(run: &mut PipelineRun, is_new: bool) -> anyhow::Result<()> {
    let mut client = run.server.client()?;
    let begun = Instant::now();
    // Each says for itself that it has everything.
    while ServerFigures::read(&mut client)?.behind != Some(0) {
        ensure!(begun.elapsed() < PATIENCE, "the sinks do not catch up");
        pause(LOOK);
    }
    if !is_new {
        run.producing.next = run.args.users + now().unsigned_abs();
    }
    Ok(())
}

fn note_memory(report: &mut FigureReport, what: &str, bytes: u64) {
    report.add(what, bytes as f64 / MIB, "MiB", FigureTarget::None);
}

/// The outcome of events that were sent.
struct FlowOutcome {
    figures: ServerFigures,
    /// From the first until the brokers had all.
    sent_seconds: f64,
    /// From the first until both sinks had all.
    seconds: f64,
}

/// Sends, and waits until both sinks have all.
fn flow(run: &mut PipelineRun, plan: SendPlan) -> anyhow::Result<FlowOutcome> {
    let mut client = run.server.client()?;
    let before = ServerFigures::read(&mut client)?;
    let begun = Instant::now();
    let sent_seconds = run.producing.send(run.traffic, plan)?.as_secs_f64();
    let figures = wait_caught_up(&mut client, before, plan.count)?;
    Ok(FlowOutcome { figures, sent_seconds, seconds: begun.elapsed().as_secs_f64() })
}

fn rates(run: &mut PipelineRun, what: &str, flow: &FlowOutcome, target: FigureTarget) {
    let (events, changes, seconds) = (flow.figures.events as f64, flow.figures.changes as f64, flow.seconds);
    // Where this is no more than what is done, it is the producer, or the brokers, that all waits for.
    run.report.add(
        &format!("{what}: events that the brokers took"),
        events / flow.sent_seconds,
        "events/s",
        FigureTarget::None,
    );
    run.report.add(&format!("{what}: events until in both sinks"), events / seconds, "events/s", target);
    run.report.add(&format!("{what}: changes an event"), changes / events, "", FigureTarget::None);
    run.report.add(&format!("{what}: changes in each sink"), changes / seconds, "changes/s", FigureTarget::None);
}

/// The history of all users, in tenths.
pub(crate) fn history(run: &mut PipelineRun) -> anyhow::Result<()> {
    for tenth in 1..=10 {
        let count = run.args.events / 10;
        let came = flow(run, SendPlan { rate: None, count, probe_every: 0 })?;
        rates(run, &format!("history, tenth {tenth}"), &came, FigureTarget::None);
    }
    let bytes = run.server.memory().unwrap_or(0);
    note_memory(&mut run.report, "history: memory after", bytes);
    Ok(())
}

/// So many events a second of users with a history.
pub(crate) fn sustained(run: &mut PipelineRun) -> anyhow::Result<()> {
    let (rate, seconds) = (run.args.rate, run.args.seconds);
    let cpu = run.server.cpu_seconds();
    let came = flow(run, SendPlan { rate: Some(rate), count: rate * seconds, probe_every: 0 })?;
    let behind = came.seconds - came.sent_seconds;
    let used = run.server.cpu_seconds().zip(cpu).map_or(0.0, |(after, before)| (after - before) / came.seconds);
    // What is sent ends in the last second; the sinks are to have it within another.
    let target = rate as f64 * seconds as f64 / (seconds as f64 + 1.0);
    rates(run, "sustained", &came, FigureTarget::AtLeast(target.floor()));
    run.report.add("sustained: sinks done behind the last event", behind, "s", FigureTarget::None);
    run.report.add("sustained: cores used by the server", used, "", FigureTarget::None);
    Ok(())
}

/// The backlog while the server stands still.
pub(crate) fn catch_up(run: &mut PipelineRun) -> anyhow::Result<()> {
    let mut client = run.server.client()?;
    let (before, cpu) = (ServerFigures::read(&mut client)?, run.server.cpu_seconds());
    let stopped = Stopped::new(run.server.process().context("no process")?.try_into()?)?;
    let count = run.args.rate * run.args.seconds;
    let sent_seconds = run.producing.send(run.traffic, SendPlan { rate: None, count, probe_every: 0 })?.as_secs_f64();
    drop(stopped);
    let begun = Instant::now();
    let figures = wait_caught_up(&mut client, before, count)?;
    let seconds = begun.elapsed().as_secs_f64();
    let used = run.server.cpu_seconds().zip(cpu).map_or(0.0, |(after, before)| (after - before) / seconds);
    rates(run, "catch-up", &FlowOutcome { figures, sent_seconds, seconds }, FigureTarget::None);
    run.report.add("catch-up: cores used by the server", used, "", FigureTarget::None);
    Ok(())
}

/// How long an event is under way.
pub(crate) fn latency(run: &mut PipelineRun) -> anyhow::Result<()> {
    let rate = run.args.moderate_rate;
    let plan = |seconds: u64| SendPlan { rate: Some(rate), count: rate * seconds, probe_every: PROBE_EVERY };
    // The broker's compiler takes as long to know what this rate asks of it.
    flow(run, plan(WARM_UP_SECONDS))?;
    run.seen.take_probes();
    let came = flow(run, plan(run.args.seconds))?;
    pause(Duration::from_secs(1));
    let times = run.seen.take_probes();
    let sent = came.figures.events / PROBE_EVERY;
    ensure!(times.count() == sent, "{} of {sent} probes came", times.count());
    rates(run, "latency", &came, FigureTarget::None);
    times.report(&mut run.report, "latency: event to topic", FigureTarget::None, FigureTarget::AtMost(100.0));
    Ok(())
}

/// Memory at a moderate rate, in a burst of ten times as much, and behind it.
pub(crate) fn burst(run: &mut PipelineRun) -> anyhow::Result<()> {
    let (rate, seconds) = (run.args.moderate_rate, run.args.seconds);
    let plan = |rate: u64, seconds: u64| SendPlan { rate: Some(rate), count: rate * seconds, probe_every: 0 };
    standstill(run, "burst", |run| flow(run, plan(10 * rate, seconds)).map(drop))
}

/// Memory while the broker stands still and events come over HTTP.
pub(crate) fn broker(run: &mut PipelineRun) -> anyhow::Result<()> {
    let broker = run.args.kafka_process.context("--kafka-process is not said")?;
    let (rate, seconds) = (run.args.moderate_rate, run.args.seconds);
    standstill(run, "broker stopped", |run| {
        let mut client = run.server.client()?;
        let before = ServerFigures::read(&mut client)?;
        let stopped = Stopped::new(broker)?;
        let traffic = run.traffic;
        let next = &mut run.producing.next;
        let sent = over_http(&mut client, traffic, next, rate, seconds)?;
        drop(stopped);
        wait_caught_up(&mut client, before, sent).map(drop)
    })
}

/// Memory while Redis stands still.
pub(crate) fn redis(run: &mut PipelineRun) -> anyhow::Result<()> {
    let redis = run.args.redis_process.context("--redis-process is not said")?;
    let (rate, seconds) = (run.args.moderate_rate, run.args.seconds);
    standstill(run, "Redis stopped", |run| {
        let mut client = run.server.client()?;
        let before = ServerFigures::read(&mut client)?;
        let stopped = Stopped::new(redis)?;
        let count = rate * seconds;
        run.producing.send(run.traffic, SendPlan { rate: Some(rate), count, probe_every: 0 })?;
        drop(stopped);
        wait_caught_up(&mut client, before, count).map(drop)
    })
}

/// Memory before, during and behind something.
fn standstill(
    run: &mut PipelineRun,
    what: &str,
    happens: impl FnOnce(&mut PipelineRun) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let rate = run.args.moderate_rate;
    let calm = SendPlan { rate: Some(rate), count: rate * 15, probe_every: 0 };
    let calmly = |run: &mut PipelineRun| -> anyhow::Result<u64> {
        flow(run, calm)?;
        run.server.memory().context("no memory")
    };
    let before = calmly(run)?;
    let is_over = AtomicBool::new(false);
    let process = run.server.process().context("no process")?;
    let look = || {
        let mut seen = Vec::new();
        while !is_over.load(Ordering::Acquire) {
            seen.push(resident(Some(process)).unwrap_or(0));
            pause(LOOK);
        }
        seen
    };
    let (result, seen) = std::thread::scope(|scope| {
        let looking = scope.spawn(look);
        let result = happens(run);
        is_over.store(true, Ordering::Release);
        (result, looking.join())
    });
    result?;
    let seen = seen.map_err(|_| anyhow!("nobody looked at memory"))?;
    let after = calmly(run)?;
    let (first, second) = seen.split_at(seen.len() / 2);
    let [first, second] = [first, second].map(|half| half.iter().copied().max().unwrap_or(0));
    note_memory(&mut run.report, &format!("{what}: memory before"), before);
    note_memory(&mut run.report, &format!("{what}: most memory in the first half of it"), first);
    let target = FigureTarget::AtMost((first as f64 * FLAT / MIB).round());
    run.report.add(&format!("{what}: most memory in the second half"), second as f64 / MIB, "MiB", target);
    note_memory(&mut run.report, &format!("{what}: memory after"), after);
    Ok(())
}

/// Sends events over HTTP, so many a second; gives how many.
fn over_http(
    client: &mut BenchClient,
    traffic: Traffic,
    next: &mut u64,
    rate: u64,
    seconds: u64,
) -> anyhow::Result<u64> {
    let size = rate / REQUESTS_A_SECOND;
    let begun = Instant::now();
    let (mut key, mut event, mut body) = (Vec::new(), Vec::new(), Vec::new());
    for request in 0..REQUESTS_A_SECOND * seconds {
        let due = begun + Duration::from_millis(request * 1000 / REQUESTS_A_SECOND);
        pause(due.saturating_duration_since(Instant::now()));
        body.clear();
        for _ in 0..size {
            traffic.write(*next, now(), &mut key, &mut event);
            *next += 1;
            body.push(if body.is_empty() { b'[' } else { b',' });
            body.extend_from_slice(&event);
        }
        body.push(b']');
        let answer = client.send("POST", "/api/events", &body)?;
        ensure!(answer.status == 202, "POST /api/events: {}", answer.status);
    }
    Ok(size * REQUESTS_A_SECOND * seconds)
}

/// A process that stands still until this is dropped.
struct Stopped(Pid);

impl Stopped {
    fn new(process: i32) -> anyhow::Result<Stopped> {
        let process = Pid::from_raw(process).context("no process id")?;
        kill_process(process, Signal::STOP)?;
        Ok(Stopped(process))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}

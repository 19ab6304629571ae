//! The phases with one thing to time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use audience_bench::http::BenchClient;
use audience_bench::process::BenchServer;
use audience_bench::report::{FigureTarget, Times};
use audience_bench::workload::{CATEGORIES, TYPES, rule};
use rustix::process::Signal;

use crate::flow::{events_done, pause, post};
use crate::{LoadRun, edits};

const MIB: f64 = (1 << 20) as f64;

fn note_memory(run: &mut LoadRun, what: &str) -> Option<u64> {
    let bytes = run.server.memory()?;
    run.report.add(what, bytes as f64 / MIB, "MiB", FigureTarget::None);
    Some(bytes)
}

/// Rules, users and events in.
pub(crate) fn load(run: &mut LoadRun) -> anyhow::Result<()> {
    let mut client = run.server.client()?;
    for number in 0..run.args.rules {
        edits::put(&mut client, &format!("rule-{number}"), &rule(number), None)?;
    }
    // The rule that the edits of `mixed` are like: its measure is computed.
    edits::put(&mut client, "scored", &edits::scored(5000), None)?;
    note_memory(run, "load: memory before");
    let served = events_done(&mut client)?;
    let begun = Instant::now();
    let sent = run.flow.at_once(run.server.address, run.args.events, run.args.connections)?;
    let durable = begun.elapsed().as_secs_f64();
    run.flow.wait_served(&mut client, served)?;
    let all = begun.elapsed().as_secs_f64();
    let report = &mut run.report;
    let events = sent.events as f64;
    report.add("load: events durable", events / durable, "events/s", FigureTarget::AtLeast(150_000.0));
    report.add("load: events served", events / all, "events/s", FigureTarget::None);
    report.add("load: requests refused for a while", sent.refused as f64, "", FigureTarget::None);
    sent.times.report(report, "load: POST until durable", FigureTarget::None, FigureTarget::None);
    note_memory(run, "load: memory after");
    Ok(())
}

/// Rules on measures that nobody computed before.
pub(crate) fn backfill(run: &mut LoadRun) -> anyhow::Result<()> {
    let mut client = run.server.client()?;
    let mut times = Times::default();
    // The rules of the beginning use the lower half of the categories, and no clicks.
    for (kind, category) in [(1, 11), (0, 12), (3, 13)] {
        let (name, id) = (TYPES[kind].0, format!("backfill-{kind}-{category}"));
        let rules = format!(
            r#"{{"event":"{name}","where":[{{"field":"category","operator":"eq","value":"cat{category:02}"}}]}}"#
        );
        let expected = run.flow.workload.users_of(kind, category % CATEGORIES, run.flow.sent());
        let exact = run.flow.sent() == run.args.events;
        let took = edits::put(&mut client, &id, &rules, exact.then_some(expected))?;
        eprintln!("   {name} in cat{category}: {took:?}, {expected} users");
        times.add(took);
        edits::delete(&mut client, &id)?;
    }
    times.report(
        &mut run.report,
        "backfill: new measure over all history",
        FigureTarget::None,
        FigureTarget::AtMost(3000.0),
    );
    Ok(())
}

/// A window over nearly everything that happened.
pub(crate) fn pending(run: &mut LoadRun) -> anyhow::Result<()> {
    let mut client = run.server.client()?;
    let rules = r#"{"event":"page_view","within":"30d","operator":"gte","value":6}"#;
    let took = edits::put(&mut client, "pending", rules, None)?;
    let size = edits::read(&mut client, "pending")?.size;
    let count = (run.flow.sent() - run.args.users) as f64 * 0.6;
    run.report.add("pending: expirations pending, about", count, "", FigureTarget::None);
    run.report.add("pending: members", size as f64, "", FigureTarget::None);
    run.report.add("pending: rule made", took.as_secs_f64(), "s", FigureTarget::None);
    note_memory(run, "pending: memory");
    Ok(())
}

fn start(run: &mut LoadRun) -> anyhow::Result<f64> {
    let (server, took) = BenchServer::start(&run.setup)?;
    run.server = server;
    Ok(took.as_secs_f64())
}

/// Takes the server out of the run, which has a dead one until [`start`].
fn end(run: &mut LoadRun, signal: Signal) -> anyhow::Result<f64> {
    let dead = BenchServer::running(run.server.address);
    Ok(std::mem::replace(&mut run.server, dead).end(signal)?.as_secs_f64())
}

fn sizes(client: &mut BenchClient, rules: u64) -> anyhow::Result<Vec<u64>> {
    // Every fifth has a window, so that its size changes by time alone.
    let rules = (0..rules).filter(|number| number % 5 != 3);
    rules.map(|number| Ok(edits::read(client, &format!("rule-{number}"))?.size)).collect()
}

/// A stop and a start; a crash under load and a start.
pub(crate) fn restart(run: &mut LoadRun) -> anyhow::Result<()> {
    if run.args.address.is_some() {
        return Ok(());
    }
    let before = sizes(&mut run.server.client()?, run.args.rules)?;
    let stopped = end(run, Signal::TERM)?;
    run.report.add("restart: stop, with a checkpoint", stopped, "s", FigureTarget::None);
    let started = start(run)?;
    run.report.add("restart: start from a checkpoint until ready", started, "s", FigureTarget::AtMost(5.0));
    note_memory(run, "restart: memory after");
    let after = sizes(&mut run.server.client()?, run.args.rules)?;
    anyhow::ensure!(before == after, "the start changed sizes of segments: {before:?}, then {after:?}");
    let stop = AtomicBool::new(false);
    let (address, flow, rate) = (run.server.address, &run.flow, run.args.rate);
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| flow.steadily(address, rate, &stop));
        pause(Duration::from_secs(5));
        stop.store(true, Ordering::Relaxed);
        sending.join().ok().context("a thread of the client died")?
    })?;
    end(run, Signal::KILL)?;
    let started = start(run)?;
    run.report.add("restart: start after kill -9 until ready", started, "s", FigureTarget::AtMost(5.0));
    Ok(())
}

/// Kills one worker of several processes while nothing else happens; thrice.
pub(crate) fn recovery(run: &mut LoadRun) -> anyhow::Result<()> {
    edits::put(&mut run.server.client()?, "recovered", r#"{"event":"recovered"}"#, None)?;
    let mut times = Times::default();
    for round in 0..3 {
        let begun = Instant::now();
        run.server.kill_worker(1)?;
        while !is_served(run.server.address, round).unwrap_or(false) {
            anyhow::ensure!(begun.elapsed() < Duration::from_secs(120), "it does not come back");
            pause(Duration::from_millis(5));
        }
        times.add(begun.elapsed());
        eprintln!("   back after {:?}", begun.elapsed());
        // A checkpoint may be taken meanwhile, or not.
        pause(Duration::from_secs(5));
    }
    times.report(
        &mut run.report,
        "recovery: kill -9 of a worker until an event is served",
        FigureTarget::None,
        FigureTarget::AtMost(10_000.0),
    );
    Ok(())
}

/// Returns whether an event is accepted and then served within a moment.
fn is_served(address: std::net::SocketAddr, round: u64) -> anyhow::Result<bool> {
    let mut client = BenchClient::connect(address)?;
    let body = format!(r#"{{"userId":"r{round}","eventType":"recovered","properties":{{}}}}"#);
    post(&mut client, body.as_bytes())?;
    for _ in 0..200 {
        let answer = client.get(&format!("/api/users/r{round}/segments"))?;
        if answer.body.windows(11).any(|window| window == b"\"recovered\"") {
            return Ok(true);
        }
        pause(Duration::from_millis(5));
    }
    Ok(false)
}

/// As many events again, for the same users.
pub(crate) fn history(run: &mut LoadRun) -> anyhow::Result<()> {
    let mut client = run.server.client()?;
    let before = note_memory(run, "history: memory before");
    let done = events_done(&mut client)?;
    let offset = run.flow.sent() + run.flow.others.load(Ordering::Relaxed);
    run.flow.at_once(run.server.address, run.args.events, run.args.connections)?;
    // A server that was started again counts from there.
    run.flow.wait_served(&mut client, done.wrapping_sub(offset))?;
    pause(Duration::from_secs(5));
    let after = note_memory(run, "history: memory after");
    if let (Some(before), Some(after)) = (before, after) {
        let grown = (after as f64 - before as f64) / run.args.events as f64;
        run.report.add("history: growth per event more", grown, "bytes", FigureTarget::AtMost(1.0));
    }
    Ok(())
}

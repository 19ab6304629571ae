//! Edits, previews, documents and single events, timed, while events flow.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use audience_bench::http::BenchClient;
use audience_bench::report::{FigureTarget, Times};
use audience_bench::workload::SCORES;

use crate::flow::{events_done, pause};
use crate::{LoadRun, edits, probe};

/// Between two edits.
const GAP: Duration = Duration::from_millis(100);
/// Half a percent of the users lie in so many scores.
const STEP: u64 = SCORES / 200;
/// The segment that single events bring their users into.
const PROBE: &str = "probe";

/// How long edits took.
#[derive(Default)]
struct Edits {
    creates: Times,
    small: Times,
    deletes: Times,
    all: Times,
    previews: Times,
    /// Edits of rules that hold, too, for users of whom a value is missing.
    missing: Times,
    /// Requests on documents alone: a draft is made, read, renamed, listed and deleted.
    documents: Times,
}

/// The phase.
pub(crate) fn mixed(run: &mut LoadRun) -> anyhow::Result<()> {
    let address = run.server.address;
    let mut client = run.server.client()?;
    // Another event every time, so that nobody has done it.
    let event = format!("probe-{}", run.flow.sent());
    edits::put(&mut client, PROBE, &format!(r#"{{"event":"{event}"}}"#), Some(0))?;
    let served_before = events_done(&mut client)?;
    let sent_before = run.flow.sent() + run.flow.others.load(Ordering::Relaxed);
    let (stop, flow) = (AtomicBool::new(false), &run.flow);
    let (rate, seconds) = (run.args.rate, run.args.seconds);
    let counts = run.flow.workload.scores_at_least();
    let begun = Instant::now();
    let (sent, probed, edited) = std::thread::scope(|scope| {
        let sending = scope.spawn(|| flow.steadily(address, rate, &stop));
        let probing = scope.spawn(|| probe::probe(address, flow, (&event, PROBE), &stop));
        let editing = scope.spawn(|| edit(address, &counts, &stop));
        while begun.elapsed() < Duration::from_secs(seconds) {
            pause(Duration::from_millis(20));
            if probing.is_finished() || editing.is_finished() || sending.is_finished() {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        (sending.join(), probing.join(), editing.join())
    });
    let died = "a thread of the client died";
    let (sent, probed) = (sent.ok().context(died)??, probed.ok().context(died)??);
    let edited = edited.ok().context(died)??;
    let took = begun.elapsed().as_secs_f64();
    run.flow.wait_served(&mut client, served_before.wrapping_sub(sent_before))?;
    let report = &mut run.report;
    let wanted = FigureTarget::AtLeast(0.98 * rate as f64);
    report.add("mixed: events flowing", sent.events as f64 / took, "events/s", wanted);
    let refused = sent.refused as f64;
    report.add("mixed: requests refused", refused, "", FigureTarget::AtMost(0.0));
    sent.times.report(report, "mixed: POST of the flow until durable", FigureTarget::None, FigureTarget::None);
    probed.served.report(report, "mixed: event until served", FigureTarget::None, FigureTarget::AtMost(50.0));
    probed.looks.report(report, "mixed: GET of a user's segments", FigureTarget::None, FigureTarget::None);
    edited.creates.report(report, "mixed: create", FigureTarget::None, FigureTarget::AtMost(150.0));
    let small = "mixed: edit of 0.5% of the users";
    edited.small.report(report, small, FigureTarget::AtMost(30.0), FigureTarget::AtMost(150.0));
    edited.deletes.report(report, "mixed: delete", FigureTarget::None, FigureTarget::AtMost(150.0));
    edited.all.report(report, "mixed: any edit", FigureTarget::None, FigureTarget::AtMost(150.0));
    let preview = "mixed: preview of an edit of 0.5% of the users";
    edited.previews.report(report, preview, FigureTarget::None, FigureTarget::AtMost(300.0));
    let missing = "mixed: the same, also of those of whom a value is missing";
    edited.missing.report(report, missing, FigureTarget::None, FigureTarget::AtMost(300.0));
    let documents = "mixed: a draft made, read, renamed, listed, deleted, each";
    edited.documents.report(report, documents, FigureTarget::None, FigureTarget::None);
    report.add(&format!("{documents}, p95"), edited.documents.percentile(95.0), "ms", FigureTarget::AtMost(20.0));
    Ok(())
}

/// Creates a segment, moves its threshold, then deletes it, over and over.
fn edit(address: SocketAddr, counts: &[u64], stop: &AtomicBool) -> anyhow::Result<Edits> {
    let mut client = BenchClient::connect(address)?;
    let mut edits = Edits::default();
    for round in 0u64.. {
        let id = format!("edited-{round}");
        let mut least = (2000 + 1117 * round) % (SCORES - 20 * STEP);
        let size = |least: u64| Some(counts[least as usize]);
        let took = edits::put(&mut client, &id, &edits::scored(least), size(least))?;
        edits.creates.add(took);
        edits.all.add(took);
        for step in 0..8 {
            pause(GAP);
            if stop.load(Ordering::Relaxed) {
                break;
            }
            least += STEP;
            let (rules, times) = match step % 2 {
                0 => (edits::scored(least), &mut edits.previews),
                _ => (edits::not_below(least), &mut edits.missing),
            };
            times.add(edits::preview(&mut client, &id, &rules, counts[least as usize])?);
            let took = edits::put(&mut client, &id, &edits::scored(least), size(least))?;
            edits.small.add(took);
            edits.all.add(took);
        }
        pause(GAP);
        edits::draft(&mut client, &format!("draft-{round}"), &mut edits.documents)?;
        let took = edits::delete(&mut client, &id)?;
        edits.deletes.add(took);
        edits.all.add(took);
        pause(GAP);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    ensure!(edits.all.count() > 0, "there was no time for an edit");
    Ok(edits)
}

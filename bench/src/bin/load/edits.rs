//! Segments made, changed and deleted, each held against what it must come to.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use audience_bench::http::BenchClient;
use audience_bench::report::Times;
use serde_json::Value;

use crate::flow::pause;

/// Between two looks at an edit that is not served yet.
const LOOK: Duration = Duration::from_millis(1);
/// A request on a draft that takes longer is told.
const LONG: Duration = Duration::from_millis(100);
/// An edit that is not in force by then is a fault.
const PATIENCE: Duration = Duration::from_secs(300);

/// A segment as the API gives it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListedSegment {
    /// Members.
    pub size: u64,
    /// In force and wholly served.
    pub effective: bool,
}

fn seen(body: &[u8]) -> anyhow::Result<ListedSegment> {
    let value: Value = serde_json::from_slice(body)?;
    let size = value["size"].as_u64().context("no size")?;
    Ok(ListedSegment { size, effective: value["effective"].as_bool().context("no effective")? })
}

/// The body of a segment.
pub(crate) fn body(id: &str, rules: &str) -> Vec<u8> {
    format!(r#"{{"id":"{id}","name":"{id}","rules":{rules}}}"#).into_bytes()
}

/// The rule of those with a score of at least this.
pub(crate) fn scored(least: u64) -> String {
    format!(r#"{{"field":"score","operator":"gte","value":{least}}}"#)
}

/// Those with a score of at least this, and those without a score.
pub(crate) fn not_below(least: u64) -> String {
    format!(r#"{{"logic":"NOT","conditions":[{{"field":"score","operator":"lt","value":{least}}}]}}"#)
}

/// Reads a segment.
pub(crate) fn read(client: &mut BenchClient, id: &str) -> anyhow::Result<ListedSegment> {
    let answer = client.get(&format!("/api/segments/{id}"))?;
    ensure!(answer.status == 200, "GET {id}: {}", answer.status);
    seen(answer.body)
}

/// Creates or changes a segment and waits until it is served; gives how long it took from the request on.
pub(crate) fn put(
    client: &mut BenchClient,
    id: &str,
    rules: &str,
    expected_size: Option<u64>,
) -> anyhow::Result<Duration> {
    let body = body(id, rules);
    let begun = Instant::now();
    let answer = client.send("PUT", &format!("/api/segments/{id}"), &body)?;
    if !matches!(answer.status, 200 | 201) {
        bail!("PUT {id}: {} {}", answer.status, String::from_utf8_lossy(answer.body));
    }
    let mut now = seen(answer.body)?;
    let is_served = |now: &ListedSegment| now.effective && expected_size.is_none_or(|expected| expected == now.size);
    while !is_served(&now) {
        ensure!(begun.elapsed() < PATIENCE, "{id} is not served after {PATIENCE:?}: {now:?}, not {expected_size:?}");
        pause(LOOK);
        now = read(client, id)?;
    }
    let took = begun.elapsed();
    let after = read(client, id)?;
    ensure!(is_served(&after), "{id} was served, and then {after:?}, not {expected_size:?}");
    Ok(took)
}

/// Asks what rules would change of a segment, and holds the size against what it must be; gives how long it took.
pub(crate) fn preview(client: &mut BenchClient, id: &str, rules: &str, expected_size: u64) -> anyhow::Result<Duration> {
    let body = format!(r#"{{"id":"{id}","rules":{rules}}}"#).into_bytes();
    let begun = Instant::now();
    let answer = client.send("POST", "/api/segments/preview", &body)?;
    let took = begun.elapsed();
    ensure!(answer.status == 200, "preview of {id}: {} {}", answer.status, String::from_utf8_lossy(answer.body));
    let value: Value = serde_json::from_slice(answer.body)?;
    ensure!(value["size"] == expected_size, "preview of {id}: {value}, not {expected_size}");
    Ok(took)
}

/// Makes, reads, renames, lists and deletes a draft; notes how long each took.
pub(crate) fn draft(client: &mut BenchClient, id: &str, times: &mut Times) -> anyhow::Result<()> {
    let made = format!(r#"{{"id":"{id}","name":"{id}","status":"DRAFT","rules":{}}}"#, scored(1));
    let one = format!("/api/segments/{id}");
    let requests = [
        ("POST", "/api/segments", made.as_str(), 201),
        ("GET", &one, "", 200),
        ("PATCH", &one, r#"{"name":"renamed"}"#, 200),
        ("GET", "/api/segments?limit=50", "", 200),
        ("DELETE", &one, "", 204),
    ];
    for (method, path, body, expected) in requests {
        let begun = Instant::now();
        let status = client.send(method, path, body.as_bytes())?.status;
        let took = begun.elapsed();
        times.add(took);
        if took > LONG {
            eprintln!("   {method} {path} took {took:?}");
        }
        ensure!(status == expected, "{method} {path}: {status}");
    }
    Ok(())
}

/// Deletes a segment; gives how long it took.
pub(crate) fn delete(client: &mut BenchClient, id: &str) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let path = format!("/api/segments/{id}");
    let status = client.send("DELETE", &path, b"")?.status;
    let took = begun.elapsed();
    ensure!(status == 204, "DELETE {id}: {status}");
    ensure!(client.get(&path)?.status == 404, "{id} is still there");
    Ok(took)
}

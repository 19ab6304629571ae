//! Known answers over real purchases: the CDNOW history, which `scripts/fetch-cdnow` fetches.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use audience_rules::ast::Millis;
use audience_rules::json::parse_json;
use audience_rules::oracle::World;
use audience_rules::time::parse_rfc3339;
use audience_rules::timeline::{OracleSubject, SegmentDefinition, SegmentLine, Subject};
use audience_tests::program;
use serde_json::{Value, json};

const DAY: Millis = 86_400_000;
/// One customer in so many is compared with the naive evaluator over all time.
const SAMPLED: usize = 150;

fn rules() -> Value {
    let sum = json!({"event": "purchase", "measure": {"fn": "sum", "of": "amount"}, "operator": "gt", "value": 1000, "within": "30d"});
    let count = json!({"event": "purchase", "operator": "gt", "value": 5, "within": "30d"});
    json!([
        {"id": "customers", "name": "customers", "rules": {"event": "purchase"}},
        {"id": "rich", "name": "rich", "rules": {"field": "totalSpent", "operator": "gt", "value": 1000}},
        {"id": "eager", "name": "eager", "rules": {"conditions": [sum, count]}},
        {"id": "active", "name": "active", "rules": {"event": "purchase", "operator": "gte", "value": 2, "within": "60d"}},
    ])
}

/// The file of events; fetched where it is missing.
fn events() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    let events = target.join("cdnow/events.ndjson");
    if !events.exists() {
        let status = Command::new(root.join("scripts/fetch-cdnow")).status();
        let is_fetched = status.as_ref().is_ok_and(|status| status.success()) && events.exists();
        assert!(is_fetched, "{} is missing, and scripts/fetch-cdnow did not fetch it: {status:?}", events.display());
    }
    events
}

/// The output of `audience replay`: its last line, the members of each segment, and the changes of each user.
struct CdnowOutput {
    summary: String,
    members: BTreeMap<String, BTreeSet<String>>,
    changes: BTreeMap<String, Vec<(Millis, String, String)>>,
}

fn replay(workers: u32) -> CdnowOutput {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("rules.json"), rules().to_string()).unwrap();
    let mut command = Command::new(program!());
    command.arg("replay").arg("--events").arg(events()).arg("--rules").arg(path("rules.json"));
    command.arg("--members").arg(path("members.tsv")).arg("--changes").arg(path("changes.ndjson"));
    let output = command.args(["--workers", &workers.to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut members: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in fs::read_to_string(path("members.tsv")).unwrap().lines() {
        let (user, segment) = line.split_once('\t').unwrap();
        assert!(members.entry(segment.to_owned()).or_default().insert(user.to_owned()), "{line} is there twice");
    }
    let mut changes: BTreeMap<String, Vec<(Millis, String, String)>> = BTreeMap::new();
    for line in fs::read_to_string(path("changes.ndjson")).unwrap().lines() {
        let json: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| json[key].as_str().unwrap().to_owned();
        let at = json["at"].as_i64().or_else(|| parse_rfc3339(json["at"].as_str()?)).unwrap();
        changes.entry(text("userId")).or_default().push((at, text("segmentId"), text("change")));
    }
    CdnowOutput { summary: String::from_utf8(output.stdout).unwrap(), members, changes }
}

/// The naive evaluator over one user's events.
fn world(lines: &[&str]) -> World {
    let mut subject = OracleSubject::default();
    for segment in rules().as_array().unwrap() {
        let id = segment["id"].as_str().unwrap().to_owned();
        let definition = SegmentDefinition::Dynamic(parse_json(segment["rules"].to_string().as_bytes()).unwrap());
        let line =
            SegmentLine { name: id.clone(), id, status: audience_rules::catalogue::SegmentStatus::Active, definition };
        subject.put_segment(&line).unwrap();
    }
    lines.iter().for_each(|line| subject.event(line.as_bytes()).unwrap());
    subject.world
}

fn timestamp(line: &str) -> Millis {
    let json: Value = serde_json::from_str(line).unwrap();
    parse_rfc3339(json["timestamp"].as_str().unwrap()).unwrap()
}

/// The changes that there must be, looking at each instant at which a window may open or close.
fn true_changes(user: &str, lines: &[&str], end: Millis) -> Vec<(Millis, String, String)> {
    let world = world(lines);
    let times = lines.iter().map(|line| timestamp(line));
    let instants: BTreeSet<Millis> = times.flat_map(|time| [time, time + 30 * DAY, time + 60 * DAY]).collect();
    let mut changes = Vec::new();
    let mut held: BTreeSet<&str> = BTreeSet::new();
    // Before an instant, events of later are not there yet: the evaluator leaves them out, as they are of its future.
    for at in instants.into_iter().filter(|at| *at <= end) {
        let moment = world.at(at);
        // A user is known by their first event, which is the first instant.
        for segment in ["active", "customers", "eager", "rich"] {
            let is_member = moment.members(segment).contains(user);
            let changed = if is_member { held.insert(segment) } else { held.remove(segment) };
            if changed {
                changes.push((at, segment.to_owned(), if is_member { "entered" } else { "left" }.to_owned()));
            }
        }
    }
    changes
}

#[test]
fn known_answers() {
    let replayed = replay(2);
    assert!(replayed.summary.starts_with("69659 events"), "{}", replayed.summary);
    assert_eq!(replayed.members["customers"].len(), 23_570);
    assert_eq!(replayed.members["rich"].len(), 200);
    let text = fs::read_to_string(events()).unwrap();
    let mut lines: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines() {
        let user = line.split('"').nth(3).unwrap();
        lines.entry(user).or_default().push(line);
    }
    assert_eq!(lines.values().map(Vec::len).sum::<usize>(), 69_659);
    let end = text.lines().map(timestamp).max().unwrap();
    let was_eager = |changes: &Vec<(Millis, String, String)>| {
        changes.iter().any(|(_, segment, change)| segment == "eager" && change == "entered")
    };
    let eager: BTreeSet<&str> =
        replayed.changes.iter().filter(|(_, changes)| was_eager(changes)).map(|(user, _)| user.as_str()).collect();
    assert_eq!(eager.len(), 8, "{eager:?}");
    for (index, (user, lines)) in lines.iter().enumerate() {
        if !eager.contains(user) && index % SAMPLED != 0 {
            continue;
        }
        let mut found = replayed.changes.get(*user).cloned().unwrap_or_default();
        found.sort();
        assert_eq!(found, true_changes(user, lines, end), "{user}");
    }
    let again = replay(3);
    assert_eq!(again.members, replayed.members, "another number of workers gives others");
}

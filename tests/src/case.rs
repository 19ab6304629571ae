//! A timeline with the settings of the engine that runs it.

use std::path::{Path, PathBuf};

use audience_rules::timeline::{Line, OracleSubject, Subject, parse_timeline};
use serde_json::{Map, Value, json};

use crate::check::step;

/// A timeline with the settings of the engine that runs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The number of processes.
    pub processes: usize,
    /// The number of workers of each.
    pub workers: usize,
    /// Events that go into one tick at most.
    pub batch_events: u64,
    /// Users that are looked at in one go.
    pub scan_slice_users: u32,
    /// True if members are compared behind every line; else only behind those that settle by themselves, so that events
    /// gather in batches.
    pub every_line: bool,
    /// The lines.
    pub lines: Vec<Value>,
}

impl Case {
    /// The timeline as text.
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// The case of a timeline's text, which states no expectations of its own here.
    pub fn of_text(text: &str, workers: usize, batch_events: u64, every_line: bool) -> Case {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let lines = lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
        let lines = lines.filter(|line: &Value| line.get("expect").is_none()).collect();
        Case { processes: 1, workers, batch_events, scan_slice_users: 1, every_line, lines }
    }

    /// The timeline with what the oracle expects behind every line that changes something.
    pub fn with_expectations(&self, about: &str) -> String {
        let mut oracle = OracleSubject::default();
        let mut text = format!("{}\n", json!({ "case": about }));
        let mut last: Option<Value> = None;
        for line in &self.lines {
            if line.get("case").is_some() {
                continue;
            }
            text += &format!("{line}\n");
            let Ok(parsed) = parse_timeline(&line.to_string()) else { continue };
            for (_, line) in &parsed {
                if !matches!(line, Line::Expect(_) | Line::Refused { .. }) {
                    let _ = step(&mut oracle, line);
                }
            }
            let ids: Vec<String> = oracle.world.catalogue.segments.keys().map(|id| id.to_string()).collect();
            let expected: Map<String, Value> =
                ids.into_iter().map(|id| (id.clone(), json!(oracle.members(&id)))).collect();
            let expected = json!({ "expect": expected });
            if last.as_ref() != Some(&expected) && !oracle.world.catalogue.segments.is_empty() {
                text += &format!("{expected}\n");
                last = Some(expected);
            }
        }
        text
    }

    /// Writes the case down among the regressions; gives the path.
    pub fn write_regression(&self, about: &str) -> PathBuf {
        let text = self.with_expectations(about);
        let hash = xxhash_rust::xxh3::xxh3_64(self.text().as_bytes());
        let path = folder("regressions").join(format!("{hash:016x}.ndjson"));
        std::fs::create_dir_all(folder("regressions")).expect("the folder of regressions");
        std::fs::write(&path, text).expect("the regression is written");
        path
    }
}

/// A folder of timelines.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Every timeline of a folder: its path and text, in order.
pub fn timelines(name: &str) -> Vec<(PathBuf, String)> {
    let Ok(entries) = std::fs::read_dir(folder(name)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "ndjson"));
    paths.sort_unstable();
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(&path).expect("text"))).collect()
}

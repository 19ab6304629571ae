//! The hand-written timelines, and random ones that once failed: what they expect, against the oracle and the engine, and
//! the changes that the engine gives out on the way.
#![allow(missing_docs)]

use std::path::Path;

use audience_engine::engine::EngineOptions;
use audience_engine::replay::logical::LogicalEngine;
use audience_engine::replay::timeline::EngineSubject;
use audience_rules::timeline::{OracleSubject, parse_timeline, run};
use audience_tests::case::{Case, timelines};
use audience_tests::check::check;

fn expectations_come_true(path: &Path, text: &str) {
    let lines = parse_timeline(text).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
    let outcome = run(&lines, &mut OracleSubject::default());
    assert_eq!(outcome.failures, [], "the oracle on {}", path.display());
    for workers in [1, 3] {
        let options = EngineOptions { workers, scan_slice_users: 1, ..EngineOptions::default() };
        let engine = LogicalEngine::start(options, 50, |_, _| {}, Box::new(|_| Ok(())), None).expect("an engine");
        let mut subject = EngineSubject::new(engine);
        let outcome = run(&lines, &mut subject);
        assert_eq!(outcome.failures, [], "{workers} workers on {}: {:?}", path.display(), subject.failure);
    }
}

fn changes_are_right(path: &Path, text: &str) {
    for (workers, batch_events, every_line) in [(1, 1, true), (3, 1, true), (2, 50, false), (4, 7, false)] {
        let case = Case::of_text(text, workers, batch_events, every_line);
        if let Err(wrong) = check(&case) {
            panic!("{}, on {workers} workers: line {}: {}", path.display(), wrong.line, wrong.message);
        }
    }
}

#[test]
fn hand_written() {
    let all = timelines("timelines");
    assert!(all.len() >= 14, "only {} timelines", all.len());
    for (path, text) in timelines("conformance").iter().chain(&all) {
        expectations_come_true(path, text);
        changes_are_right(path, text);
    }
}

#[test]
fn what_once_failed() {
    for (path, text) in timelines("regressions") {
        expectations_come_true(&path, &text);
        changes_are_right(&path, &text);
    }
}

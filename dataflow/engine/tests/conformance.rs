//! Every conformance timeline against the engine, over several worker counts.
#![allow(missing_docs)]

use audience_engine::engine::EngineOptions;
use audience_engine::replay::logical::LogicalEngine;
use audience_engine::replay::timeline::EngineSubject;
use audience_rules::timeline::{parse_timeline, run};

fn run_all(workers: usize, batch_events: u64, scan_slice_users: u32) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/conformance");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the conformance timelines") {
        let path = entry.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let lines = parse_timeline(&text).expect("a timeline");
        let options = EngineOptions { workers, scan_slice_users, ..EngineOptions::default() };
        let engine =
            LogicalEngine::start(options, batch_events, |_, _| {}, Box::new(|_| Ok(())), None).expect("an engine");
        let mut subject = EngineSubject::new(engine);
        let outcome = run(&lines, &mut subject);
        assert!(subject.failure.is_none(), "{path:?}: {:?}", subject.failure);
        assert_eq!(outcome.failures, [], "{path:?} on {workers} workers");
        subject.engine.stop();
        count += 1;
    }
    assert!(count >= 34, "only {count} timelines");
}

#[test]
fn one_worker() {
    run_all(1, 1000, 1024);
}

#[test]
fn three_workers_event_by_event() {
    run_all(3, 1, 1);
}

//! The running platform, stopped and started from an older checkpoint: what lies between must count just once.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use audience_dataflow::service::Service;
use audience_tests::platform::{create_rule, members, send, start, stores};
use audience_tests::serve::{pause, wall_clock};
use serde_json::json;

/// Stops, which takes a checkpoint, and deletes that one: the next start has only those before it.
fn stop_without_last_checkpoint(service: Arc<Service>, data: &Path) {
    service.stop();
    drop(service);
    let found = fs::read_dir(data.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path());
    fs::remove_dir_all(found.max().unwrap()).unwrap();
}

/// An event dated after now stands in the checkpoint as one that waits. It has happened when a rule brings a measure that
/// the checkpoint lacks: history brings the event to that measure, and nothing else may.
#[test]
fn what_waited_in_a_checkpoint_counts_once_for_a_measure_that_is_newer() {
    let directory = tempfile::tempdir().unwrap();
    let service = start(stores(directory.path()), 2);
    send(&service, [json!({"userId": "u", "eventType": "buy", "timestamp": wall_clock() + 1_000})]);
    pause(300);
    service.checkpoint().unwrap();
    pause(1_500);
    create_rule(&service, "once", &json!({"event": "buy"}));
    create_rule(&service, "twice", &json!({"event": "buy", "operator": "gte", "value": 2}));
    assert_eq!((members(&service, "once"), members(&service, "twice")), (vec!["u".to_owned()], vec![]));
    stop_without_last_checkpoint(service, directory.path());
    let service = start(stores(directory.path()), 2);
    assert_eq!((members(&service, "once"), members(&service, "twice")), (vec!["u".to_owned()], vec![]));
    service.stop();
}

//! The running platform, stopped and started from an older checkpoint: what lies between must count just once.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use audience_dataflow::engine::EngineOptions;
use audience_dataflow::service::{PlatformStores, Service, ServiceOptions};
use audience_embedded::{Options, Stores};
use audience_protocol::{Platform, SegmentInput};
use audience_rules::event::{EventDecoder, EventDefaults};
use audience_tests::serve::{pause, wall_clock};
use serde_json::{Value, json};

fn start(data: &Path) -> Arc<Service> {
    let stores = Stores::open(data, &Options { cache_bytes: 4 << 20, ..Options::default() }).unwrap();
    let stores = PlatformStores {
        events: stores.events(),
        messages: stores.messages(),
        changes: stores.changes(),
        catalogue: stores.catalogue(),
        checkpoints: stores.checkpoints(),
    };
    let engine = EngineOptions { workers: 2, ..EngineOptions::default() };
    Service::start(stores, ServiceOptions { engine, checkpoint_interval: Duration::from_secs(3600) }).unwrap()
}

fn send(service: &Service, event: &Value) {
    let mut record = Vec::new();
    let defaults = EventDefaults { accepted_at: wall_clock() };
    EventDecoder::new().decode(event.to_string().as_bytes(), &defaults, &mut record).unwrap();
    service.ingest(record, 1).unwrap();
}

fn create(service: &Service, id: &str, rules: &Value) {
    let input: SegmentInput = serde_json::from_value(json!({"id": id, "name": id, "rules": rules})).unwrap();
    service.create_segment(input, "test").unwrap();
}

fn members(service: &Service, id: &str) -> Vec<String> {
    service.members(id, None, 100).unwrap().items
}

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
    let service = start(directory.path());
    send(&service, &json!({"userId": "u", "eventType": "buy", "timestamp": wall_clock() + 1_000}));
    pause(300);
    service.checkpoint().unwrap();
    pause(1_500);
    create(&service, "once", &json!({"event": "buy"}));
    create(&service, "twice", &json!({"event": "buy", "operator": "gte", "value": 2}));
    assert_eq!((members(&service, "once"), members(&service, "twice")), (vec!["u".to_owned()], vec![]));
    stop_without_last_checkpoint(service, directory.path());
    let service = start(directory.path());
    assert_eq!((members(&service, "once"), members(&service, "twice")), (vec!["u".to_owned()], vec![]));
    service.stop();
}

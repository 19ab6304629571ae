//! The catalogue changed by another process: what is good takes effect, what is faulty does not, and a start says the same.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use audience_contract::{CatalogueStore, Document, DocumentKind};
use audience_embedded::{Options, Stores};
use audience_engine::engine::EngineOptions;
use audience_engine::service::{PlatformStores, Service, ServiceOptions};
use audience_engine::standby::Pairing;
use audience_protocol::{PageLimit, SegmentInput};
use audience_rules::event::{EventDecoder, EventDefaults};
use audience_tests::serve::{pause, wall_clock};
use serde_json::{Value, json};

fn start(data: &Path) -> (Arc<Service>, Arc<dyn CatalogueStore>) {
    let stores = Stores::open(data, &Options { cache_bytes: 4 << 20, ..Options::default() }).unwrap();
    let catalogue = stores.catalogue();
    let stores = PlatformStores {
        events: stores.events(),
        messages: stores.messages(),
        notes: stores.notes(),
        changes: stores.changes(),
        catalogue: catalogue.clone(),
        checkpoints: stores.checkpoints(),
    };
    let options = ServiceOptions {
        engine: EngineOptions::default(),
        cluster: None,
        checkpoint_interval: Duration::from_secs(3600),
        start: Arc::default(),
        placeholders: Arc::default(),
        offsite: None,
        pairing: Pairing::default(),
    };
    (Service::start(stores, &options).unwrap(), catalogue)
}

/// Puts a segment as another process would: beside the service.
fn put_elsewhere(catalogue: &dyn CatalogueStore, id: &str, version: u64, rules: &Value) {
    let document = json!({"id": id, "name": id, "type": "DYNAMIC", "status": "ACTIVE", "rules": rules, "version": version,
        "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z"});
    let body = json!({"document": document, "author": "someone"}).to_string();
    let expected = catalogue.version().unwrap();
    let (kind, catalogue_version) = (DocumentKind::Segment, expected + 1);
    let document = Document { kind, id: id.to_owned(), catalogue_version, body: Some(body) };
    assert!(catalogue.put(expected, &[document]).unwrap());
}

fn send(service: &Service, user: &str, event_type: &str) {
    let mut record = Vec::new();
    let event = json!({"userId": user, "eventType": event_type}).to_string();
    let defaults = EventDefaults { accepted_at: wall_clock() };
    EventDecoder::new().decode(event.as_bytes(), &defaults, &mut record).unwrap();
    service.platform().events.ingest(record, 1).unwrap();
}

fn members(service: &Service, id: &str) -> Vec<String> {
    service.platform().segments.members(id, None, PageLimit::default()).map(|page| page.items).unwrap_or_default()
}

/// Waits for something to hold.
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        pause(20);
    }
    panic!("in vain: {what}");
}

#[test]
fn what_another_process_puts_takes_effect_unless_it_is_faulty() {
    let directory = tempfile::tempdir().unwrap();
    let (service, catalogue) = start(directory.path());
    send(&service, "u", "buy");
    send(&service, "v", "see");
    put_elsewhere(&*catalogue, "s", 1, &json!({"event": "buy"}));
    wait_for("the segment of another process", || members(&service, "s") == ["u"]);

    put_elsewhere(&*catalogue, "s", 2, &json!({"event": "buy", "operator": "no"}));
    wait_for("its fault", || !service.platform().catalogue.faulty_documents().unwrap().is_empty());
    let shown = service.platform().segments.segment("s").unwrap();
    assert_eq!((shown.document.version, &*shown.faults[0].pointer), (1, "/rules/operator"));
    assert!(service.platform().operations.metrics().contains("\naudience_catalogue_faulty_documents 1\n"));
    send(&service, "w", "buy");
    wait_for("the version before runs on", || members(&service, "s") == ["u", "w"]);

    let input: SegmentInput = serde_json::from_value(json!({"name": "t", "rules": {"event": "see"}})).unwrap();
    service.platform().segments.create_segment(input, "me").unwrap();
    assert_eq!(members(&service, "t"), ["v"], "edits go on beside it");
    assert_eq!(service.platform().catalogue.faulty_documents().unwrap().len(), 1);

    service.stop();
    drop((service, catalogue));
    let (service, catalogue) = start(directory.path());
    assert_eq!(
        (members(&service, "s"), members(&service, "t")),
        (vec!["u".to_owned(), "w".to_owned()], vec!["v".to_owned()])
    );
    assert_eq!(service.platform().catalogue.faulty_documents().unwrap().len(), 1, "a start comes to the same");

    put_elsewhere(&*catalogue, "s", 3, &json!({"event": "see"}));
    wait_for("the version that is good again", || members(&service, "s") == ["v"]);
    assert!(service.platform().catalogue.faulty_documents().unwrap().is_empty());
    service.stop();
}

#[test]
fn an_edit_that_was_overtaken_changes_nothing_and_can_be_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let (service, catalogue) = start(directory.path());
    // Faster than the service looks; it may all the same, and then the edit is just an edit.
    for round in 1..=20_u64 {
        put_elsewhere(&*catalogue, "theirs", round, &json!({"event": "see", "operator": "gte", "value": round}));
        let id = format!("mine-{round}");
        let create = || {
            let input = json!({"id": id, "name": "mine", "rules": {"event": "buy"}});
            service.platform().segments.create_segment(serde_json::from_value(input).unwrap(), "me")
        };
        if create().is_err() {
            assert!(service.platform().segments.segment(&id).is_err(), "what was refused is not there");
            create().unwrap();
        }
        assert_eq!(service.platform().segments.segment("theirs").unwrap().document.version, round);
    }
    service.stop();
}

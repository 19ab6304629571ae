//! A start where the clock of the run before was ahead. By itself in a process: time never goes back in one.

use audience_rules::event::{EventDecoder, EventDefaults};
use audience_tests::platform::{create_rule, members, start, stores};
use audience_tests::serve::wall_clock;
use serde_json::json;

/// A host whose clock is behind that of the run before: time goes on from where it stood, so what was accepted then is not
/// kept waiting, where a checkpoint would pass it over.
#[test]
fn what_was_accepted_by_a_clock_that_was_ahead_counts_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let service = start(stores(directory.path()), 2);
    create_rule(&service, "once", &json!({"event": "buy"}));
    service.stop();
    drop(service);
    let ahead = wall_clock() + 3_600_000;
    let mut records = Vec::new();
    let defaults = EventDefaults { accepted_at: ahead };
    EventDecoder::new().decode(br#"{"userId": "u", "eventType": "buy"}"#, &defaults, &mut records).unwrap();
    stores(directory.path()).events.append(&mut records).unwrap();
    for _ in 0..2 {
        let service = start(stores(directory.path()), 2);
        assert_eq!(members(&service, "once"), ["u"]);
        service.stop();
    }
    assert!(stores(directory.path()).changes.progress().unwrap().unwrap().clock >= ahead);
}

//! The running platform decides who is who, over restarts and several workers: people who share a device stay apart.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::path::Path;
use std::sync::Arc;

use audience_engine::service::Service;
use audience_tests::platform::{create_rule, members, send, start, stores, wait_until};
use serde_json::json;

fn wait_for(service: &Service, segment: &str, expected: &[&str]) {
    wait_until(segment, || members(service, segment) == expected);
}

fn identify(service: &Service, device: &str, user: &str) {
    send(service, [json!({"userId": user, "anonymousId": device, "eventType": "identify"})]);
}

fn begin(data: &Path) -> Arc<Service> {
    let service = start(stores(data), 3);
    create_rule(&service, "all", &json!({"event": "*"}));
    create_rule(&service, "viewers", &json!({"event": "view"}));
    send(&service, [json!({"anonymousId": "dev", "eventType": "view"})]);
    send(&service, [json!({"previousId": "old", "userId": "new", "eventType": "alias"})]);
    send(&service, [json!({"userId": "old", "eventType": "view"})]);
    identify(&service, "dev", "bea");
    wait_for(&service, "viewers", &["bea", "new"]);
    service
}

/// Nobody is merged who is named by any of their ids, whoever asks; what a device does stays with whom it was first joined to.
fn check_apart(service: &Service) {
    identify(service, "dev", "carl");
    identify(service, "new", "carl");
    identify(service, "old", "carl");
    // One user already: nothing is refused.
    identify(service, "dev", "bea");
    send(service, [json!({"anonymousId": "dev", "eventType": "view"})]);
    wait_for(service, "all", &["bea", "carl", "new"]);
    wait_for(service, "viewers", &["bea", "new"]);
    let metrics = || service.platform().operations.metrics();
    wait_until("the refusals are counted", || metrics().contains("audience_identifies_refused_total 3\n"));
    let carl = service.platform().users.user("carl").unwrap();
    assert_eq!((carl.aliases, carl.event_count % 3), (vec![], 0));
    assert_eq!(service.platform().users.user("bea").unwrap().aliases, ["dev"]);
}

#[test]
fn two_people_on_one_device_stay_two_over_restarts() {
    for is_captured in [true, false] {
        let data = tempfile::tempdir().unwrap();
        let service = begin(data.path());
        if is_captured {
            service.checkpoint().unwrap();
        }
        service.stop();
        drop(service);
        for _ in 0..2 {
            // Of what a start repeats nothing is counted again.
            let service = start(stores(data.path()), 2);
            check_apart(&service);
            service.stop();
        }
    }
}

#[test]
fn what_others_did_on_the_device_of_an_erased_user_stays() {
    let data = tempfile::tempdir().unwrap();
    let service = begin(data.path());
    check_apart(&service);
    service.platform().users.erase_user("bea", "test").unwrap();
    wait_for(&service, "all", &["carl", "new"]);
    (0..2).for_each(|_| service.checkpoint().unwrap());
    create_rule(&service, "identified", &json!({"event": "identify", "operator": "eq", "value": 3}));
    wait_for(&service, "identified", &["carl"]);
    // The device is nobody's again.
    identify(&service, "dev", "dora");
    wait_until("a merge", || service.platform().users.user("dora").is_ok_and(|dora| dora.aliases == ["dev"]));
    service.stop();
}

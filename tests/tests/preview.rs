//! Previews of the running platform, beside edits and events: what they count is what is saved then.
#![allow(missing_docs, reason = "a test has no interface")]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use audience_engine::service::Service;
use audience_protocol::{PlatformError, Preview, PreviewInput, TraitInput};
use audience_tests::platform::{create_rule, members, send, start, stores, wait_until};
use serde_json::value::RawValue;
use serde_json::{Value, json};

fn preview(service: &Service, id: &str, rules: &Value) -> Result<Preview, PlatformError> {
    let input: PreviewInput = serde_json::from_value(json!({"id": id, "rules": rules, "sampleSize": 100})).unwrap();
    service.platform().segments.preview(input, &mut |_| true)
}

/// The buyers of a product, at least so often.
fn buyers(product: u64, times: u64) -> Value {
    json!({"event": "purchase", "where": {"field": "product", "operator": "eq", "value": product},
        "operator": "gte", "value": times})
}

fn purchases(users: u64) -> impl Iterator<Item = Value> {
    (0..users).flat_map(|user| {
        (0..user % 5).map(move |product| {
            json!({"userId": format!("u{user}"), "eventType": "purchase", "properties": {"product": product}})
        })
    })
}

/// Waits until the engine has all purchases. A user's page is of no use here: it is read from the log, which may be ahead.
fn wait_for_purchases(service: &Service, users: u64) {
    let four = json!({"event": "purchase", "operator": "gte", "value": 4});
    wait_until("they count", || preview(service, "four", &four).unwrap().size == users / 5);
}

#[test]
fn what_a_preview_counts_is_what_is_saved_then() {
    let data = tempfile::tempdir().unwrap();
    let service = start(stores(data.path()), 2);
    send(&service, purchases(500));
    wait_for_purchases(&service, 500);
    create_rule(&service, "s", &buyers(3, 1));
    let before: BTreeSet<String> = members(&service, "s").into_iter().collect();
    let rules = json!({"conditions": [buyers(1, 1), {"field": "country", "operator": "ne", "value": "DE"}]});
    let preview = preview(&service, "s", &rules).unwrap();
    let input = serde_json::from_value(json!({"name": "s", "rules": rules})).unwrap();
    service.platform().segments.replace_segment("s", input, None, "test").unwrap();
    let behind: BTreeSet<String> = members(&service, "s").into_iter().collect();
    assert_eq!((preview.size, preview.users), (behind.len() as u64, 400));
    assert_eq!(preview.entered, behind.difference(&before).count() as u64);
    assert_eq!((preview.left, preview.running_version), (before.difference(&behind).count() as u64, Some(1)));
    assert!(preview.sample_entered.iter().all(|user| behind.contains(user) && !before.contains(user)));
    assert_eq!(preview.sample_entered.len(), 100);
    assert_eq!(preview.missing_only.size, preview.size, "of nobody is a country known");
    assert!(preview.history_scanned);
    service.stop();
}

#[test]
fn faults_are_told_with_their_place() {
    let data = tempfile::tempdir().unwrap();
    let service = start(stores(data.path()), 1);
    let faulty = preview(&service, "s", &json!({"event": "a", "operator": "gt"}));
    let Err(PlatformError::Invalid(faults)) = faulty else { panic!("{faulty:?}") };
    assert_eq!(faults[0].pointer, "/rules");
    let itself = preview(&service, "s", &json!({"segment": "s"}));
    assert!(matches!(itself, Err(PlatformError::Invalid(_))), "{itself:?}");
    service
        .platform()
        .segments
        .create_segment(serde_json::from_value(json!({"id": "l", "name": "l", "members": ["a"]})).unwrap(), "t")
        .unwrap();
    let list = preview(&service, "l", &json!({"event": "a"}));
    let Err(PlatformError::Invalid(faults)) = list else { panic!("{list:?}") };
    assert_eq!(faults[0].pointer, "/id");
    service.stop();
}

#[test]
fn what_was_never_seen_is_warned_of_and_nothing_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let service = start(stores(data.path()), 1);
    let rules = json!({"event": "purchse", "where": {"field": "product", "operator": "eq", "value": 1}});
    assert_eq!(preview(&service, "s", &rules).unwrap().warnings, [], "an empty platform knows no better");
    send(&service, purchases(10));
    wait_until("they are looked at", || !service.platform().events.schema().unwrap().events.is_empty());
    let warnings = preview(&service, "s", &rules).unwrap().warnings;
    let told: Vec<_> = warnings.iter().map(|fault| (fault.pointer.as_str(), fault.message.as_str())).collect();
    let expected = [("/rules/event", "no event `purchse` has been seen; did you mean `purchase`?")];
    assert_eq!(told, expected);
    let input = |rules: &Value| serde_json::from_value(json!({"id": "s", "name": "s", "rules": rules})).unwrap();
    assert_eq!(service.platform().segments.create_segment(input(&rules), "test").unwrap().warnings, warnings);
    let edited = service.platform().segments.replace_segment("s", input(&buyers(1, 1)), None, "test").unwrap();
    assert_eq!((edited.warnings, edited.used_by), (Vec::new(), Some(Vec::new())));
    let definition = json!({"name": "t", "event": "purchase", "measure": {"fn": "sum", "of": "prodct"}}).to_string();
    let input = TraitInput { definition: RawValue::from_string(definition).unwrap(), note: None };
    let warnings = service.platform().traits.put_trait(input, None, "test").unwrap().warnings;
    assert_eq!(warnings.iter().map(|fault| fault.pointer.as_str()).collect::<Vec<_>>(), ["/measure/of"]);
    service.stop();
}

#[test]
fn previews_edits_and_events_go_on_beside_each_other() {
    let data = tempfile::tempdir().unwrap();
    let service = start(stores(data.path()), 2);
    send(&service, purchases(200));
    wait_for_purchases(&service, 200);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (service, is_over) = (&service, &is_over);
            scope.spawn(move || {
                let mut round = 0;
                while !is_over.load(Ordering::Relaxed) {
                    round += 1;
                    // What nobody asked for before: history is scanned, and an edit may come between.
                    let preview = preview(service, "new", &buyers((thread + round) % 5, 1 + round % 2)).unwrap();
                    assert!(preview.users >= 160 && preview.size <= preview.users);
                }
            });
        }
        for edit in 0..30 {
            create_rule(&service, &format!("s{edit}"), &buyers(edit % 5, 1 + edit % 3));
            send(&service, [json!({"userId": "u1", "eventType": "purchase", "properties": {"product": edit % 5}})]);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    for edit in 0..30 {
        let rules = buyers(edit % 5, 1 + edit % 3);
        let id = format!("s{edit}");
        let preview = preview(&service, &id, &rules).unwrap();
        assert_eq!((preview.entered, preview.left), (0, 0), "{id} is what it was made of");
        assert_eq!(preview.size, members(&service, &id).len() as u64);
    }
    service.stop();
    let late = preview(&service, "new", &buyers(1, 1));
    assert!(matches!(late, Err(PlatformError::Unavailable(_))), "{late:?}");
}

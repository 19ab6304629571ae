//! Checks of [`WebhookStore`].

use std::sync::Arc;

use crate::{KEPT_ATTEMPTS, WebhookStore};

/// Every sentence of [`WebhookStore`]. `same` says whether two texts in JSON say the same.
pub fn webhook_store(open: &mut dyn FnMut() -> Arc<dyn WebhookStore>, same: &dyn Fn(&str, &str) -> bool) {
    let store = open();
    assert_eq!(store.all().expect("all"), []);
    assert_eq!(store.attempts("none").expect("attempts"), [""; 0]);
    store.delete("none").expect("what is not there is deleted");
    let long = "z".repeat(256);
    let large = format!(r#"{{"text": "{}"}}"#, "a".repeat((1 << 20) - 20));
    let first = r#"{"url": "https://example.org/👩", "more": [1, 2.50, null], "a": {"b": true}}"#;
    store.put("b", first, None).expect("put");
    store.put(&long, &large, Some(r#"{"n": 0}"#)).expect("put");
    store.put("a", "{}", Some(r#"{"n": 0}"#)).expect("put");
    let kept = |store: &dyn WebhookStore, expected: &[(&str, &str)]| {
        let all = store.all().expect("all");
        assert_eq!(all.len(), expected.len());
        for ((id, webhook), (expected_id, expected)) in all.iter().zip(expected) {
            assert_eq!(id, expected_id, "by id");
            assert!(same(webhook, expected), "{id}: {webhook:.200}");
        }
    };
    kept(&*store, &[("a", "{}"), ("b", first), (&long, &large)]);
    drop(store);
    let store = open();
    kept(&*store, &[("a", "{}"), ("b", first), (&long, &large)]);
    let attempt = |number: usize| format!(r#"{{"n": {number}}}"#);
    for number in 0..KEPT_ATTEMPTS + 5 {
        store.put("b", r#"{"second": 1}"#, Some(&attempt(number))).expect("put");
    }
    store.put("b", r#"{"third": 1}"#, None).expect("put");
    drop(store);
    let store = open();
    kept(&*store, &[("a", "{}"), ("b", r#"{"third": 1}"#), (&long, &large)]);
    let attempts = store.attempts("b").expect("attempts");
    assert_eq!(attempts.len(), KEPT_ATTEMPTS);
    let newest_first = (5..KEPT_ATTEMPTS + 5).rev().map(attempt);
    assert!(attempts.iter().zip(newest_first).all(|(found, expected)| same(found, &expected)), "{attempts:?}");
    assert_eq!(store.attempts("a").expect("attempts").len(), 1, "those of another stay");
    store.delete("b").expect("delete");
    store.delete(&long).expect("delete");
    drop(store);
    let store = open();
    kept(&*store, &[("a", "{}")]);
    assert_eq!(store.attempts("b").expect("attempts"), [""; 0]);
    store.put("b", "{}", Some(&attempt(7))).expect("put");
    assert_eq!(store.attempts("b").expect("attempts").len(), 1, "of one that is made anew only the new ones");
}

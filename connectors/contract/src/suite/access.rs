//! Checks of [`AccessStore`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{AccessChange, AccessDocument, AccessStore, Result};

/// Documents by kind and id.
type DocumentTexts = BTreeMap<(String, String), String>;

/// A store in memory for tests, which several doors share as processes share a server.
#[derive(Default)]
pub struct MemoryAccessStore(Mutex<(u64, DocumentTexts)>);

impl MemoryAccessStore {
    /// Everything that is stored, as text.
    pub fn text(&self) -> String {
        format!("{:?}", self.0.lock().unwrap_or_else(PoisonError::into_inner).1)
    }
}

impl AccessStore for MemoryAccessStore {
    fn revision(&self) -> Result<u64> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    fn all(&self) -> Result<(u64, Vec<AccessDocument>)> {
        let stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let document = |((kind, id), body): (&(String, String), &String)| AccessDocument {
            kind: kind.clone(),
            id: id.clone(),
            body: body.clone(),
        };
        Ok((stored.0, stored.1.iter().map(document).collect()))
    }

    fn put(&self, expected: u64, changes: &[AccessChange]) -> Result<bool> {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stored.0 != expected {
            return Ok(false);
        }
        for AccessChange { kind, id, body } in changes {
            let key = (kind.to_string(), id.clone());
            match body {
                Some(body) => drop(stored.1.insert(key, body.clone())),
                None => drop(stored.1.remove(&key)),
            }
        }
        stored.0 += 1;
        Ok(true)
    }
}

/// Every sentence of [`AccessStore`]. `same` says whether two texts in JSON say the same.
pub fn access_store(open: &mut dyn FnMut() -> Arc<dyn AccessStore>, same: &dyn Fn(&str, &str) -> bool) {
    let change = |kind: &'static str, id: &str, body: Option<&str>| AccessChange {
        kind: kind.into(),
        id: id.into(),
        body: body.map(str::to_owned),
    };
    let holds = |store: &dyn AccessStore, revision: u64, expected: &[(&str, &str, &str)]| {
        assert_eq!(store.revision().expect("revision"), revision);
        let (found, documents) = store.all().expect("all");
        assert_eq!((found, documents.len()), (revision, expected.len()), "{documents:.200?}");
        for (document, (kind, id, body)) in documents.iter().zip(expected) {
            assert_eq!((document.kind.as_str(), document.id.as_str()), (*kind, *id), "by kind and id");
            assert!(same(&document.body, body), "{:.200}", document.body);
        }
    };
    let store = open();
    holds(&*store, 0, &[]);
    let large = format!(r#"{{"text": "{}"}}"#, "a".repeat((64 << 10) - 20));
    let member = r#"{"email": "b@example.org", "roles": ["viewer"]}"#;
    let first = [
        change("member", "b_-9", Some(member)),
        change("key", "z", Some(&large)),
        change("member", "a", Some("{}")),
        change("member", "absent", None),
    ];
    assert!(store.put(0, &first).expect("put"));
    holds(&*store, 1, &[("key", "z", &large), ("member", "a", "{}"), ("member", "b_-9", member)]);
    drop(store);
    let store = open();
    assert!(!store.put(0, &[change("member", "late", Some("{}"))]).expect("put"), "another was faster");
    assert!(!store.put(2, &[change("member", "early", Some("{}"))]).expect("put"));
    let second = [change("key", "z", None), change("member", "a", Some(r#"{"n": 2}"#))];
    assert!(store.put(1, &second).expect("put"));
    drop(store);
    let store = open();
    holds(&*store, 2, &[("member", "a", r#"{"n": 2}"#), ("member", "b_-9", member)]);
    assert!(store.put(2, &[]).expect("put"), "no change is a revision too");
    holds(&*store, 3, &[("member", "a", r#"{"n": 2}"#), ("member", "b_-9", member)]);
    one_of_several_succeeds(&store);
}

fn one_of_several_succeeds(store: &Arc<dyn AccessStore>) {
    let put = |number: usize| {
        let change = AccessChange { kind: "session".into(), id: format!("s{number}"), body: Some("{}".into()) };
        store.put(3, &[change]).expect("put")
    };
    let succeeded = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|number| scope.spawn(move || put(number))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|done| *done).count()
    });
    let sessions = store.all().expect("all").1.into_iter().filter(|document| document.kind == "session").count();
    assert_eq!((succeeded, sessions, store.revision().expect("revision")), (1, 1, 4));
}

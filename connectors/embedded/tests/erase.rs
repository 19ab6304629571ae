//! Erased data is on the disk no more.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::path::Path;

use audience_contract::{Document, DocumentKind, suite};
use audience_embedded::{Options, Stores};
use audience_rules::record::records;

fn open(path: &Path) -> Stores {
    Stores::open(path, &Options { cache_bytes: 8 << 20, reserve_bytes: 0, ..Options::default() }).unwrap()
}

/// The files below a directory that have these bytes in them.
fn files_with(path: &Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else if fs::read(&path).unwrap().windows(needle.len()).any(|window| window == needle) {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Appends events of other users and, a few times, of one.
fn append_some(stores: &Stores, who: &str, rounds: u64) {
    for round in 0..rounds {
        let mut all = Vec::new();
        for event in 0..4_000 {
            suite::record(&format!("user-{event}"), "", &format!("{round}-{event}"), &mut all);
        }
        suite::record(who, "", &format!("{who}-message-{round}"), &mut all);
        stores.events().append(&mut all).unwrap();
    }
}

#[test]
fn nothing_of_an_erased_user_is_left_in_any_file() {
    const WHO: &str = "qqqzzzqqq@example.org";
    for is_opened_again in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let mut stores = open(directory.path());
        append_some(&stores, WHO, 30);
        assert!(!files_with(directory.path(), WHO.as_bytes()).is_empty(), "it is on the disk");
        let log = stores.events();
        let end = log.end();
        log.erase(&[(WHO.to_owned(), end)]).unwrap();
        assert_eq!(records(&log.of_users(&[WHO, "user-7"], end).unwrap()).count(), 30);
        drop(log);
        if is_opened_again {
            drop(stores);
            stores = open(directory.path());
        }
        stores.events().purge().unwrap();
        assert_eq!(files_with(directory.path(), WHO.as_bytes()), Vec::<String>::new());
        let log = stores.events();
        append_some(&stores, "another", 2);
        assert_eq!(records(&log.of_users(&["user-7", "another"], u64::MAX).unwrap()).count(), 34);
        drop((log, stores));
        let log = open(directory.path()).events();
        assert_eq!(log.end(), 32 * 4_001);
        assert_eq!(records(&log.of_users(&["user-7", "another"], u64::MAX).unwrap()).count(), 34);
    }
}

#[test]
fn nobody_of_a_replaced_list_is_left_in_any_file() {
    const WHO: &str = "qqqzzzqqq@example.org";
    let directory = tempfile::tempdir().unwrap();
    let stores = open(directory.path());
    let catalogue = stores.catalogue();
    let others: String = (0..9_000).map(|user| format!("user-{user},")).collect();
    let put = |version: u64, body: String| {
        let document =
            Document { kind: DocumentKind::Members, id: "l".into(), catalogue_version: version, body: Some(body) };
        assert!(catalogue.put(version - 1, &[document]).unwrap());
    };
    put(1, format!("{others}{WHO}"));
    put(2, others.clone());
    assert!(!files_with(directory.path(), WHO.as_bytes()).is_empty(), "it is on the disk");
    catalogue.forget_replaced_members(2).unwrap();
    catalogue.purge().unwrap();
    assert_eq!(files_with(directory.path(), WHO.as_bytes()), Vec::<String>::new());
    assert_eq!(catalogue.at(2).unwrap()[0].body, Some(others));
}

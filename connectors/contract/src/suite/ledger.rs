//! Checks of [`ChangeLog`] and [`CatalogueStore`].

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::{CatalogueStore, ChangeLog, Document, DocumentKind, Progress};

/// Every sentence of [`ChangeLog`].
pub fn change_log(open: &mut dyn FnMut() -> Arc<dyn ChangeLog>) {
    let log = open();
    assert_eq!(log.progress().expect("progress"), None);
    assert_eq!(changes(&*log, 0), []);
    let large = vec![7; 3 << 20];
    for (tick, bytes) in [(3, &b"three"[..]), (4, b""), (5, &large), (9, b"nine"), (11, b"")] {
        log.commit(progress(tick), bytes).expect("commit");
        assert_eq!(log.progress().expect("progress"), Some(progress(tick)));
    }
    assert!(log.commit(progress(9), b"again").is_err(), "a tick has its changes once");
    assert_eq!(log.progress().expect("progress"), Some(progress(11)), "an error changes nothing");
    let expected = [(3, b"three".to_vec()), (5, large), (9, b"nine".to_vec())];
    let check = |log: &dyn ChangeLog| {
        assert_eq!(log.progress().expect("progress"), Some(progress(11)));
        for (from, skipped) in [(0, 0), (3, 0), (4, 1), (5, 1), (6, 2), (9, 2), (10, 3), (u64::MAX, 3)] {
            assert_eq!(changes(log, from), expected[skipped..], "from {from}");
        }
        let mut visits = 0;
        let stopped = log.read(0, &mut |_, _| {
            visits += 1;
            ControlFlow::Break(())
        });
        assert!(stopped.is_ok() && visits == 1, "a visit can stop the reading");
    };
    check(&*log);
    drop(log);
    let log = open();
    check(&*log);
    forgets(&*log, &expected[1..]);
    drop(log);
    let log = open();
    assert_eq!(changes(&*log, 0), [(12, b"twelve".to_vec())]);
    assert_eq!(log.progress().expect("progress"), Some(progress(12)));
}

fn forgets(log: &dyn ChangeLog, kept: &[(u64, Vec<u8>)]) {
    log.forget(5).expect("forget");
    assert_eq!(changes(log, 0), kept, "ticks from the given one on stay");
    log.forget(2).expect("forget");
    assert_eq!(changes(log, 0), kept, "forgetting less changes nothing");
    assert_eq!(log.floor().expect("floor"), 5);
    log.forget(10).expect("forget");
    assert_eq!(changes(log, 0), []);
    assert_eq!(log.progress().expect("progress"), Some(progress(11)), "progress is not forgotten");
    log.commit(progress(12), b"twelve").expect("commit");
    assert_eq!(changes(log, 0), [(12, b"twelve".to_vec())]);
}

fn progress(tick: u64) -> Progress {
    Progress { tick, clock: -5 * tick as i64, sequence: tick * 100, catalogue_version: tick / 2 }
}

fn changes(log: &dyn ChangeLog, from: u64) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    let read = log.read(from, &mut |tick, bytes| {
        found.push((tick, bytes.to_vec()));
        ControlFlow::Continue(())
    });
    read.expect("read");
    found
}

/// Every sentence of [`CatalogueStore`].
pub fn catalogue_store(open: &mut dyn FnMut() -> Arc<dyn CatalogueStore>) {
    use DocumentKind::{Members, Segment, Trait};
    let store = open();
    assert_eq!(store.version().expect("version"), 0, "0 is empty");
    assert_eq!(store.at(0).expect("at"), []);
    assert_eq!(store.history(Segment, "a").expect("history"), []);
    let members = "id\n".repeat(400_000);
    let versions = [
        vec![document(Segment, "a", 1, Some("a1")), document(Trait, "a", 1, Some("trait a1"))],
        vec![document(Members, "a\0b", 2, Some(&members)), document(Segment, "", 2, Some(""))],
        vec![document(Segment, "a", 3, None), document(Segment, "ab", 3, Some("ab3"))],
        vec![],
        vec![document(Segment, "a", 5, Some("a5")), document(Members, "a\0b", 5, None)],
    ];
    for (version, documents) in (0..).zip(&versions) {
        assert!(store.put(version, documents).expect("put"));
        assert_eq!(store.version().expect("version"), version + 1);
    }
    assert!(!store.put(4, &[document(Segment, "c", 5, Some("late"))]).expect("put"), "someone was faster");
    assert!(!store.put(6, &[document(Segment, "c", 7, Some("early"))]).expect("put"));
    assert!(store.put(5, &[document(Segment, "c", 9, Some("wrong"))]).is_err(), "the version is the next one");
    let check = |store: &dyn CatalogueStore| {
        assert_eq!(store.version().expect("version"), 5);
        for version in 0..8 {
            assert_eq!(sorted(store.at(version).expect("at")), as_of(&versions, version), "at {version}");
        }
        for (kind, id) in [(Segment, "a"), (Trait, "a"), (Members, "a\0b"), (Segment, ""), (Segment, "nothing")] {
            let all = versions.iter().flatten();
            let expected: Vec<_> = all.filter(|one| one.kind == kind && one.id == id).cloned().collect();
            assert_eq!(store.history(kind, id).expect("history"), expected, "history of {kind:?} {id:?}");
        }
    };
    check(&*store);
    drop(store);
    check(&*open());
    forgets_members(open);
}

/// Forgets lists of members as of the versions of the catalogue that bring them, from 6 on.
fn forgets_members(open: &mut dyn FnMut() -> Arc<dyn CatalogueStore>) {
    use DocumentKind::{Members, Segment};
    let bodies = [Some("ann bob"), Some("ann"), None, Some("ann eve"), Some("eve")];
    let store = open();
    let at = |store: &dyn CatalogueStore, version: u64| {
        let found = store.at(version).expect("at").into_iter().find(|one| one.kind == Members && one.id == "list");
        found.and_then(|one| one.body)
    };
    for (version, body) in (6..).zip(bodies) {
        let documents = [document(Members, "list", version, body), document(Segment, "list", version, body)];
        assert!(store.put(version - 1, &documents).expect("put"));
    }
    let mut expected = bodies.map(|body| body.map(str::to_owned));
    let check = |store: &dyn CatalogueStore, expected: &[Option<String>]| {
        for (version, (list, all)) in (6..).zip(expected.iter().zip(bodies)) {
            assert_eq!(at(store, version), *list, "the list at {version}");
            assert!(store.history(Segment, "list").expect("history").iter().any(|one| one.body.as_deref() == all));
        }
        let left = store.history(Members, "list").expect("history").into_iter().filter_map(|one| one.body);
        assert!(left.eq(expected.iter().flatten().cloned()), "the lists that are left");
    };
    check(&*store, &expected);
    for (version, gone) in [(6, 0..0), (7, 0..1), (9, 1..2), (100, 3..4)] {
        store.forget_replaced_members(version).expect("forget");
        expected[gone].fill(None);
        check(&*store, &expected);
        store.forget_replaced_members(version).expect("forget again");
    }
    let before = store.at(10).expect("at");
    drop(store);
    let store = open();
    check(&*store, &expected);
    store.purge().expect("purge");
    assert!(!store.purge().expect("purge"), "a purge leaves nothing to be purged");
    check(&*store, &expected);
    assert_eq!((store.version().expect("version"), store.at(10).expect("at")), (10, before));
}

fn document(kind: DocumentKind, id: &str, catalogue_version: u64, body: Option<&str>) -> Document {
    Document { kind, id: id.to_owned(), catalogue_version, body: body.map(str::to_owned) }
}

fn as_of(versions: &[Vec<Document>], version: u64) -> Vec<Document> {
    let mut newest = std::collections::BTreeMap::new();
    for one in versions.iter().flatten().filter(|one| one.catalogue_version <= version) {
        newest.insert((one.kind, one.id.clone()), one.clone());
    }
    newest.into_values().filter(|one| one.body.is_some()).collect()
}

fn sorted(mut documents: Vec<Document>) -> Vec<Document> {
    documents.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
    documents
}

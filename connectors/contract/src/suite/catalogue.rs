//! Checks of [`CatalogueStore`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use audience_rules::json::parse_json;
use audience_rules::value::Value;

use crate::DocumentKind::{Members, Segment, Setting, Trait};
use crate::{CatalogueStore, Document, DocumentKind, StoreError};

/// Ids that a careless store would mix up or break on.
const ODD_IDS: [&str; 6] = ["o'Brien \"x\"; --", "a\\b%_{}", "👩‍👩‍👧 naïve ÅÅ", "A", " a ", "a\tb\n\u{1}"];

/// Every sentence of [`CatalogueStore`].
pub fn catalogue_store(open: &mut dyn FnMut() -> Arc<dyn CatalogueStore>) {
    let store = open();
    assert_eq!(store.version().expect("version"), 0, "0 is empty");
    assert_eq!(store.at(0).expect("at"), []);
    assert_eq!(store.history(Segment, "a").expect("history"), []);
    let versions = versions();
    for (version, documents) in (0..).zip(&versions) {
        assert!(store.put(version, documents).expect("put"));
        assert_eq!(store.version().expect("version"), version + 1);
    }
    let newest = versions.len() as u64;
    refuses(&*store, newest);
    check(&*store, &versions);
    assert_eq!(store.fault(), None);
    drop(store);
    let store = open();
    check(&*store, &versions);
    let taken = nul(&*store, newest);
    one_of_several_wins(&store, newest + taken);
    change_ends_a_wait(&store, newest + taken + 1);
    drop(store);
    forgets_members(open, newest + taken + 2);
    raises(&*open());
}

/// A catalogue that is copied gives every version of every document after one of its own.
pub fn copied_catalogue(open: &mut dyn FnMut() -> Arc<dyn CatalogueStore>) {
    let store = open();
    let versions = versions();
    for (version, documents) in (0..).zip(&versions) {
        assert!(store.put(version, documents).expect("put"));
    }
    let place = |document: &Document| (document.catalogue_version, document.id.clone(), document.body.is_some());
    for version in [0, 1, versions.len() as u64 - 1, versions.len() as u64] {
        let mut found: Vec<_> = store.changed_after(version).expect("changed").iter().map(place).collect();
        let mut expected: Vec<_> = versions.iter().skip(version as usize).flatten().map(place).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "after {version}");
    }
}

/// A raised version has the documents of before, and numbers up to it are not given out again.
fn raises(store: &dyn CatalogueStore) {
    let before = store.version().expect("version");
    let (documents, mark) = (store.at(before).expect("at"), store.mark(before).expect("mark"));
    let raised = store.raise(before + 3).expect("raise");
    assert!(raised > before + 3, "{raised} after {before}");
    assert_eq!(store.version().expect("version"), raised);
    assert_eq!(store.at(raised).expect("at"), documents, "no document changes");
    assert!(!store.put(before, &[]).expect("put"), "whoever knows an earlier version is late");
    assert_eq!(store.mark(before).expect("mark"), mark, "a mark stays");
    let marks = (store.mark(raised).expect("mark"), store.mark(raised + 1).expect("mark"));
    assert!(marks.1.is_none() && (marks.0.is_some() == mark.is_some()) && (mark.is_none() || marks.0 != mark));
    assert!(store.put(raised, &[]).expect("put"));
    assert_ne!(store.raise(0).expect("raise"), raised + 1, "it is always a new one");
}

/// The documents of each version.
fn versions() -> Vec<Vec<Document>> {
    let many: Vec<String> = (0..100_000).map(|n| format!("{:?}", format!("user {n} 👩"))).collect();
    let many = format!("[{}]", many.join(","));
    let long = segment("a", &format!(r#""name": "{}""#, "é".repeat(1 << 20)));
    let odd = |id: &str| Document { kind: Segment, body: Some(segment(id, r#""name": "odd""#)), ..empty(id, 6) };
    vec![
        vec![
            document(Segment, "a", 1, Some(&segment("a", r#""name": "A", "version": 1"#))),
            document(Trait, "a", 1, Some(&computed("a"))),
        ],
        vec![document(Members, "list", 2, Some(&many)), document(Segment, "b", 2, Some(&every_member("b")))],
        vec![
            document(Segment, "a", 3, None),
            document(Segment, "ab", 3, Some(&odd_members("ab"))),
            document(Setting, "a", 3, Some(&setting("a", r#""Europe/Berlin""#))),
        ],
        vec![],
        vec![
            document(Segment, "a", 5, Some(&long)),
            document(Members, "list", 5, None),
            document(Members, "empty", 5, Some("[]")),
            document(Trait, "never there", 5, None),
            document(Setting, "a", 5, Some(&setting("a", r#"{"n": [1.50, null]}"#))),
        ],
        ODD_IDS.into_iter().map(odd).collect(),
        vec![document(Members, "list", 7, Some(r#"["again", "again", ""]"#)), document(Segment, "b", 7, None)],
        vec![document(Segment, "b", 8, Some(&every_member("b"))), document(Trait, "a", 8, Some(&computed("a")))],
        vec![document(Setting, "a", 9, None)],
    ]
}

/// A segment with these members, besides its id.
fn segment(id: &str, members: &str) -> String {
    format!(r#"{{"document": {{"id": {}, {members}}}, "author": "me"}}"#, quoted(id))
}

fn computed(name: &str) -> String {
    let definition = r#"{"name": "a", "event": "purchase", "measure": {"fn": "sum", "of": "amount"}}"#;
    let document = format!(r#""name": {}, "definition": {definition}, "version": 3, "note": "why""#, quoted(name));
    format!(r#"{{"document": {{{document}, "updatedAt": "2026-11-21T10:37:16.900Z"}}, "author": "me", "why": null}}"#)
}

fn setting(name: &str, value: &str) -> String {
    let document = format!(r#""name": {}, "value": {value}, "version": 3, "note": "why""#, quoted(name));
    format!(r#"{{"document": {{{document}, "updatedAt": "2026-11-21T10:37:16.900Z"}}, "author": "me", "why": null}}"#)
}

/// A segment as the platform stores it, with every member, and others that nobody knows.
fn every_member(id: &str) -> String {
    let rules = r#"{"conditions": [{"field": "x", "operator": "gt", "value": 999999999999999999.123456789},
        {"field": "y", "operator": "in", "value": ["\\ \" \u00e9 \ud83d\ude00", 0.000000001, 1e3, true, null]}], "logic": "AND"}"#;
    let members = format!(
        r#""name": "It's \"B\"", "description": "", "type": "STATIC", "status": "ARCHIVED", "rules": {rules},
        "tags": ["x", "", "x", "NULL", "{{,}}"], "owner": "o", "version": 9007199254740993, "budget": {{"eur": [1, {{}}]}},
        "createdAt": "2026-11-21T10:37:16.900Z", "updatedAt": "2199-12-31T23:59:59.999Z""#
    );
    let body = segment(id, &members);
    format!(r#"{{"reviewer": {{"id": 1}}, {}"#, &body[1..])
}

/// Known members with values that they should not have: kept all the same.
fn odd_members(id: &str) -> String {
    let members = r#""name": 5, "description": null, "type": "static", "status": "Active", "rules": null, "tags": [1, null],
        "owner": [], "version": -1.5, "createdAt": "yesterday", "updatedAt": "2026-11-21T10:37:16Z", "extra": {"name": 1}"#;
    format!(r#"{{"document": {{"id": {}, {members}}}}}"#, quoted(id))
}

fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if u32::from(c) < 32 => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// A refused put changes nothing.
fn refuses(store: &dyn CatalogueStore, newest: u64) {
    let one = |version| document(Segment, "late", version, Some(&segment("late", r#""name": "late""#)));
    assert!(!store.put(newest - 1, &[one(newest)]).expect("put"), "someone was faster");
    assert!(!store.put(newest + 1, &[one(newest + 2)]).expect("put"), "that version is not there yet");
    assert!(store.put(newest, &[one(newest + 4)]).is_err(), "the version is the next one");
    assert!(store.put(newest, &[one(newest + 1), one(newest)]).is_err(), "of every document");
    assert!(store.put(newest, &[one(newest + 1), one(newest + 1)]).is_err(), "a document is given once");
}

fn check(store: &dyn CatalogueStore, versions: &[Vec<Document>]) {
    let newest = versions.len() as u64;
    assert_eq!(store.version().expect("version"), newest);
    for version in 0..newest + 3 {
        assert_same(store.at(version).expect("at"), as_of(versions, version), &format!("at {version}"));
    }
    let others = [
        (Segment, "a"),
        (Trait, "a"),
        (Members, "list"),
        (Segment, "b"),
        (Segment, "no"),
        (Trait, "never there"),
        (Setting, "a"),
    ];
    for (kind, id) in others.into_iter().chain(ODD_IDS.map(|id| (Segment, id))) {
        let expected = versions.iter().flatten().filter(|one| one.kind == kind && one.id == id).cloned();
        let found = store.history(kind, id).expect("history");
        assert!(found.is_sorted_by_key(|one| one.catalogue_version), "oldest first");
        assert_same(found, expected.collect(), &format!("history of {kind:?} {id:?}"));
    }
}

/// NUL in an id or a body is kept or refused; gives how many versions that took.
fn nul(store: &dyn CatalogueStore, newest: u64) -> u64 {
    let mut taken = 0;
    let bodies = [("a\0b", r#""name": "x""#), ("n", r#""name": "\u0000""#), ("r", r#""rules": {"a": ["\u0000"]}"#)];
    for (id, members) in bodies {
        let version = newest + taken + 1;
        let one = document(Segment, id, version, Some(&segment(id, members)));
        match store.put(version - 1, std::slice::from_ref(&one)) {
            Ok(is_put) => {
                assert!(is_put);
                taken += 1;
                assert_same(store.history(Segment, id).expect("history"), vec![one], "NUL");
            }
            Err(StoreError::Refused { .. }) => {
                assert_eq!(store.version().expect("version"), version - 1, "an error changes nothing");
            }
            Err(other) => panic!("NUL is refused with another error: {other}"),
        }
    }
    taken
}

fn one_of_several_wins(store: &Arc<dyn CatalogueStore>, newest: u64) {
    let racers: Vec<_> = (0..8)
        .map(|racer| {
            let store = store.clone();
            thread::spawn(move || {
                let body = segment("raced", &format!(r#""name": "{racer}""#));
                store.put(newest, &[document(Segment, "raced", newest + 1, Some(&body))]).expect("put")
            })
        })
        .collect();
    let won = racers.into_iter().map(|racer| racer.join().expect("no panic")).filter(|won| *won).count();
    assert_eq!(won, 1, "of those that put at the same version one succeeds");
    assert_eq!(store.version().expect("version"), newest + 1);
    assert_eq!(store.history(Segment, "raced").expect("history").len(), 1);
}

/// However a store waits, whoever asks again until the version is another gets it.
fn change_ends_a_wait(store: &Arc<dyn CatalogueStore>, newest: u64) {
    let nothing = store.wait_for_change(newest, Duration::from_millis(1)).expect("wait");
    assert_eq!(nothing, newest, "nothing has changed");
    let waiting = store.clone();
    let waiter = thread::spawn(move || {
        loop {
            let version = waiting.wait_for_change(newest, Duration::from_millis(100)).expect("wait");
            if version != newest {
                return version;
            }
        }
    });
    assert!(store.put(newest, &[]).expect("put"));
    assert_eq!(waiter.join().expect("no panic"), newest + 1);
}

/// Forgets lists of members as of the versions of the catalogue that bring them, from the one behind `newest` on.
fn forgets_members(open: &mut dyn FnMut() -> Arc<dyn CatalogueStore>, newest: u64) {
    let bodies = [Some(r#"["ann", "bob"]"#), Some(r#"["ann"]"#), None, Some(r#"["ann", "eve"]"#), Some(r#"["eve"]"#)];
    let store = open();
    let first = newest + 1;
    for (version, body) in (first..).zip(bodies) {
        let name = segment("forgets", &format!(r#""name": "{version}""#));
        let documents =
            [document(Members, "forgets", version, body), document(Segment, "forgets", version, Some(&name))];
        assert!(store.put(version - 1, &documents).expect("put"));
    }
    let mut left = bodies;
    let check = |store: &dyn CatalogueStore, left: &[Option<&str>]| {
        let lists = || (first..).zip(left).map(|(version, body)| document(Members, "forgets", version, *body));
        for list in lists() {
            let found = store.at(list.catalogue_version).expect("at");
            let found = found.into_iter().filter(|one| one.kind == Members && one.id == "forgets");
            let expected = [list.clone()].into_iter().filter(|list| list.body.is_some());
            assert_same(found.collect(), expected.collect(), &format!("the list at {}", list.catalogue_version));
        }
        let found = store.history(Members, "forgets").expect("history").into_iter().filter(|one| one.body.is_some());
        assert_same(found.collect(), lists().filter(|one| one.body.is_some()).collect(), "the lists that are left");
        assert_eq!(store.history(Segment, "forgets").expect("history").len(), bodies.len(), "nothing else goes");
    };
    check(&*store, &left);
    for (version, gone) in [(first, 0..0), (first + 1, 0..1), (first + 3, 1..2), (u64::MAX, 3..4)] {
        for _ in 0..2 {
            store.forget_replaced_members(version).expect("forget");
            left[gone.clone()].fill(None);
            check(&*store, &left);
        }
    }
    let before = store.at(first + 4).expect("at");
    drop(store);
    let store = open();
    check(&*store, &left);
    store.purge().expect("purge");
    assert!(!store.purge().expect("purge"), "a purge leaves nothing to be purged");
    check(&*store, &left);
    assert_same(store.at(first + 4).expect("at"), before, "what is newest");
}

fn empty(id: &str, catalogue_version: u64) -> Document {
    document(Segment, id, catalogue_version, None)
}

fn document(kind: DocumentKind, id: &str, catalogue_version: u64, body: Option<&str>) -> Document {
    Document { kind, id: id.to_owned(), catalogue_version, body: body.map(str::to_owned) }
}

fn as_of(versions: &[Vec<Document>], version: u64) -> Vec<Document> {
    let mut newest = BTreeMap::new();
    for one in versions.iter().flatten().filter(|one| one.catalogue_version <= version) {
        newest.insert((one.kind, one.id.clone()), one.clone());
    }
    newest.into_values().filter(|one| one.body.is_some()).collect()
}

/// Holds documents against each other by what they say, however it is written.
fn assert_same(found: Vec<Document>, expected: Vec<Document>, what: &str) {
    let (found, expected) = (read(found), read(expected));
    assert!(found.keys().eq(expected.keys()), "{what}: {:?}, not {:?}", found.keys(), expected.keys());
    for (key, said) in &expected {
        // Cut, for a body may be large.
        assert!(
            found[key] == *said,
            "{what}, {key:?}: {:.2000}, not {:.2000}",
            format!("{:?}", found[key]),
            format!("{said:?}")
        );
    }
}

/// The contents of documents, in the order of kind, id and version.
fn read(documents: Vec<Document>) -> BTreeMap<(DocumentKind, String, u64), Option<Value>> {
    let said = documents.into_iter().map(|one| {
        let body = one.body.map(|body| parse_json(body.as_bytes()).expect("a body is JSON"));
        ((one.kind, one.id, one.catalogue_version), body)
    });
    said.collect()
}

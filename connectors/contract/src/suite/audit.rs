//! Checks of [`CatalogueStore::audit`].

use std::sync::Arc;
use std::time::Duration;

use crate::{Audit, AuditEntry, AuditFilter, AuditRecord, CatalogueStore, Document, DocumentKind};

fn entry(action: &str, kind: &str, id: &str, version: Option<u64>, note: Option<&str>) -> AuditEntry {
    let [action, kind, id] = [action, kind, id].map(str::to_owned);
    AuditEntry { action, kind, id, version, note: note.map(str::to_owned), ..AuditEntry::default() }
}

/// An entry of a document without versions: its text before and after.
fn changed(action: &str, id: &str, version: u64) -> AuditEntry {
    let json =
        |version: u64| Some(format!(r#"{{"version": {version}, "changes": ["entered"], "description": "é👩"}}"#));
    let before = (version > 1).then(|| json(version - 1)).flatten();
    AuditEntry { before, after: json(version), ..entry(action, "webhook", id, Some(version), None) }
}

/// The entries of each version of the catalogue, from 1 on.
fn audits() -> Vec<Audit> {
    let audit = |author: &str, at, entries| Audit { author: author.to_owned(), at, entries };
    vec![
        audit(
            "ann",
            1_000,
            vec![
                entry("created", "segment", "a", Some(1), Some("for \"spring\" 👩")),
                entry("created", "trait", "a", Some(1), None),
            ],
        ),
        audit("bob", 2_000, vec![entry("membersReplaced", "members", "list", Some(7), None)]),
        audit("ann", 2_000, vec![entry("deleted", "segment", "a", Some(2), None)]),
        audit("bob", 3_500, vec![entry("erased", "user", "sha256:00", None, None)]),
        audit("cy", 3_500, vec![changed("paused", "wh_1", 2), changed("created", "wh_2", 1)]),
        audit("cy", 3_500, vec![entry("wordOfALaterBuild", "kindOfALaterBuild", "x", None, None)]),
        audit("ann", 3_500, (0..50).map(|n| entry("updated", "segment", "b", Some(n), None)).collect()),
    ]
}

fn documents(version: u64) -> Vec<Document> {
    let document = |kind, id: &str, body: Option<&str>| Document {
        kind,
        id: id.to_owned(),
        catalogue_version: version,
        body: body.map(str::to_owned),
    };
    let segment = |id| format!(r#"{{"document": {{"id": "{id}", "name": "n"}}, "author": "me"}}"#);
    match version {
        1 => vec![
            document(DocumentKind::Segment, "a", Some(&segment("a"))),
            document(DocumentKind::Trait, "a", Some(r#"{"document": {"name": "a"}, "author": "me"}"#)),
        ],
        2 => vec![document(DocumentKind::Members, "list", Some(r#"["u"]"#))],
        3 => vec![document(DocumentKind::Segment, "a", None)],
        _ => Vec::new(),
    }
}

fn all() -> AuditFilter {
    AuditFilter { limit: 1_000, ..AuditFilter::default() }
}

/// Every sentence of [`CatalogueStore::audit`].
pub fn audit_log(open: &mut dyn FnMut() -> Arc<dyn CatalogueStore>) {
    let store = open();
    assert_eq!(store.audit(&all()).expect("audit"), [], "nothing was done");
    for (version, audit) in (1..).zip(audits()) {
        assert!(store.put_audited(version - 1, &documents(version), Some(&audit)).expect("put"));
        let late = store.put_audited(version - 1, &[], Some(&audit)).expect("put");
        assert!(!late, "what is not put is not said to be done");
    }
    check(&*store);
    drop(store);
    let store = open();
    check(&*store);
    let newest = audits().len() as u64;
    let refused = documents(1);
    assert!(store.put_audited(newest, &refused, audits().first()).is_err(), "of another version");
    check(&*store);
    let before = store.audit(&all()).expect("audit").first().map(|record| record.sequence);
    assert!(store.put_audited(newest, &[], audits().get(1)).expect("put"));
    let after = store.audit(&all()).expect("audit").remove(0);
    assert!(Some(after.sequence) > before, "numbers only grow");
}

/// The rows that are expected, newest first, with the sequences that were found.
fn expected(found: &[AuditRecord]) -> Vec<AuditRecord> {
    let rows = (1..).zip(audits()).flat_map(|(catalogue_version, Audit { author, at, entries })| {
        entries.into_iter().map(move |entry| (catalogue_version, author.clone(), at, entry))
    });
    let rows: Vec<_> = rows.collect();
    let numbered = rows.into_iter().rev().zip(found);
    let record = |((catalogue_version, author, at, entry), found): ((u64, String, i64, AuditEntry), &AuditRecord)| {
        AuditRecord { sequence: found.sequence, at, author, catalogue_version, entry }
    };
    numbered.map(record).collect()
}

fn check(store: &dyn CatalogueStore) {
    let found = store.audit(&all()).expect("audit");
    assert_eq!(found, expected(&found));
    assert_eq!(found.len(), 58);
    assert!(found.is_sorted_by(|a, b| a.sequence > b.sequence), "newest first");
    let text = |text: &str| Some(text.to_owned());
    for filter in [
        AuditFilter { kind: text("trait"), ..all() },
        AuditFilter { id: text("a"), ..all() },
        AuditFilter { author: text("bob"), ..all() },
        AuditFilter { action: text("deleted"), kind: text("segment"), ..all() },
        AuditFilter { from: Some(2_000), to: Some(3_500), ..all() },
        AuditFilter { author: text("nobody"), ..all() },
        AuditFilter { before: Some(found[10].sequence), limit: 20, ..all() },
        AuditFilter { before: Some(found[57].sequence), ..all() },
        AuditFilter { kind: text("webhook"), action: text("paused"), ..all() },
    ] {
        let taken: Vec<_> = found.iter().filter(|record| filter.takes(record)).take(filter.limit).cloned().collect();
        assert_eq!(store.audit(&filter).expect("audit"), taken, "{filter:?}");
    }
    let mut pages = Vec::new();
    let mut before = None;
    loop {
        let page = store.audit(&AuditFilter { before, limit: 7, ..all() }).expect("audit");
        let Some(last) = page.last() else { break };
        before = Some(last.sequence);
        pages.extend(page);
    }
    assert_eq!(pages, found, "page by page");
}

/// Every sentence of [`CatalogueStore::take_unannounced`] and [`CatalogueStore::told`].
pub fn telling(open: &mut dyn FnMut() -> Arc<dyn CatalogueStore>) {
    const LEASE: Duration = Duration::from_secs(3_600);
    let store = open();
    let take = |store: &dyn CatalogueStore, limit| -> Vec<AuditRecord> {
        store.take_unannounced(limit, LEASE).expect("what is not told")
    };
    assert_eq!(take(&*store, 10), [], "nothing was done");
    for (version, audit) in (1..).zip(audits()) {
        assert!(store.put_audited(version - 1, &documents(version), Some(&audit)).expect("put"));
    }
    let mut all = store.audit(&all()).expect("audit");
    all.reverse();
    assert_eq!(take(&*store, 3), all[..3], "the oldest first");
    store.mark_announced(0).expect("given back");
    assert_eq!(take(&*store, 4), all[..4], "what was given back is not told");
    // In the midst of a version that brought many.
    store.mark_announced(all[9].sequence).expect("told");
    assert_eq!(take(&*store, 5), all[10..15]);
    store.mark_announced(all[3].sequence).expect("told");
    assert_eq!(take(&*store, 5), all[10..15], "nothing is taken back");
    store.mark_announced(all[14].sequence).expect("told");
    drop(store);
    let store = open();
    assert_eq!(take(&*store, 1_000), all[15..], "it is kept");
    store.mark_announced(all[all.len() - 1].sequence).expect("told");
    assert_eq!(take(&*store, 1_000), []);
    assert!(store.put_audited(audits().len() as u64, &[], audits().get(1)).expect("put"));
    assert_eq!(take(&*store, 1_000).len(), 1, "what comes later");
}

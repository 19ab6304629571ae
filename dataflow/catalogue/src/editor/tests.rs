use audience_protocol::{AuditQuery, CatalogueResource, MembersChange, MembersMode, PageLimit, TraitResource};

use super::*;
use crate::lists::ListChange;
use crate::shipping::ship_traits;
use crate::testing::{TestStore, list, rule, segment};

/// An editor without an engine, over an empty store.
fn editor() -> (Arc<TestStore>, Editor) {
    let store = TestStore::open();
    (store.clone(), Editor::open_without_engine(store).unwrap())
}

fn is_unavailable<T>(answer: Result<T>) -> bool {
    matches!(answer, Err(PlatformError::Unavailable(_)))
}

#[test]
fn what_the_store_does_not_take_is_not_seen() {
    let (store, editor) = editor();
    store.set_away(true);
    assert!(is_unavailable(editor.create_segment(segment("a", &rule("buy")), "ann")));
    assert!(editor.segment("a").is_err());
    store.set_away(false);
    editor.create_segment(segment("a", &rule("buy")), "ann").unwrap();
    assert_eq!(editor.segment("a").unwrap().version, 1);
}

#[test]
fn an_overtaken_edit_is_refused_and_can_be_repeated() {
    let (store, editor) = editor();
    store.put_elsewhere("theirs", 1, &rule("buy"));
    assert!(is_unavailable(editor.create_segment(segment("a", &rule("buy")), "ann")));
    assert_eq!(editor.segment("theirs").unwrap().version, 1, "the refusal has read what was faster");
    editor.create_segment(segment("a", &rule("buy")), "ann").unwrap();
    assert_eq!(editor.newest(), 2);
}

#[test]
fn changes_of_others_are_followed_and_a_faulty_one_leaves_the_version_before() {
    let (store, editor) = editor();
    let wait_for = |what: &str, holds: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < Duration::from_secs(20), "in vain: {what}");
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| editor.follow());
        store.put_elsewhere("s", 1, &rule("buy"));
        wait_for("the segment", &|| editor.segment("s").is_ok());
        store.put_elsewhere("s", 2, &serde_json::json!({"event": "buy", "operator": "no"}));
        wait_for("its fault", &|| !editor.read(|documents| documents.faults_of_segment("s").is_empty()));
        assert_eq!(editor.segment("s").unwrap().version, 1);

        store.set_away(true);
        wait_for("the store's fault", &|| editor.store_errors() > 0);
        assert_eq!(editor.segment("s").unwrap().version, 1, "what is known stays");
        store.set_away(false);
        store.put_elsewhere("s", 3, &rule("see"));
        wait_for("the good version", &|| editor.segment("s").is_ok_and(|document| document.version == 3));
        editor.close();
    });
}

#[test]
fn an_edit_that_changes_nothing_makes_no_version() {
    let (_store, editor) = editor();
    editor.create_segment(list("l", &["u"]), "ann").unwrap();
    let change = MembersChange { mode: MembersMode::Add, members: vec!["u".to_owned()], is_dry_run: false, note: None };
    let ListChange { document, counts, .. } = editor.change_members("l", change, None, "ann").unwrap();
    assert_eq!((document.version, counts.unchanged, editor.newest()), (1, 1, 1));
}

#[test]
fn an_erased_user_leaves_every_list_and_only_the_digest_is_recorded() {
    let (_store, editor) = editor();
    for id in ["l", "m"] {
        editor.create_segment(list(id, &["ann", "bob"]), "eve").unwrap();
    }
    editor.erase_user(&["stranger".to_owned()], false, "eve").unwrap();
    assert_eq!(editor.newest(), 2, "nothing is held of a stranger");
    editor.erase_user(&["ann".to_owned()], false, "eve").unwrap();
    assert_eq!(editor.read(|documents| (documents.version, documents.segments["l"].stored.document.version)), (3, 2));
    let page = editor.audit(&AuditQuery { limit: PageLimit::new(3).unwrap(), ..AuditQuery::default() }).unwrap();
    let shown: Vec<_> = page.items.iter().map(|item| (&*item.action, &*item.kind)).collect();
    assert_eq!(shown, [("erased", "user"), ("membersRemoved", "members"), ("membersRemoved", "members")]);
    assert!(page.items.iter().all(|item| !item.id.contains("ann")));
}

#[test]
fn traits_are_shipped_once() {
    let store = TestStore::open();
    ship_traits(&*store).unwrap();
    let documents = Documents::newest(&*store).unwrap();
    let name = documents.traits.keys().next().unwrap().clone();
    let editor = Editor::open_without_engine(store.clone()).unwrap();
    editor.delete_trait(&name, None, "ann").unwrap();
    ship_traits(&*store).unwrap();
    assert!(!Documents::newest(&*store).unwrap().traits.contains_key(&name), "a deleted trait stays deleted");
}

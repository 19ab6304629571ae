use serde_json::{Value as Json, json};

use super::*;

/// Kind, id, version, running version and pointers of what is faulty.
type Shown = (&'static str, String, u64, Option<u64>, Vec<String>);

/// Every version of every document, in order.
#[derive(Default)]
struct Store(Vec<Document>);

impl Store {
    fn put(mut self, kind: DocumentKind, id: &str, catalogue_version: u64, body: Option<Json>) -> Store {
        let body = body.map(|body| body.to_string());
        self.0.push(Document { kind, id: id.to_owned(), catalogue_version, body });
        self
    }

    fn segment(self, id: &str, version: u64, rules: Json) -> Store {
        let document = json!({"id": id, "name": id, "type": "DYNAMIC", "status": "ACTIVE", "rules": rules, "version": version,
            "createdAt": "", "updatedAt": ""});
        self.put(DocumentKind::Segment, id, version, Some(json!({"document": document, "author": "a"})))
    }

    fn computed(self, name: &str, version: u64, measure: Json) -> Store {
        let definition = json!({"name": name, "event": "buy", "measure": measure});
        let document = json!({"name": name, "definition": definition, "version": version, "updatedAt": ""});
        self.put(DocumentKind::Trait, name, version, Some(json!({"document": document, "author": "a"})))
    }

    fn deleted(self, kind: DocumentKind, id: &str, version: u64) -> Store {
        self.put(kind, id, version, None)
    }

    fn history(&self, kind: DocumentKind, id: &str) -> Vec<Document> {
        self.0.iter().filter(|document| document.kind == kind && document.id == id).cloned().collect()
    }

    fn load(&self, version: u64) -> Documents {
        let mut newest = BTreeMap::new();
        for document in self.0.iter().filter(|document| document.catalogue_version <= version) {
            newest.insert((document.kind, document.id.clone()), document.clone());
        }
        let at = newest.into_values().filter(|document| document.body.is_some()).collect();
        Documents::load(version, at, &|kind, id| Ok(self.history(kind, id))).unwrap()
    }

    /// The versions that run, by id.
    fn running(&self, version: u64) -> Vec<(String, u64)> {
        let documents = self.load(version);
        let segments = documents.segments.iter().map(|(id, known)| (id.clone(), known.catalogue_version));
        let traits = documents.traits.iter().map(|(name, stored)| (name.clone(), stored.document.version));
        let found: Vec<_> = traits.chain(segments).collect();
        assert_eq!(documents.catalogue.segments.len() + documents.catalogue.traits.len(), found.len());
        found
    }

    /// The faulty documents.
    fn faulty(&self, version: u64) -> Vec<Shown> {
        let pointers = |faults: Vec<Fault>| faults.into_iter().map(|fault| fault.pointer).collect();
        let faulty = self.load(version).faulty.into_iter();
        faulty.map(|one| (one.kind, one.id, one.catalogue_version, one.running_version, pointers(one.faults))).collect()
    }
}

fn pairs<const N: usize>(expected: [(&str, u64); N]) -> Vec<(String, u64)> {
    expected.map(|(id, version)| (id.to_owned(), version)).to_vec()
}

fn pointers<const N: usize>(expected: [&str; N]) -> Vec<String> {
    expected.map(str::to_owned).to_vec()
}

fn good() -> Json {
    json!({"field": "x", "operator": "exists"})
}

fn of(segment: &str) -> Json {
    json!({"segment": segment})
}

#[test]
fn a_faulty_rule_leaves_its_last_good_version_running() {
    let bad = json!({"conditions": [{"field": "x", "operator": "no", "value": 1}, {"event": "e", "odd": 1}]});
    let store = Store::default().segment("a", 1, good()).segment("b", 2, good()).segment("a", 3, bad.clone());
    let store = store.segment("a", 4, bad).segment("a", 5, good());
    assert_eq!(store.running(2), pairs([("a", 1), ("b", 2)]));
    assert_eq!(store.faulty(2), []);
    let expected = pointers(["/rules/conditions/0/operator", "/rules/conditions/1/odd"]);
    for version in [3, 4] {
        assert_eq!(store.running(version), pairs([("a", 1), ("b", 2)]));
        assert_eq!(store.faulty(version), [("segment", "a".to_owned(), version, Some(1), expected.clone())]);
    }
    assert_eq!(store.running(5), pairs([("a", 5), ("b", 2)]));
    assert_eq!(store.faulty(5), []);
}

#[test]
fn what_was_never_good_does_not_run() {
    let nameless = json!({"document": {"id": "n"}, "author": "a"});
    let store = Store::default().segment("ok", 1, good()).put(DocumentKind::Segment, "n", 2, Some(nameless));
    let store = store.segment("", 3, good()).segment("user", 4, of("nobody")).segment("loop", 5, of("loop"));
    let store = store.computed("dotted.name", 6, json!("count"));
    assert_eq!(store.running(6), pairs([("ok", 1)]));
    let none = |kind, id: &str, version, at: &str| (kind, id.to_owned(), version, None, pointers([at]));
    let expected = [
        none("segment", "", 3, "/id"),
        none("segment", "loop", 5, "/rules/segment"),
        none("segment", "n", 2, ""),
        none("segment", "user", 4, "/rules/segment"),
        none("trait", "dotted.name", 6, "/definition/name"),
    ];
    assert_eq!(store.faulty(6), expected);
}

#[test]
fn what_was_deleted_before_it_was_made_faulty_does_not_come_back() {
    let store =
        Store::default().segment("a", 1, good()).deleted(DocumentKind::Segment, "a", 2).segment("a", 3, json!({}));
    assert_eq!(store.running(3), []);
    assert_eq!(store.faulty(3), [("segment", "a".to_owned(), 3, None, pointers(["/rules"]))]);
}

#[test]
fn a_trait_that_breaks_a_rule_is_the_faulty_one() {
    let over = json!({"field": "spent", "operator": "gt", "value": "text"});
    let last = json!({"fn": "last", "of": "amount"});
    let sum = json!({"fn": "sum", "of": "amount"});
    let store = Store::default().computed("spent", 1, last).segment("s", 2, over).computed("spent", 3, sum);
    // Edited later, so that it is neither the oldest nor the newest of what meets.
    let store =
        store.segment("other", 4, good()).segment("s", 5, json!({"field": "spent", "operator": "gt", "value": 1}));
    assert_eq!(store.running(3), pairs([("spent", 1), ("s", 2)]));
    assert_eq!(store.faulty(4), [("trait", "spent".to_owned(), 3, Some(1), pointers(["/definition"]))]);
    assert_eq!(store.running(5), pairs([("spent", 3), ("other", 4), ("s", 5)]), "once the rule fits, the trait runs");
    assert_eq!(store.faulty(5), []);
}

#[test]
fn a_rule_that_does_not_fit_an_older_trait_is_the_faulty_one() {
    let store = Store::default().computed("spent", 1, json!("count")).segment("s", 2, good());
    let store = store.segment("s", 3, json!({"field": "spent", "operator": "gt", "value": "text"}));
    assert_eq!(store.running(3), pairs([("spent", 1), ("s", 2)]));
    assert_eq!(store.faulty(3), [("segment", "s".to_owned(), 3, Some(2), pointers(["/rules/value"]))]);
}

#[test]
fn a_rule_with_a_fault_of_its_own_blames_nobody_else() {
    let store = Store::default().segment("s", 1, json!({"field": "spent", "operator": "no"}));
    let store = store.computed("spent", 2, json!("count"));
    assert_eq!(store.running(2), pairs([("spent", 2)]));
    assert_eq!(store.faulty(2), [("segment", "s".to_owned(), 1, None, pointers(["/rules/operator"]))]);
}

#[test]
fn a_segment_that_others_refer_to_is_not_deleted() {
    let store = Store::default().segment("base", 1, good()).segment("a", 2, of("base")).segment("z", 3, of("a"));
    let store = store.deleted(DocumentKind::Segment, "base", 4).segment("new", 5, good());
    assert_eq!(store.running(5), pairs([("a", 2), ("base", 1), ("new", 5), ("z", 3)]));
    assert_eq!(store.faulty(5), [("segment", "base".to_owned(), 4, Some(1), pointers([""]))]);
    let store = store.deleted(DocumentKind::Segment, "a", 6).deleted(DocumentKind::Segment, "z", 6);
    assert_eq!(store.running(6), pairs([("new", 5)]), "once nothing refers to it, it is");
    assert_eq!(store.faulty(6), []);
}

#[test]
fn of_a_cycle_the_newest_edit_is_the_faulty_one() {
    for (one, other) in [("a", "b"), ("b", "a")] {
        let store = Store::default().segment(other, 1, good()).segment(one, 2, of(other)).segment(other, 3, of(one));
        let mut expected = pairs([(one, 2), (other, 1)]);
        expected.sort();
        assert_eq!(store.running(3), expected);
        assert_eq!(store.faulty(3), [("segment", other.to_owned(), 3, Some(1), pointers(["/rules/segment"]))]);
    }
}

#[test]
fn a_faulty_list_leaves_the_one_before() {
    let document = json!({"id": "l", "name": "l", "type": "STATIC", "status": "ACTIVE", "version": 1, "createdAt": "",
        "updatedAt": ""});
    let store = Store::default().put(DocumentKind::Segment, "l", 1, Some(json!({"document": document, "author": "a"})));
    let store = store.put(DocumentKind::Members, "l", 1, Some(json!(["u"])));
    let store = store.put(DocumentKind::Members, "l", 2, Some(json!(["u", "", "v"])));
    let documents = store.load(2);
    assert_eq!(documents.catalogue.segments["l"].definition, list(vec!["u".to_owned()]));
    assert_eq!(store.faulty(2), [("members", "l".to_owned(), 2, Some(1), pointers(["/members/1"]))]);
}

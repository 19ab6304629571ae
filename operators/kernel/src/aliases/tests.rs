use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::testing::{event, for_each_case, pick, record};

const IDS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// The merges in the order of acceptance, each of a user into another, and the erasures.
#[derive(Default)]
struct Model {
    merges: Vec<(String, String)>,
    erased: BTreeMap<String, u64>,
}

impl Model {
    /// The user that an id stands for: whoever it was merged into, and whoever that one was.
    fn user_of(&self, id: &str) -> String {
        let into = self.merges.iter().find(|(from, _)| from == id).map(|(_, into)| into);
        into.map_or_else(|| id.to_owned(), |into| self.user_of(into))
    }

    fn ids_of(&self, user: &str) -> BTreeSet<String> {
        IDS.iter().filter(|id| self.user_of(id) == user).map(|id| (*id).to_owned()).collect()
    }

    fn counts_from(&self, id: &str) -> u64 {
        self.erased.get(id).copied().unwrap_or(0)
    }

    /// Merges; returns what the table is to give if these are two users.
    fn merge(&mut self, previous: &str, user: &str) -> Option<(String, String, BTreeMap<String, u64>)> {
        let (from, into) = (self.user_of(previous), self.user_of(user));
        if from == into {
            return None;
        }
        self.merges.push((from.clone(), into.clone()));
        let ids = self.ids_of(&into).into_iter().map(|id| (id.clone(), self.counts_from(&id))).collect();
        Some((from, into, ids))
    }

    fn erase(&mut self, id: &str, sequence: u64) -> BTreeSet<String> {
        let ids = self.ids_of(&self.user_of(id));
        self.merges.retain(|(from, _)| !ids.contains(from));
        self.erased.extend(ids.iter().map(|id| (id.clone(), sequence)));
        ids
    }
}

fn check(aliases: &Aliases, model: &Model) {
    for id in IDS {
        let user = model.user_of(id);
        assert_eq!(aliases.root(id).map_or(id, |root| root), user, "the user that {id} stands for");
        assert_eq!(aliases.counts_from(id), model.counts_from(id), "where {id} counts from");
        let ids = aliases.ids(&user);
        assert_eq!(ids.first(), Some(&user), "the user's own id is the first");
        assert_eq!(ids.len(), model.ids_of(&user).len(), "each id once");
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), model.ids_of(&user), "the ids of {user}");
    }
    assert_eq!(aliases.is_empty(), model.merges.is_empty());
    assert_eq!(aliases.erased().into_iter().collect::<BTreeMap<_, _>>(), model.erased);
}

#[test]
fn aliases_are_the_union_of_ids_in_the_order_of_acceptance() {
    for_each_case(1_000, |random| {
        let (mut aliases, mut model) = (Aliases::default(), Model::default());
        for sequence in 1..random.u64(2..25) {
            let (one, other) = (*pick(random, &IDS), *pick(random, &IDS));
            match random.u8(..8) {
                0 | 1 => {
                    let ids = aliases.erase(one, sequence);
                    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), model.erase(one, sequence));
                }
                2 => {
                    let gone: Vec<IdSince> = aliases.erased().into_iter().filter(|_| random.bool()).collect();
                    // Erasures whose place a later one has taken.
                    let outdated: Vec<IdSince> = gone.iter().map(|(id, at)| (id.clone(), at - 1)).collect();
                    aliases.forget_erased(&outdated);
                    check(&aliases, &model);
                    aliases.forget_erased(&gone);
                    gone.iter().for_each(|(id, _)| assert!(model.erased.remove(id).is_some()));
                }
                _ => {
                    let merged = aliases.merge(one, other);
                    let merged =
                        merged.map(|it| (it.from.to_string(), it.into.to_string(), it.ids.into_iter().collect()));
                    assert_eq!(merged, model.merge(one, other), "{one} into {other}");
                }
            }
            check(&aliases, &model);
        }
        let decoded: Aliases = bincode::deserialize(&bincode::serialize(&aliases).expect("bytes")).expect("aliases");
        check(&decoded, &model);
    });
}

#[test]
fn aliases_tell_the_records_from_before_an_erasure() {
    let mut aliases = Aliases::default();
    let at = |id: &str, sequence| record(&format!(r#"{{"userId": "{id}", "eventType": "p"}}"#), 0, sequence);
    assert!(!aliases.is_erased(&event(&at("a", 6))));
    aliases.erase("a", 7);
    assert!(aliases.is_erased(&event(&at("a", 6))));
    assert!(!aliases.is_erased(&event(&at("a", 7))) && !aliases.is_erased(&event(&at("b", 6))));
}

#[test]
fn aliases_part_the_ids_of_a_user_who_is_erased() {
    let mut aliases = Aliases::default();
    aliases.merge("c", "b");
    aliases.merge("b", "a");
    aliases.merge("y", "x");
    let mut erased = aliases.erase("c", 7);
    erased.sort();
    assert_eq!(erased, ["a", "b", "c"]);
    for id in ["a", "b", "c"] {
        assert_eq!((aliases.root(id), aliases.ids(id), aliases.counts_from(id)), (None, vec![id.to_owned()], 7));
    }
    assert_eq!((aliases.root("y").map(|root| &**root), aliases.counts_from("y")), (Some("x"), 0));
    let merged = aliases.merge("b", "x").expect("a merge");
    assert_eq!(merged.ids, [("x".to_owned(), 0), ("y".to_owned(), 0), ("b".to_owned(), 7)]);
    assert_eq!(aliases.erase("nobody", 9), ["nobody"]);
    let gone = aliases.erased();
    assert_eq!(aliases.erase("a", 11), ["a"]);
    aliases.forget_erased(&gone);
    assert_eq!(aliases.erased(), [("a".to_owned(), 11)], "a later erasure stays");
}

#[test]
fn aliases_join_an_anonymous_id_once() {
    let mut aliases = Aliases::default();
    let known = |answer: bool| move |_: &[IdSince]| Ok::<_, ()>(answer);
    let merged = |identified: Result<Identified, ()>| matches!(identified, Ok(Identified::Merged(_)));
    assert!(merged(aliases.identify("dev", "bea", known(false))));
    // That she is named is known from then on, also under another id, and after a merge.
    let unasked = |_: &[IdSince]| Err(());
    assert_eq!(aliases.identify("dev", "carl", unasked), Ok(Identified::Refused));
    assert_eq!(aliases.identify("dev", "bea", unasked), Ok(Identified::Same));
    aliases.merge("bea", "tab");
    assert_eq!(aliases.identify("tab", "carl", unasked), Ok(Identified::Refused));
    assert_eq!(aliases.identify("carl", "dev", unasked), Ok(Identified::Refused));
    // Of others the log is asked: of all ids that they are, each from its place on.
    aliases.merge("x", "y");
    let mut asked = Vec::new();
    let refused = aliases.identify("x", "zoe", |ids| {
        asked = ids.to_vec();
        Ok::<_, ()>(true)
    });
    assert_eq!((refused, asked), (Ok(Identified::Refused), vec![("y".to_owned(), 0), ("x".to_owned(), 0)]));
    // After an erasure an id is nobody's again.
    aliases.erase("y", 7);
    assert!(merged(aliases.identify("x", "zoe", known(false))));
}

#[test]
fn aliases_find_who_stood_as_user_id() {
    let mut found = record(r#"{"anonymousId": "a", "eventType": "p"}"#, 0, 1);
    let ids = [("a".to_owned(), 0), ("b".to_owned(), 4)];
    assert_eq!(newest_naming(&found, &ids, 9), None);
    found.extend(record(r#"{"userId": "b", "eventType": "p"}"#, 0, 3));
    found.extend(record(r#"{"userId": "c", "anonymousId": "a", "eventType": "identify"}"#, 0, 5));
    found.extend(record(r#"{"userId": "a", "previousId": "b", "eventType": "alias"}"#, 0, 6));
    assert_eq!(newest_naming(&found, &ids, 9), None, "before its place, of another, an alias");
    found.extend(record(r#"{"customerId": "a", "eventType": "p"}"#, 0, 7));
    assert_eq!((newest_naming(&found, &ids, 9), newest_naming(&found, &ids, 7)), (Some(7), None));
}

//! Checks of [`ProfileStore`].

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::{Everyone, Profile, ProfileReach, ProfileStore, TraitValues};

/// Profiles as readers find them, by user: the instant, traits and computed traits.
pub type StoredProfiles = BTreeMap<String, (i64, Value, Value)>;

fn values(text: &str) -> TraitValues {
    serde_json::from_str(text).expect("an object")
}

fn value(values: &TraitValues) -> Value {
    let text: BTreeMap<&String, &RawValue> = values.iter().map(|(name, value)| (name, &**value)).collect();
    serde_json::to_value(text).expect("plain data")
}

fn found(profiles: &[&Profile]) -> StoredProfiles {
    let found = profiles.iter().map(|p| (p.user_id.clone(), (p.at, value(&p.traits), value(&p.computed))));
    found.collect()
}

/// Users with values of every kind, and ids that are like parts of one another.
fn users() -> Vec<Profile> {
    let of = |user: &str, at, traits: &str, computed: &str| Profile {
        user_id: user.to_owned(),
        at,
        traits: values(traits),
        computed: values(computed),
    };
    vec![
        of(
            "u",
            1_700_000_000_000,
            r#"{"plan": "gold", "age": 41, "vip": true, "ratio": -0.25}"#,
            r#"{"totalSpent": 12.5}"#,
        ),
        of("u:profile", 1_700_000_000_001, "{}", r#"{"purchaseCount": 0}"#),
        of("ü \"*[a-z]\"/1", 1_700_000_000_001, r#"{"": "empty", "a.b \"c\"": "\u0000\n€"}"#, "{}"),
        of(
            "deep",
            0,
            r#"{"list": [1, "x", false, null, [2]], "map": {"b": {"c": [{}]}, "a": null}}"#,
            r#"{"n": 1000000000000000000}"#,
        ),
    ]
}

/// Every sentence of [`ProfileStore`]; `read` gives what its readers find.
pub fn profile_store(open: &mut dyn FnMut() -> Box<dyn ProfileStore>, read: &mut dyn FnMut() -> StoredProfiles) {
    let mut store = open();
    assert_eq!(store.reached().expect("reached"), None);
    store.write(&[]).expect("write");
    store.erase(&[]).expect("erase");
    store.erase(&["nobody".to_owned()]).expect("erase");
    store.erase_before(i64::MAX).expect("erase");
    let first = users();
    store.write(&first).expect("write");
    assert_eq!(store.reached().expect("reached"), None, "a write reaches nothing by itself");
    assert_eq!(read(), found(&first.iter().collect::<Vec<_>>()));
    let mut reach = ProfileReach { log: "a log".to_owned(), sequence: u64::from(u32::MAX) + 7, everyone: None };
    let everyone = Everyone { begun: 1_700_000_000_000, traits: u64::MAX, due: None };
    for everyone in [None, Some(everyone.clone()), Some(Everyone { due: Some(-1), ..everyone })] {
        reach.everyone = everyone;
        store.reach(&reach).expect("reach");
        assert_eq!(store.reached().expect("reached").as_ref(), Some(&reach));
    }
    drop(store);
    let mut store = open();
    assert_eq!(store.reached().expect("reached").as_ref(), Some(&reach));
    // Nothing of the profile before is left, however often it is written.
    let other = Profile {
        at: 1_700_000_000_002,
        traits: values(r#"{"city": "Köln"}"#),
        computed: values("{}"),
        ..first[0].clone()
    };
    for _ in 0..2 {
        store.write(std::slice::from_ref(&other)).expect("write");
    }
    assert_eq!(read(), found(&[&other, &first[1], &first[2], &first[3]]));
    for _ in 0..2 {
        store.erase(&[first[1].user_id.clone(), "nobody".to_owned()]).expect("erase");
    }
    assert_eq!(read(), found(&[&other, &first[2], &first[3]]));
    store.erase_before(1_700_000_000_001).expect("erase");
    assert_eq!(read(), found(&[&other, &first[2]]), "as of an earlier instant alone");
    store.write(&[first[1].clone(), first[3].clone()]).expect("write");
    assert_eq!(read(), found(&[&other, &first[1], &first[2], &first[3]]), "who was taken out comes again");
    assert_eq!(store.reached().expect("reached"), Some(reach), "how far it reaches has not changed");
    many(&mut *store, read);
}

/// More than any medium takes at once.
fn many(store: &mut dyn ProfileStore, read: &mut dyn FnMut() -> StoredProfiles) {
    let of = |number: i64| Profile {
        user_id: format!("many-{number}"),
        at: number,
        traits: values(&format!(r#"{{"number": {number}}}"#)),
        computed: TraitValues::new(),
    };
    let all: Vec<Profile> = (1..=5_000).map(of).collect();
    let before = read().len();
    store.write(&all).expect("write");
    assert_eq!(read().len(), before + 5_000);
    let ids: Vec<String> = all.iter().skip(4_000).map(|profile| profile.user_id.clone()).collect();
    store.erase(&ids).expect("erase");
    store.erase_before(3_001).expect("erase");
    let left = read();
    let many = left.keys().filter(|user| user.starts_with("many-")).count();
    assert_eq!(many, 1_000, "from 3,001 to 4,000");
    // One who was as of 0 is gone too.
    assert_eq!(left.len(), before - 1 + many);
}

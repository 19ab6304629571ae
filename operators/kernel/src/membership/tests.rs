use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::testing::for_each_case;

fn user(random: &mut fastrand::Rng) -> String {
    let name = if random.bool() { "u" } else { "a-user-whose-id-is-longer-than-a-few-letters-" };
    format!("{name}{}", random.u8(..12))
}

#[test]
fn user_ids_have_dense_numbers_that_stay() {
    for_each_case(500, |random| {
        let mut ids = UserIds::default();
        let mut known: Vec<String> = Vec::new();
        for _ in 0..random.usize(1..60) {
            let id = user(random);
            let number = known.iter().position(|other| *other == id);
            assert_eq!(ids.find(&id), number.map(|number| number as u32));
            let hash = user_hash(id.as_bytes());
            let (slot, is_new) = ids.find_or_add(hash, id.as_bytes());
            assert_eq!((slot as usize, is_new), number.map_or((known.len(), true), |number| (number, false)));
            if is_new {
                known.push(id);
            }
            assert_eq!((ids.len(), ids.is_empty()), (known.len(), false));
            for (slot, id) in (0..).zip(&known) {
                assert_eq!((ids.id(slot), u64::from(ids.shard(slot))), (id.as_str(), shard_of(id.as_bytes())));
            }
        }
    });
}

/// Each segment with its members, users by their numbers.
type MembershipModel = BTreeMap<String, BTreeSet<u32>>;

fn check(membership: &Membership, model: &MembershipModel, users: u32) {
    for (segment, members) in model {
        let found: BTreeSet<&str> = membership.members(segment).collect();
        let expected: BTreeSet<&str> = members.iter().map(|slot| membership.users.id(*slot)).collect();
        assert_eq!((found, membership.size(segment)), (expected, members.len() as u64), "{segment}");
    }
    for slot in 0..users {
        let is_in = |segment: &str| model.get(segment).is_some_and(|members| members.contains(&slot));
        let found: BTreeSet<&str> =
            membership.segments_of(membership.users.id(slot)).map(|segment| &**segment).collect();
        let expected: BTreeSet<&str> = model.keys().map(String::as_str).filter(|segment| is_in(segment)).collect();
        assert_eq!(found, expected);
        for segment in ["s0", "s1", "s2", "s3"] {
            assert_eq!(membership.is_member(&segment.into(), slot), is_in(segment));
        }
    }
    assert_eq!((membership.size("none"), membership.members("none").count()), (0, 0));
    assert_eq!(membership.segments_of("nobody").count(), 0);
}

#[test]
fn membership_holds_what_a_map_of_sets_does() {
    for_each_case(300, |random| {
        let (mut membership, mut model, mut sorted) = (Membership::default(), MembershipModel::new(), Vec::new());
        let users = random.u32(1..9);
        for number in 0..users {
            let id = format!("u{number}");
            membership.users.find_or_add(user_hash(id.as_bytes()), id.as_bytes());
        }
        for _ in 0..random.usize(1..25) {
            let segment = format!("s{}", random.u8(..4));
            match (random.u8(..6), membership.segments.remove(&*segment)) {
                (0, Some(bitmap)) => {
                    let held: BTreeSet<u32> = membership.free_bitmap(bitmap).iter().collect();
                    assert_eq!(Some(held), model.remove(&segment));
                }
                (0, None) | (1, None) => {
                    let bitmap = membership.add_bitmap();
                    assert!(membership.bitmap(bitmap).is_empty(), "a bitmap that was used before is empty");
                    membership.segments.insert(segment.as_str().into(), bitmap);
                    model.insert(segment, BTreeSet::new());
                }
                (_, None) => {}
                (_, Some(bitmap)) => {
                    membership.segments.insert(segment.as_str().into(), bitmap);
                    // Now and then so many that they are put in the order of their bitmaps first.
                    let count = if random.u8(..5) == 0 { FEW_UPDATES + 1 } else { random.usize(1..20) };
                    let bitmaps: Vec<(String, BitmapId)> =
                        membership.segments.iter().map(|(segment, bitmap)| (segment.to_string(), *bitmap)).collect();
                    let updates: Vec<MemberUpdate> = (0..count)
                        .map(|_| {
                            let (segment, bitmap) = &bitmaps[random.usize(..bitmaps.len())];
                            let update =
                                MemberUpdate { bitmap: *bitmap, slot: random.u32(..users), inside: random.bool() };
                            let members = model.entry(segment.clone()).or_default();
                            let _ =
                                if update.inside { members.insert(update.slot) } else { members.remove(&update.slot) };
                            update
                        })
                        .collect();
                    membership.update(&updates, &mut sorted);
                }
            }
            check(&membership, &model, users);
        }
    });
}

#[test]
fn membership_keeps_the_order_of_the_updates_of_one_bitmap() {
    let update = |bitmap, slot, inside| MemberUpdate { bitmap, slot, inside };
    let updates = [update(2, 1, true), update(0, 1, true), update(2, 1, false), update(1, 5, true)];
    let mut sorted = Vec::new();
    sort_by_bitmap(&updates, &mut sorted);
    let found: Vec<_> = sorted.iter().map(|update| (update.bitmap, update.slot, update.inside)).collect();
    assert_eq!(found, [(0, 1, true), (1, 5, true), (2, 1, true), (2, 1, false)]);
}

use audience_rules::decimal::{Decimal, UNITS_PER_ONE};
use audience_rules::value::ValueRef;
use fastrand::Rng;

use super::*;
use crate::reading::Reading;
use crate::testing::{for_each_case, pick};
use crate::window_log::flat;

const RANK: RankId = 7;

/// A value that many others equal, in one of the forms in which a measure may say it.
fn some_reading(random: &mut Rng) -> Reading {
    let whole = random.i64(-3..4);
    match random.u8(..6) {
        0 => Reading::Missing,
        1 => Reading::Ratio(Decimal::from_integer(whole * 2), 2),
        2 => Reading::Ratio(Decimal::from_units(i128::from(whole)), random.u64(1..4)),
        3 => Reading::Flat(flat(ValueRef::Number(Decimal::from_integer(whole)))),
        _ => Reading::Number(Decimal::from_integer(whole)),
    }
}

/// A number as a fraction: units and of how many.
fn fraction(reading: &Reading) -> Option<(i128, i128)> {
    match reading {
        Reading::Number(number) => Some((number.units(), 1)),
        Reading::Ratio(sum, count) => Some((sum.units(), i128::from(*count))),
        Reading::Flat(bytes) => match ValueRef::read(bytes) {
            Some((ValueRef::Number(number), _)) => Some((number.units(), 1)),
            _ => None,
        },
        _ => None,
    }
}

fn compare(left: (i128, i128), right: (i128, i128)) -> Ordering {
    (left.0 * right.1).cmp(&(right.0 * left.1))
}

/// The first of all, by sorting everybody.
fn first_of(entries: &BTreeMap<String, (i128, i128)>, descending: bool, cut: RankCut) -> BTreeSet<String> {
    let mut sorted: Vec<(&String, (i128, i128))> = entries.iter().map(|(user, key)| (user, *key)).collect();
    sorted.sort_by(|(user, key), (other, other_key)| {
        let by_key = compare(*key, *other_key);
        (if descending { by_key.reverse() } else { by_key }).then(user.cmp(other))
    });
    let count = match cut {
        RankCut::Top(count) => count as usize,
        // The least whole number that is no smaller than the exact share.
        RankCut::PercentUnits(units) => (0..=sorted.len())
            .find(|count| *count as i128 * 100 * UNITS_PER_ONE >= sorted.len() as i128 * units)
            .unwrap_or(sorted.len()),
    };
    sorted.into_iter().take(count).map(|(user, _)| user.clone()).collect()
}

#[test]
fn rank_has_the_first_of_all_entries_inside() {
    for_each_case(800, |random| {
        let descending = random.bool();
        let cut = match random.bool() {
            true => RankCut::Top(random.u32(1..6)),
            false => RankCut::PercentUnits(random.i128(1..=100 * UNITS_PER_ONE)),
        };
        let mut ranks = Ranks::default();
        ranks.apply([RankInput::Define { rank: RANK, descending, cut }]);
        let (mut entries, mut inside) = (BTreeMap::new(), BTreeSet::new());
        for _ in 0..random.usize(1..20) {
            let inputs: Vec<(String, Reading)> = (0..random.usize(0..8))
                .map(|_| ((*pick(random, &["a", "B", "c", "d", "e", "f", "g"])).to_owned(), some_reading(random)))
                .collect();
            for (user, reading) in &inputs {
                match fraction(reading) {
                    Some(key) => entries.insert(user.clone(), key),
                    None => entries.remove(user),
                };
            }
            let changes = ranks.apply(inputs.into_iter().map(|(user, reading)| RankInput::Entry {
                rank: RANK,
                user,
                key: RankKey::of(&reading),
            }));
            for change in changes {
                let is_change =
                    if change.inside { inside.insert(change.user.clone()) } else { inside.remove(&change.user) };
                assert!(is_change, "{change:?} says nothing new");
            }
            assert_eq!(inside, first_of(&entries, descending, cut), "{descending} {cut:?} of {entries:?}");
        }
    });
}

#[test]
fn rank_that_is_dropped_says_nothing_and_begins_empty_when_defined_again() {
    let mut ranks = Ranks::default();
    let define = || RankInput::Define { rank: RANK, descending: true, cut: RankCut::Top(1) };
    let entry = |user: &str, whole: i64| RankInput::Entry {
        rank: RANK,
        user: user.to_owned(),
        key: RankKey::of(&Reading::Number(Decimal::from_integer(whole))),
    };
    assert_eq!(ranks.apply([define(), entry("a", 1), entry("b", 2)]).len(), 1);
    assert!(ranks.apply([RankInput::Drop { rank: RANK }]).is_empty());
    assert!(ranks.apply([entry("c", 3)]).is_empty(), "there is no such rank");
    let changes = ranks.apply([define(), entry("d", 0)]);
    assert_eq!(changes.len(), 1);
    assert!(changes[0].inside && changes[0].user == "d", "{changes:?}");
}

#[test]
fn rank_key_orders_as_fractions_do() {
    for_each_case(2_000, |random| {
        let (left, right) = (some_reading(random), some_reading(random));
        let keys = RankKey::of(&left).zip(RankKey::of(&right));
        let expected = fraction(&left).zip(fraction(&right));
        assert_eq!(keys.map(|(left, right)| left.cmp(&right)), expected.map(|(left, right)| compare(left, right)));
    });
}

use std::collections::BTreeSet;

use audience_rules::ast::{self, Behaviour, Comparison, Condition, EventPath, EventTypes, Function, Literal, Moment};
use audience_rules::decimal::Decimal;
use audience_rules::value::{Value, ValueRef};
use fastrand::Rng;

use super::*;
use crate::measure::MeasureKind;
use crate::program::Expression;
use crate::testing::{for_each_case, pick};
use crate::window_log::flat;

/// The key of a measure, and readings that it may give.
fn some_key(random: &mut Rng) -> MeasureKey {
    let of = |function| ast::Measure::Of(function, EventPath::Properties(vec!["v".into()]));
    let measure = match random.u8(..6) {
        0 => ast::Measure::Count,
        1 => of(Function::Avg),
        2 => of(Function::Min),
        3 => of(Function::Last),
        4 => ast::Measure::SinceLast,
        _ => return MeasureKey::Trait(vec![(*pick(random, &["n", "m"])).into()]),
    };
    let events = EventTypes::Named(vec![(*pick(random, &["a", "b"])).into()]);
    MeasureKey::Behaviour(Arc::new(Behaviour { events, filter: None, measure, window: None, each: None, unless: None }))
}

fn some_number(random: &mut Rng) -> Decimal {
    Decimal::from_units(i128::from(random.i64(-6..7)) * *pick(random, &[1, 1_000_000_000]))
}

/// Numbers between which averages lie, and times among them.
fn some_reading(kind: &MeasureKind, random: &mut Rng) -> Reading {
    let default = kind.default_reading();
    let is_average = matches!(kind, MeasureKind::Behaviour { aggregate: crate::measure::Aggregate::Average, .. });
    match random.u8(..6) {
        0 => default,
        _ if kind.is_since() => Reading::Since(random.i64(0..40)),
        _ if is_average => Reading::Ratio(Decimal::from_units(i128::from(random.i64(-9..9))), random.u64(1..4)),
        1 if !kind.is_plain_number() => Reading::Flat(flat(ValueRef::Text(pick::<&str>(random, &["x", "yx", "3"])))),
        2 if !kind.is_plain_number() => {
            let items: Vec<Value> = (0..random.usize(0..3)).map(|_| Value::Number(some_number(random))).collect();
            let mut bytes = Vec::new();
            Value::Array(items).encode(&mut bytes);
            Reading::Flat(bytes.into())
        }
        3 if !kind.is_plain_number() => Reading::Flat(flat(ValueRef::Number(some_number(random)))),
        _ => Reading::Number(some_number(random)),
    }
}

/// A test that the rule language allows of this kind of measure: durations are whole, and not compared with several.
fn some_test(kind: &MeasureKind, random: &mut Rng) -> Test {
    let comparisons = [Comparison::Greater, Comparison::GreaterOrEqual, Comparison::Less, Comparison::LessOrEqual];
    let number = |random: &mut Rng| match kind.is_since() {
        true => Literal::Number(Decimal::from_integer(random.i64(0..40))),
        false => Literal::Number(some_number(random)),
    };
    let condition = match random.u8(..if kind.is_since() { 6 } else { 12 }) {
        0..4 => Condition::Compare(*pick(random, &comparisons), number(random)),
        4 => Condition::Equals(number(random)),
        5 => Condition::Between(number(random), number(random)),
        6 => Condition::In(
            (0..random.usize(1..4)).map(|_| number(random)).collect::<BTreeSet<_>>().into_iter().collect(),
        ),
        7 => Condition::Exists,
        8 => Condition::Equals(Literal::Text("x".into())),
        9 => Condition::EndsWith("x".into()),
        10 => Condition::Before(Moment::Ago(random.i64(0..40))),
        _ => Condition::After(Moment::At(random.i64(0..40))),
    };
    Test { negated: random.bool(), condition }
}

#[test]
fn registry_finds_exactly_the_predicates_whose_answer_a_new_reading_changes() {
    for_each_case(3_000, |random| {
        let key = some_key(random);
        let kind = MeasureKind::of(&key);
        let mut leaves: Vec<Leaf> = Vec::new();
        for _ in 0..random.usize(1..12) {
            let test = some_test(&kind, random);
            let leaf =
                if random.u8(..5) == 0 { Leaf::Valued(key.clone(), test) } else { Leaf::Measured(key.clone(), test) };
            if !leaves.contains(&leaf) {
                leaves.push(leaf);
            }
        }
        let expression = Expression::All((0..leaves.len() as u16).map(Expression::Leaf).collect());
        let mut registry = Registry::default();
        registry.add_rule(&Arc::new(Program::of(leaves, expression)), RuleRole::Shadow, None, &mut || 0);
        let measure = registry.measure_of(&key).expect("a measure");
        let before_now = random.i64(20..60);
        let now = before_now + random.i64(0..20);
        let before = some_reading(&kind, random);
        let after = if random.u8(..4) == 0 { before.clone() } else { some_reading(&kind, random) };
        let mut found = Vec::new();
        registry.flips(measure, (&before, before_now), (&after, now), &mut found);
        found.sort_unstable();
        let changes = |predicate: &Predicate| {
            predicate.kind.holds_of(&before, before_now) != predicate.kind.holds_of(&after, now)
        };
        let expected: Vec<PredicateId> =
            registry.predicates.iter().filter(|(_, predicate)| changes(predicate)).map(|(id, _)| id).collect();
        assert_eq!(found, expected, "{key:?} from {before:?} to {after:?}");
    });
}

fn some_leaf(depth: usize, random: &mut Rng) -> Leaf {
    match random.u8(..8) {
        0 => Leaf::Segment((*pick(random, &["s", "t"])).into()),
        1 => Leaf::Sample(Sample { salt: "x".into(), from: 0, to: random.u16(1..4) }),
        2 if depth > 0 => Leaf::Rank(Arc::new(RankProgram {
            by: some_key(random),
            descending: random.bool(),
            cut: audience_rules::ast::Cut::Top(1),
            among: random.bool().then(|| Arc::new(some_program(depth - 1, random))),
        })),
        kind => {
            let key = some_key(random);
            let test = some_test(&MeasureKind::of(&key), random);
            if kind == 3 { Leaf::Valued(key, test) } else { Leaf::Measured(key, test) }
        }
    }
}

fn some_program(depth: usize, random: &mut Rng) -> Program {
    let mut leaves: Vec<Leaf> = Vec::new();
    for _ in 0..random.usize(1..4) {
        let leaf = some_leaf(depth, random);
        if !leaves.contains(&leaf) {
            leaves.push(leaf);
        }
    }
    let parts = (0..leaves.len() as u16).map(Expression::Leaf).collect();
    let expression = match random.u8(..3) {
        0 => Expression::All(parts),
        1 => Expression::Any(parts),
        _ => Expression::None(parts),
    };
    Program::of(leaves, expression)
}

/// All leaves that a program needs, those of who is ranked too.
fn needed_leaves(program: &Program, out: &mut Vec<Leaf>) {
    for leaf in &program.leaves {
        if !out.contains(leaf) {
            out.push(leaf.clone());
            if let Leaf::Rank(rank) = leaf {
                rank.among.iter().for_each(|among| needed_leaves(among, out));
            }
        }
    }
}

/// The registry computes what these rules need, each of it once, and nothing else.
fn check(registry: &mut Registry, present: &[(RuleId, Arc<Program>)], bitmaps: &BTreeSet<BitmapId>) {
    let mut leaves = Vec::new();
    present.iter().for_each(|(_, program)| needed_leaves(program, &mut leaves));
    assert_eq!(registry.predicates.iter().count(), leaves.len(), "each predicate once");
    let mut keys: Vec<&MeasureKey> = Vec::new();
    for key in present.iter().flat_map(|(_, program)| program.measures()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    assert_eq!(registry.measures.iter().count(), keys.len(), "each measure once");
    assert!(keys.iter().all(|key| registry.measure_of(key).is_some_and(|id| registry.measures.get(id).is_some())));
    let ranks = leaves.iter().filter(|leaf| matches!(leaf, Leaf::Rank(_))).count();
    assert_eq!(registry.ranks.iter().count(), ranks);
    let rules: Vec<BitmapId> = registry.rules.iter().map(|(_, rule)| rule.members).collect();
    let used: BTreeSet<BitmapId> =
        rules.iter().copied().chain(registry.ranks.iter().map(|(_, rank)| rank.inside)).collect();
    assert_eq!((used.len(), &used), (rules.len() + ranks, bitmaps), "each rule and rank has a bitmap of its own");
    assert!(registry.is_temporal || !registry.measures.iter().any(|(_, measure)| measure.is_temporal()));
    for (id, rule) in registry.rules.iter() {
        for (index, predicate) in (0..).zip(&rule.predicates) {
            let predicate = registry.predicates.get(*predicate).expect("a predicate");
            assert!(predicate.uses.contains(&(id, index)), "a predicate leads to its rules");
        }
    }
    let uses: usize = registry.predicates.iter().map(|(_, predicate)| predicate.uses.len()).sum();
    assert_eq!(uses, registry.rules.iter().map(|(_, rule)| rule.predicates.len()).sum::<usize>());
}

#[test]
fn registry_shares_what_rules_need_and_forgets_it_with_the_last_of_them() {
    for_each_case(500, |random| {
        let mut registry = Registry::default();
        let mut present: Vec<(RuleId, Arc<Program>)> = Vec::new();
        let mut bitmaps: BTreeSet<BitmapId> = BTreeSet::new();
        let mut next_bitmap = 0;
        for _ in 0..random.usize(1..25) {
            if random.bool() && !present.is_empty() {
                let (rule, _) = present.swap_remove(random.usize(..present.len()));
                let (freed, _) = registry.remove_rule(rule);
                assert!(freed.into_iter().all(|bitmap| bitmaps.remove(&bitmap)), "a bitmap is given back once");
                if random.bool() {
                    registry.forget_dropped();
                }
            } else {
                let program = Arc::new(some_program(2, random));
                let rule = registry.add_rule(&program, RuleRole::Shadow, None, &mut || {
                    next_bitmap += 1;
                    bitmaps.insert(next_bitmap);
                    next_bitmap
                });
                present.push((rule, program));
            }
            check(&mut registry, &present, &bitmaps);
        }
        for (rule, _) in present.drain(..) {
            registry.remove_rule(rule).0.iter().for_each(|bitmap| assert!(bitmaps.remove(bitmap)));
        }
        check(&mut registry, &present, &bitmaps);
    });
}

#[test]
fn slab_gives_no_number_that_is_still_in_use() {
    for_each_case(500, |random| {
        let mut slab: Slab<u32> = Slab::new();
        let (mut present, mut retired): (Vec<(u32, u32)>, Vec<u32>) = (Vec::new(), Vec::new());
        for item in 0..random.u32(1..40) {
            match random.u8(..5) {
                0 if !present.is_empty() => {
                    let (at, item) = present.swap_remove(random.usize(..present.len()));
                    assert_eq!((slab.remove(at), slab.remove(at)), (Some(item), None));
                }
                1 if !present.is_empty() => {
                    let (at, item) = present.swap_remove(random.usize(..present.len()));
                    assert_eq!(slab.retire(at), Some(item));
                    retired.push(at);
                }
                2 => slab.free(retired.drain(..)),
                _ => {
                    let at = slab.insert(item);
                    assert!(!retired.contains(&at) && present.iter().all(|(known, _)| *known != at), "{at} is in use");
                    present.push((at, item));
                }
            }
            present.sort_unstable();
            assert_eq!(slab.iter().map(|(at, item)| (at, *item)).collect::<Vec<_>>(), present);
            assert!(present.iter().all(|(at, item)| slab.get(*at) == Some(item) && (*at as usize) < slab.bound()));
        }
    });
}

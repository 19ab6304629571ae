use audience_rules::ast::{
    Behaviour, Condition, EventPath, EventTypes, Filter, Function, Literal, Measure, Moment, Test, Window,
};
use audience_rules::oracle::EventHistory;
use audience_rules::test::Operand;
use audience_rules::value::Value;
use fastrand::Rng;

use super::*;
use crate::measure::Listeners;
use crate::program::MeasureKey;
use crate::question::SharedRecord;
use crate::testing::{event, for_each_case, pick, record};

const START: Millis = 1_000_000_000_000;

#[test]
fn cell_is_sixteen_bytes() {
    assert_eq!(size_of::<Cell>(), 16);
}

fn some_measure(random: &mut Rng) -> Measure {
    let functions = [
        Function::Sum,
        Function::Avg,
        Function::Min,
        Function::Max,
        Function::Distinct,
        Function::First,
        Function::Last,
    ];
    match random.u8(..8) {
        0 => Measure::Count,
        1 => Measure::Days,
        2 => Measure::SinceFirst,
        3 => Measure::SinceLast,
        4 => Measure::Of(*pick(random, &[Function::First, Function::Last]), EventPath::Timestamp),
        _ => Measure::Of(*pick(random, &functions), EventPath::Properties(vec!["v".into()])),
    }
}

fn some_behaviour(random: &mut Rng) -> Behaviour {
    let filter = |path: &str, condition| {
        Filter::Test(EventPath::Properties(vec![path.into()]), Test { negated: false, condition })
    };
    Behaviour {
        events: match random.u8(..3) {
            0 => EventTypes::Any,
            1 => EventTypes::Named(vec!["a".into(), "b".into()]),
            _ => EventTypes::Named(vec!["a".into()]),
        },
        filter: match random.u8(..6) {
            0 => Some(filter("kind", Condition::Equals(Literal::Text("x".into())))),
            1 => Some(filter("w", Condition::Before(Moment::Ago(random.i64(0..20))))),
            2 => Some(filter("w", Condition::After(Moment::Ago(random.i64(0..20))))),
            _ => None,
        },
        measure: some_measure(random),
        window: match random.u8(..5) {
            0 => Some(Window::Last(random.i64(1..40))),
            1 => {
                let to = random.i64(1..15);
                Some(Window::Ago { from: to + random.i64(1..30), to })
            }
            2 => Some(Window::Fixed { from: Some(START + random.i64(0..20)), to: None }),
            _ => None,
        },
        each: None,
        unless: None,
    }
}

/// Values of every kind, numbers among them that leave 64 bits of 10^-9 alone or together.
fn some_value(random: &mut Rng) -> &'static str {
    pick::<&str>(
        random,
        &[
            "1",
            "1",
            "-2",
            "0.5",
            "9000000000",
            "-9000000000",
            "1e15",
            r#""3""#,
            r#""x""#,
            "null",
            "[1,2]",
            r#"{"b":1}"#,
        ],
    )
}

fn some_event(sequence: u64, now: Millis, random: &mut Rng) -> Vec<u8> {
    let timestamp = now - *pick(random, &[0, 0, 1, 2, 5, 10, 20, 39]);
    let (name, value, kind) = (pick(random, &["a", "b", "c"]), some_value(random), pick(random, &["x", "y"]));
    let time = now + random.i64(-30..30);
    let json = format!(
        r#"{{"userId": "u", "eventType": "{name}", "timestamp": {timestamp},
            "properties": {{"v": {value}, "kind": ["{kind}", "{kind}"], "w": {time}}}}}"#
    );
    record(&json, now, sequence)
}

/// A value or a fraction, as which both a reading and an answer of the naive evaluator are compared.
#[derive(Debug, PartialEq)]
enum CellAnswer {
    Missing,
    Fraction(i128, u64),
    Value(Value),
}

fn said(operand: Operand<'_>) -> CellAnswer {
    match operand {
        Operand::Missing | Operand::Value(ValueRef::Null) => CellAnswer::Missing,
        Operand::Number(number) | Operand::Value(ValueRef::Number(number)) => CellAnswer::Fraction(number.units(), 1),
        Operand::Ratio { sum, count } => CellAnswer::Fraction(sum.units(), count),
        Operand::Value(value) => CellAnswer::Value(value.to_value()),
    }
}

fn said_by(reading: &Reading, now: Millis) -> CellAnswer {
    match reading {
        Reading::Missing | Reading::Held(_) | Reading::Answered { .. } => CellAnswer::Missing,
        Reading::Number(number) => said(Operand::Number(*number)),
        Reading::Ratio(sum, count) => said(Operand::Ratio { sum: *sum, count: *count }),
        Reading::Since(instant) => said(Operand::Number(Decimal::from_integer(now - instant))),
        Reading::Flat(bytes) => said(ValueRef::read(bytes).map(|(value, _)| value).into()),
    }
}

fn reading_of(cell: &Option<Cell>, kind: &MeasureKind, now: Millis) -> Reading {
    cell.as_ref().map_or_else(|| kind.default_reading(), |cell| cell.reading(kind, now))
}

/// A number that is kept as such is the same, told sooner; and what is written down comes back.
fn check_encoding(cell: &Option<Cell>, kind: &MeasureKind, now: Millis) {
    let Some(cell) = cell else { return };
    if let Some(units) = cell.number_units() {
        assert_eq!(cell.reading(kind, now), Reading::Number(Decimal::from_units(i128::from(units))));
    }
    let mut decoded: Cell = bincode::deserialize(&bincode::serialize(cell).expect("bytes")).expect("a cell");
    assert_eq!(decoded, *cell);
    decoded.renumber(9);
    assert_eq!((decoded.measure(), decoded.reading(kind, now)), (9, cell.reading(kind, now)));
}

#[test]
fn cell_says_what_the_naive_evaluator_measures() {
    for_each_case(2_000, |random| {
        let behaviour = some_behaviour(random);
        let key = MeasureKey::Behaviour(std::sync::Arc::new(behaviour.clone()));
        let kind = MeasureKind::of(&key);
        let mut listeners = Listeners::default();
        listeners.add(0, &key);
        let mut cell: Option<Cell> = None;
        let mut records: Vec<Vec<u8>> = Vec::new();
        let mut now = START;
        // History may come later than what followed it.
        let mut sequences: Vec<u64> = (0..random.u64(1..20)).collect();
        random.shuffle(&mut sequences);
        for sequence in sequences {
            if random.u8(..3) == 0 {
                let before = now;
                now += random.i64(0..25);
                // As a worker does: nobody looks before the instant that was told.
                if let Some(cell) = cell.as_mut().filter(|cell| cell.next_change(&kind, &[], before) <= now) {
                    cell.advance(&kind, now);
                }
            } else {
                let record = some_event(sequence, now, random);
                let mut wanting = Vec::new();
                listeners.of_event(&event(&record), &mut wanting);
                assert!(wanting.len() <= 1, "a measure is asked once");
                if !wanting.is_empty() {
                    let applied = AppliedEvent { event: &event(&record), record: &SharedRecord::default(), now };
                    cell = apply(cell, 0, &kind, applied).map_or_else(|unchanged| unchanged, Some);
                }
                records.push(record);
                records.sort_by_key(|record| event(record).sequence());
            }
            let mut history = EventHistory::default();
            records.iter().for_each(|record| history.push(event(record)));
            let expected = said(history.measure(&behaviour, now));
            assert_eq!(said_by(&reading_of(&cell, &kind, now), now), expected, "{behaviour:?} at {now}");
            check_encoding(&cell, &kind, now);
        }
    });
}

#[test]
fn cell_of_a_trait_says_the_latest_value_that_was_set() {
    for_each_case(1_000, |random| {
        let path = *pick(random, &["n", "n.b"]);
        let kind = MeasureKind::of(&MeasureKey::Trait(path.split('.').map(Into::into).collect()));
        let MeasureKind::Trait(path_of) = &kind else { panic!("a trait") };
        let mut cell: Option<Cell> = None;
        let mut records: Vec<Vec<u8>> = Vec::new();
        let mut sequences: Vec<u64> = (0..random.u64(1..15)).collect();
        random.shuffle(&mut sequences);
        for sequence in sequences {
            let (value, timestamp) = (some_value(random), START + random.i64(0..6));
            let name = if random.u8(..3) == 0 { path } else { "n" };
            let json = format!(
                r#"{{"userId": "u", "eventType": "identify", "timestamp": {timestamp}, "traits": {{"{name}": {value}}}}}"#
            );
            let record = record(&json, START, sequence);
            let value = event(&record).traits().get(name).expect("a trait");
            let applied = AppliedTrait { name, value, event: &event(&record) };
            cell = apply_trait(cell, 0, path_of, applied).map_or_else(|unchanged| unchanged, Some);
            records.push(record);
            // The naive evaluator takes events in the order of acceptance.
            records.sort_by_key(|record| event(record).sequence());
            let mut history = EventHistory::default();
            records.iter().for_each(|record| history.push(event(record)));
            let expected = said(history.trait_value(path, START + 6).into());
            assert_eq!(said_by(&reading_of(&cell, &kind, START), START), expected, "{path}");
            check_encoding(&cell, &kind, START);
        }
    });
}

#[test]
fn cell_tells_the_next_instant_at_which_a_test_of_it_may_change() {
    for_each_case(600, |random| {
        let behaviour = some_behaviour(random);
        let kind = MeasureKind::of(&MeasureKey::Behaviour(std::sync::Arc::new(behaviour.clone())));
        let condition = match kind.is_since() {
            true => Condition::Between(
                Literal::Number(Decimal::from_integer(random.i64(0..20))),
                Literal::Number(Decimal::from_integer(random.i64(20..40))),
            ),
            false => Condition::After(Moment::Ago(random.i64(0..30))),
        };
        let test = Test { negated: random.bool(), condition };
        let offsets = crate::program::relative_offsets(&test, kind.is_since());
        let records: Vec<Vec<u8>> = (0..random.u64(1..6)).map(|sequence| some_event(sequence, START, random)).collect();
        let mut cell: Option<Cell> = None;
        let mut history = EventHistory::default();
        for record in records.iter().filter(|record| behaviour.events.contains(event(record).event_type())) {
            let applied = AppliedEvent { event: &event(record), record: &SharedRecord::default(), now: START };
            cell = apply(cell, 0, &kind, applied).map_or_else(|unchanged| unchanged, Some);
            history.push(event(record));
        }
        let next = cell.as_ref().map_or(Millis::MAX, |cell| cell.next_change(&kind, &offsets, START));
        assert!(next > START);
        let holds = test.holds(history.measure(&behaviour, START), START);
        for now in START..next.min(START + 80) {
            assert_eq!(
                test.holds(history.measure(&behaviour, now), now),
                holds,
                "{behaviour:?} at {now}, before {next}"
            );
        }
    });
}

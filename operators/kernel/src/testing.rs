//! Random cases, and the events and naive aggregates that the small models of the tests are made of.

use std::collections::BTreeSet;

use audience_rules::ast::Millis;
use audience_rules::decimal::Decimal;
use audience_rules::event::{EventDefaults, decode_event};
use audience_rules::record::{EventRef, set_sequence};
use audience_rules::value::ValueRef;
use fastrand::Rng;

use crate::measure::{Aggregate, Contribution};
use crate::reading::Reading;
use crate::window_log::{DAY_MILLIS, flat};

/// The `AUDIENCE_PROPTEST_CASES` with which a test runs as many cases as it asks for.
const STANDARD_CASES: u64 = 400;

/// Runs a test for many seeds, from `AUDIENCE_PROPTEST_SEED` on. How many scales by `AUDIENCE_PROPTEST_CASES`.
pub(crate) fn for_each_case(standard: u64, test: impl Fn(&mut Rng)) {
    let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = setting("AUDIENCE_PROPTEST_SEED").unwrap_or(0);
    let scale = setting("AUDIENCE_PROPTEST_CASES").unwrap_or(STANDARD_CASES);
    let cases = (standard * scale).div_ceil(STANDARD_CASES);
    for seed in first..first + cases {
        let _seed = ShownOnFailure(seed);
        test(&mut Rng::with_seed(seed));
    }
}

/// A seed that is printed where the test of its case fails.
struct ShownOnFailure(u64);

impl Drop for ShownOnFailure {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("again, alone: AUDIENCE_PROPTEST_SEED={seed} AUDIENCE_PROPTEST_CASES=1");
        }
    }
}

/// One of these.
pub(crate) fn pick<'a, T>(random: &mut Rng, items: &'a [T]) -> &'a T {
    &items[random.usize(..items.len())]
}

/// The record of an event in JSON.
pub(crate) fn record(json: &str, accepted_at: Millis, sequence: u64) -> Vec<u8> {
    let mut record = Vec::new();
    decode_event(json.as_bytes(), &EventDefaults { accepted_at }, &mut record).expect("an event");
    set_sequence(&mut record, sequence);
    record
}

/// The event of a record.
pub(crate) fn event(record: &[u8]) -> EventRef<'_> {
    EventRef::read(record).expect("a record").0
}

/// All aggregates.
pub(crate) const AGGREGATES: [Aggregate; 13] = [
    Aggregate::Count,
    Aggregate::Sum,
    Aggregate::Average,
    Aggregate::Min,
    Aggregate::Max,
    Aggregate::Distinct,
    Aggregate::Days,
    Aggregate::First,
    Aggregate::Last,
    Aggregate::FirstInstant,
    Aggregate::LastInstant,
    Aggregate::SinceFirst,
    Aggregate::SinceLast,
];

/// An event as the models keep it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Happened {
    /// Its timestamp.
    pub(crate) timestamp: Millis,
    /// Its place in the order of acceptance.
    pub(crate) sequence: u64,
    /// The value that is aggregated.
    pub(crate) value: i64,
}

impl Happened {
    /// Returns its contribution to an aggregate.
    pub(crate) fn contribution(&self, aggregate: Aggregate) -> Contribution<'static> {
        let number = Decimal::from_integer(self.value);
        match aggregate {
            Aggregate::Sum | Aggregate::Average | Aggregate::Min | Aggregate::Max => Contribution::Number(number),
            Aggregate::Distinct => Contribution::Fingerprint(self.value as u128),
            Aggregate::First | Aggregate::Last => Contribution::Value(ValueRef::Number(number)),
            _ => Contribution::Occurrence,
        }
    }
}

/// The aggregate over these events, from scratch.
pub(crate) fn aggregate_of(aggregate: Aggregate, events: impl Iterator<Item = Happened>) -> Reading {
    let mut events: Vec<Happened> = events.collect();
    events.sort_by_key(|event| (event.timestamp, event.sequence));
    let values: Vec<i64> = events.iter().map(|event| event.value).collect();
    let days = events.iter().map(|event| event.timestamp.div_euclid(DAY_MILLIS));
    let count = values.len();
    let number = |number: i64| Reading::Number(Decimal::from_integer(number));
    let number_or_missing = |found: Option<&i64>| found.map_or(Reading::Missing, |found| number(*found));
    let value = |found: Option<&i64>| {
        found.map_or(Reading::Missing, |found| Reading::Flat(flat(ValueRef::Number(Decimal::from_integer(*found)))))
    };
    let instant = |found: Option<&Happened>| found.map_or(Reading::Missing, |found| number(found.timestamp));
    let since = |found: Option<&Happened>| found.map_or(Reading::Missing, |found| Reading::Since(found.timestamp));
    match aggregate {
        Aggregate::Count => number(count as i64),
        Aggregate::Sum => number(values.iter().sum()),
        Aggregate::Average if count == 0 => Reading::Missing,
        Aggregate::Average => Reading::Ratio(Decimal::from_integer(values.iter().sum()), count as u64),
        Aggregate::Min => number_or_missing(values.iter().min()),
        Aggregate::Max => number_or_missing(values.iter().max()),
        Aggregate::Distinct => number(values.iter().collect::<BTreeSet<_>>().len() as i64),
        Aggregate::Days => number(days.collect::<BTreeSet<_>>().len() as i64),
        Aggregate::First => value(values.first()),
        Aggregate::Last => value(values.last()),
        Aggregate::FirstInstant => instant(events.first()),
        Aggregate::LastInstant => instant(events.last()),
        Aggregate::SinceFirst => since(events.first()),
        Aggregate::SinceLast => since(events.last()),
    }
}

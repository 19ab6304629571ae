//! The value of a leaf over one user's events: the part that is no collection. Of what the second page of the language says, and of
//! all that depends on a zone other than UTC, the naive evaluator finds it.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use audience_rules::ast::{Behaviour, EventTypes, Filter, Function, Measure, Millis, Node, Sequence, Window};
use audience_rules::catalogue::Catalogue;
use audience_rules::decimal::Decimal;
use audience_rules::oracle::EventHistory;
use audience_rules::record::{EventRef, RecordKind};
use audience_rules::test::{Operand, event_value, filter_holds, number_of};
use audience_rules::value::{Value, ValueRef};
use audience_rules::zone::ZoneId;
use serde::{Deserialize, Serialize};

/// The value of a leaf for a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Measured {
    /// True if it holds.
    pub holds: bool,
    /// The number that was measured, for ranks.
    pub number: Option<Number>,
}

/// An exact number: so many units of 10^-9, divided by a count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Number {
    units: i128,
    of: i128,
}

impl Number {
    fn of(operand: Operand<'_>) -> Option<Number> {
        match operand {
            Operand::Number(number) => Some(Number { units: number.units(), of: 1 }),
            Operand::Value(value) => Some(Number { units: number_of(value)?.units(), of: 1 }),
            Operand::Ratio { sum, count } => Some(Number { units: sum.units(), of: i128::from(count) }),
            Operand::Missing => None,
        }
    }

    /// How it stands to another, exactly.
    pub fn compare(&self, other: &Number) -> Ordering {
        let whole = self.units.div_euclid(self.of).cmp(&other.units.div_euclid(other.of));
        let rests = (self.units.rem_euclid(self.of) * other.of).cmp(&(other.units.rem_euclid(other.of) * self.of));
        whole.then(rests)
    }
}

/// Returns whether an event has any part in what a leaf says now.
pub fn concerns((leaf, zone): &(Node, ZoneId), event: &EventRef<'_>, now: Millis) -> bool {
    if event.timestamp() > now {
        return false;
    }
    if asks_oracle(leaf, *zone) {
        return true;
    }
    match leaf {
        Node::Behaviour { behaviour, .. } => {
            let Behaviour { events, filter, window, .. } = &**behaviour;
            is_inside(*window, event, now) && matches(events, filter.as_ref(), event, now)
        }
        Node::Sequence(sequence) => is_inside(sequence.window, event, now),
        Node::Trait { field, .. } => {
            let sets = |name: &str| event.traits().get(name).is_some();
            event.kind() == RecordKind::Identify && (sets(field) || sets(field.split('.').next().unwrap_or("")))
        }
        _ => false,
    }
}

fn asks_oracle(leaf: &Node, zone: ZoneId) -> bool {
    !leaf.is_plain() || (zone != ZoneId::UTC && leaf.zones().platform)
}

fn is_inside(window: Option<Window>, event: &EventRef<'_>, now: Millis) -> bool {
    let age = now - event.timestamp();
    match window {
        None => true,
        Some(Window::Last(duration)) => age < duration,
        Some(Window::Ago { from, to }) => to <= age && age < from,
        Some(Window::Fixed { from, to }) => {
            from.is_none_or(|from| from <= event.timestamp()) && to.is_none_or(|to| event.timestamp() <= to)
        }
        Some(window) => window.contains(event.timestamp(), &now.into()),
    }
}

fn matches(events: &EventTypes, filter: Option<&Filter>, event: &EventRef<'_>, now: Millis) -> bool {
    events.contains(event.event_type()) && filter.is_none_or(|filter| filter_holds(filter, event, now))
}

/// The value of a leaf for a user, given the events that concern it, each with its place in the order of acceptance.
pub fn measured((leaf, zone): &(Node, ZoneId), user: &str, events: &[&(u64, Vec<u8>)], now: Millis) -> Measured {
    if asks_oracle(leaf, *zone) {
        return asked((leaf, *zone), events, now);
    }
    let mut events: Vec<EventRef<'_>> =
        events.iter().filter_map(|(_, record)| EventRef::read(record).map(|(event, _)| event)).collect();
    events.sort_by_key(|event| (event.timestamp(), event.sequence()));
    let (operand, test) = match leaf {
        Node::Behaviour { behaviour, test } => (measure(&behaviour.measure, &events, now), test),
        Node::Trait { field, test } => (trait_value(field, &events), test),
        Node::Sequence(sequence) => return Measured { holds: follows(sequence, &events, now), number: None },
        Node::Sample(sample) => return Measured { holds: sample.holds(user), number: None },
        _ => return Measured { holds: false, number: None },
    };
    Measured { holds: test.holds(operand, now), number: Number::of(operand) }
}

fn asked((leaf, zone): (&Node, ZoneId), events: &[&(u64, Vec<u8>)], now: Millis) -> Measured {
    let mut records: Vec<EventRef<'_>> =
        events.iter().filter_map(|(_, record)| EventRef::read(record).map(|(event, _)| event)).collect();
    records.sort_by_key(EventRef::sequence);
    let mut history = EventHistory::empty().in_zone(zone);
    records.into_iter().for_each(|event| history.push_counted(event));
    let number = match leaf {
        Node::Behaviour { behaviour, .. } => Number::of(history.measure(behaviour, now)),
        _ => None,
    };
    Measured { holds: history.holds(leaf, &Catalogue::default(), now), number }
}

fn trait_value<'a>(field: &str, identifies: &[EventRef<'a>]) -> Operand<'a> {
    let last = |name: &str| identifies.iter().filter_map(|event| event.traits().get(name)).next_back();
    if let Some(value) = last(field).filter(|value| !value.is_null()) {
        return Operand::Value(value);
    }
    let mut keys = field.split('.');
    let name = keys.next().unwrap_or_default();
    let below: Vec<std::sync::Arc<str>> = keys.map(Into::into).collect();
    last(name).and_then(|value| value.path(&below)).filter(|value| !value.is_null()).into()
}

fn measure<'a>(measure: &Measure, events: &[EventRef<'a>], now: Millis) -> Operand<'a> {
    let whole = |number: i64| Operand::Number(Decimal::from_integer(number));
    let since = |event: Option<&EventRef<'_>>| event.map_or(Operand::Missing, |event| whole(now - event.timestamp()));
    let (function, path) = match measure {
        Measure::Count => return whole(events.len() as i64),
        Measure::Days => {
            let days: BTreeSet<i64> = events.iter().map(|event| event.timestamp().div_euclid(86_400_000)).collect();
            return whole(days.len() as i64);
        }
        Measure::SinceFirst => return since(events.first()),
        Measure::SinceLast => return since(events.last()),
        Measure::Of(function, path) => (function, path),
        _ => return Operand::Missing,
    };
    let values: Vec<ValueRef<'a>> = events.iter().filter_map(|event| event_value(path, event)).collect();
    let numbers: Vec<Decimal> = values.iter().filter_map(|value| number_of(*value)).collect();
    let sum = Decimal::from_units(numbers.iter().map(|number| number.units()).sum());
    let number = |number: Option<&Decimal>| number.map_or(Operand::Missing, |number| Operand::Number(*number));
    match function {
        Function::Sum => Operand::Number(sum),
        Function::Avg if numbers.is_empty() => Operand::Missing,
        Function::Avg => Operand::Ratio { sum, count: numbers.len() as u64 },
        Function::Min => number(numbers.iter().min()),
        Function::Max => number(numbers.iter().max()),
        Function::Distinct => {
            whole(values.iter().map(|value| value.to_value()).collect::<BTreeSet<Value>>().len() as i64)
        }
        Function::First => values.first().copied().into(),
        Function::Last => values.last().copied().into(),
        Function::Median | Function::Mode => Operand::Missing,
    }
}

/// Returns whether some choice of events, one a step, makes the sequence: found by trying all.
fn follows(sequence: &Sequence, events: &[EventRef<'_>], now: Millis) -> bool {
    fn from(sequence: &Sequence, step: usize, before: Option<Millis>, events: &[EventRef<'_>], now: Millis) -> bool {
        let Some(next) = sequence.steps.get(step) else { return true };
        events.iter().any(|event| {
            let gap = before.map(|before| event.timestamp() - before);
            gap.is_none_or(|gap| gap > 0 && next.max_gap.is_none_or(|most| gap <= most))
                && matches(&next.events, next.filter.as_ref(), event, now)
                && from(sequence, step + 1, Some(event.timestamp()), events, now)
        })
    }
    from(sequence, 0, None, events, now)
}

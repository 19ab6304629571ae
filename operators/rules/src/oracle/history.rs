//! One user's events, and what rules measure in them.

use std::collections::BTreeSet;

use crate::ast::{Behaviour, EventTypes, Filter, Function, Measure, Millis, Sequence, Window};
use crate::catalogue::Catalogue;
use crate::decimal::Decimal;
use crate::record::{EventRef, RecordKind};
use crate::test::{Operand, event_value, filter_holds, number_of};
use crate::time::DAY;
use crate::value::{Value, ValueRef};

/// One user's events in the order of acceptance, those of one `messageId` once, no aliases.
#[derive(Clone, Debug, Default)]
pub struct EventHistory<'a> {
    events: Vec<EventRef<'a>>,
    messages: BTreeSet<&'a str>,
}

impl<'a> EventHistory<'a> {
    /// No events.
    pub const fn empty() -> Self {
        EventHistory { events: Vec::new(), messages: BTreeSet::new() }
    }

    /// Adds the next accepted event. It counts for nothing where it is an alias or an erasure, or repeats a `messageId`.
    pub fn push(&mut self, event: EventRef<'a>) {
        if event.kind().counts() && event.message().is_none_or(|message| self.messages.insert(message)) {
            self.events.push(event);
        }
    }

    /// All events, future ones too, in the order of acceptance.
    pub fn events(&self) -> &[EventRef<'a>] {
        &self.events
    }

    /// The events that count at `now`: those that match, in the order of their timestamps, then of acceptance.
    pub fn matching(
        &self,
        events: &EventTypes,
        filter: Option<&Filter>,
        window: Option<Window>,
        now: Millis,
    ) -> Vec<EventRef<'a>> {
        let mut matching: Vec<EventRef<'a>> = self
            .events
            .iter()
            .filter(|event| event.timestamp() <= now)
            .filter(|event| window.is_none_or(|window| window.contains(event.timestamp(), now)))
            .filter(|event| events.contains(event.event_type()))
            .filter(|event| filter.is_none_or(|filter| filter_holds(filter, event, now)))
            .copied()
            .collect();
        // A stable sort: equal timestamps stay in the order of acceptance.
        matching.sort_by_key(EventRef::timestamp);
        matching
    }

    /// The events that count for a measure at `now`, by timestamp, then by acceptance.
    pub fn counted(&self, behaviour: &Behaviour, now: Millis) -> Vec<EventRef<'a>> {
        self.matching(&behaviour.events, behaviour.filter.as_ref(), behaviour.window, now)
    }

    /// The measure's value at `now`.
    pub fn measure(&self, behaviour: &Behaviour, now: Millis) -> Operand<'a> {
        let events = self.counted(behaviour, now);
        let since = |event: Option<&EventRef<'_>>| {
            event.map_or(Operand::Missing, |event| number(now.saturating_sub(event.timestamp())))
        };
        match &behaviour.measure {
            Measure::Count => number(events.len() as i64),
            Measure::Days => {
                let days: BTreeSet<Millis> = events.iter().map(|event| event.timestamp().div_euclid(DAY)).collect();
                number(days.len() as i64)
            }
            Measure::SinceFirst => since(events.first()),
            Measure::SinceLast => since(events.last()),
            Measure::Of(function, path) => {
                let values: Vec<ValueRef<'a>> = events.iter().filter_map(|event| event_value(path, event)).collect();
                function_of(*function, &values)
            }
        }
    }

    /// The value at a path into `identify` traits at `now`; `None` where it is absent or null.
    pub fn trait_value(&self, path: &str, now: Millis) -> Option<ValueRef<'a>> {
        let mut keys = path.split('.');
        let name = keys.next()?;
        let identifies = self.matching(&EventTypes::Any, None, None, now);
        let settings = identifies.iter().filter(|event| event.kind() == RecordKind::Identify);
        let mut value = settings.filter_map(|event| event.traits().get(name)).next_back()?;
        for key in keys {
            let ValueRef::Object(members) = value else { return None };
            value = members.get(key)?;
        }
        (!value.is_null()).then_some(value)
    }

    /// The value of a field at `now`: a computed trait of that name or, where there is none, an `identify` trait.
    pub fn field(&self, path: &str, catalogue: &Catalogue, now: Millis) -> Operand<'a> {
        match catalogue.traits.get(path) {
            Some(computed) => self.measure(&computed.behaviour, now),
            None => self.trait_value(path, now).into(),
        }
    }

    /// Returns whether some choice of events makes the sequence at `now`.
    pub fn sequence(&self, sequence: &Sequence, now: Millis) -> bool {
        // Timestamps at which the steps so far may end.
        let mut ends: Option<BTreeSet<Millis>> = None;
        for step in &sequence.steps {
            let events = self.matching(&step.events, step.filter.as_ref(), sequence.window, now);
            let follows = |next: Millis| {
                ends.as_ref().is_none_or(|ends| {
                    ends.iter().any(|end| next > *end && step.max_gap.is_none_or(|gap| next - end <= gap))
                })
            };
            ends = Some(events.iter().map(EventRef::timestamp).filter(|next| follows(*next)).collect());
        }
        ends.is_some_and(|ends| !ends.is_empty())
    }
}

impl Window {
    /// Returns whether an instant lies inside at `now`.
    pub fn contains(self, instant: Millis, now: Millis) -> bool {
        match self {
            Window::Last(duration) => instant > now - duration && instant <= now,
            Window::Ago { from, to } => instant > now - from && instant <= now - to,
            Window::Fixed { from, to } => from.is_none_or(|from| instant >= from) && to.is_none_or(|to| instant <= to),
        }
    }
}

/// The function of values that are there, in the order of their events.
fn function_of<'a>(function: Function, values: &[ValueRef<'a>]) -> Operand<'a> {
    let numbers: Vec<Decimal> = values.iter().filter_map(|value| number_of(*value)).collect();
    let sum = Decimal::from_units(numbers.iter().map(|number| number.units()).sum());
    let number_or_missing =
        |number: Option<&Decimal>| number.map_or(Operand::Missing, |number| Operand::Number(*number));
    match function {
        Function::Sum => Operand::Number(sum),
        Function::Avg if numbers.is_empty() => Operand::Missing,
        Function::Avg => Operand::Ratio { sum, count: numbers.len() as u64 },
        Function::Min => number_or_missing(numbers.iter().min()),
        Function::Max => number_or_missing(numbers.iter().max()),
        Function::Distinct => {
            let distinct: BTreeSet<Value> = values.iter().map(|value| value.to_value()).collect();
            number(distinct.len() as i64)
        }
        Function::First => values.first().copied().into(),
        Function::Last => values.last().copied().into(),
    }
}

fn number<'a>(whole: i64) -> Operand<'a> {
    Operand::Number(Decimal::from_integer(whole))
}

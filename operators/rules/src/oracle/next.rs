//! The next instant at which an answer may change by time alone.
//!
//! Law: between `now` and that instant no answer about the node changes, with the events that are known. Cost: a look at every
//! event of the user.

use super::compare::time_of;
use super::{EventHistory, Occurrence};
use crate::ast::{
    Behaviour, Condition, EventTypes, Filter, Literal, Measurable, Measure, Millis, Moment, Node, SequenceStep, Test,
    Window,
};
use crate::catalogue::Catalogue;
use crate::decimal::{Decimal, UNITS_PER_ONE};
use crate::record::{EventRef, RecordKind};
use crate::scope::LocalNow;
use crate::test::{Operand, anniversaries, number_of, value_in};
use crate::time::parse_time_in;
use crate::value::ValueRef;

/// The first of some instants after now.
struct Soonest {
    now: LocalNow,
    next: Option<Millis>,
}

impl EventHistory<'_> {
    /// The next instant after `now` at which a condition on this user may change by time alone. Events dated later are known.
    pub fn next_change(&self, node: &Node, catalogue: &Catalogue, now: Millis) -> Option<Millis> {
        let node = node.resolved(catalogue);
        let mut soonest = self.soonest(now, node.zones().user);
        match &node {
            Node::Trait { field, test } => soonest.take_field(self, field, Some(test)),
            Node::Behaviour { behaviour, test } => soonest.take_measure(self, behaviour, Some(test)),
            Node::Sequence(sequence) => {
                for step in &sequence.steps {
                    soonest.take_step(self, step, sequence.window, sequence.lasting);
                }
            }
            Node::Compare(compare) => {
                for side in [&compare.left, &compare.right] {
                    soonest.take_measurable(self, side);
                }
                soonest.take_crossing(self, &compare.left, &compare.right);
                soonest.take_crossing(self, &compare.right, &compare.left);
            }
            Node::Group { .. } | Node::Segment(_) | Node::Rank(_) | Node::Sample(_) => {}
        }
        soonest.next
    }

    /// The next instant after `now` at which the value that orders a rank may change by time alone, but for durations, which
    /// all grow alike.
    pub fn next_value(&self, measurable: &Measurable, catalogue: &Catalogue, now: Millis) -> Option<Millis> {
        let behaviour = match measurable {
            Measurable::Behaviour(behaviour) => Some(behaviour),
            Measurable::Field(field) => catalogue.traits.get(field).map(|computed| &computed.behaviour),
        };
        let mut soonest = self.soonest(now, behaviour.is_some_and(|behaviour| behaviour.zones().user));
        match (behaviour, measurable) {
            (Some(behaviour), _) => soonest.take_measure(self, behaviour, None),
            (None, Measurable::Field(field)) => soonest.take_field(self, field, None),
            (None, Measurable::Behaviour(_)) => {}
        }
        soonest.next
    }

    fn soonest(&self, now: Millis, asks_for_user: bool) -> Soonest {
        let mut soonest = Soonest { now: self.local_now(now, asks_for_user), next: None };
        if asks_for_user {
            // The zone itself may change.
            soonest.take_future(self, |event| event.kind() == RecordKind::Identify);
        }
        soonest
    }
}

impl Soonest {
    fn take(&mut self, instant: Millis) {
        if instant > self.now.now && self.next.is_none_or(|next| instant < next) {
            self.next = Some(instant);
        }
    }

    /// Something is so just then, and no longer a millisecond on.
    fn take_both(&mut self, instant: Millis) {
        self.take(instant);
        self.take(instant.saturating_add(1));
    }

    fn take_future(&mut self, history: &EventHistory<'_>, is_meant: impl Fn(&EventRef<'_>) -> bool) {
        let future = history.events().iter().filter(|event| event.timestamp() > self.now.now && is_meant(event));
        if let Some(first) = future.map(EventRef::timestamp).min() {
            self.take(first);
        }
    }

    fn take_window(&mut self, window: Window, event: Millis) {
        match window {
            Window::Last(duration) => self.take(event.saturating_add(duration)),
            Window::Ago { from, to } => {
                self.take(event.saturating_add(from));
                self.take(event.saturating_add(to));
            }
            Window::Span { from, to, zone } => {
                let zone = self.now.zone(zone);
                self.take(from.after(event, zone));
                self.take(to.after(event, zone));
            }
            Window::Calendar { unit, from, to, zone } => {
                let zone = self.now.zone(zone);
                let index = unit.of(event, zone);
                self.take(unit.start(index + i64::from(to), zone));
                self.take(unit.start(index + i64::from(from) + 1, zone));
            }
            Window::Fixed { .. } | Window::Written { .. } => {}
        }
    }

    /// A test of one value, or of the items of a list.
    fn take_value(&mut self, test: &Test, value: ValueRef<'_>) {
        if let ValueRef::Array(items) = value {
            return items.for_each(|item| self.take_scalar(test, item));
        }
        self.take_scalar(test, value);
    }

    fn take_scalar(&mut self, test: &Test, value: ValueRef<'_>) {
        match &test.condition {
            Condition::Before(moment) | Condition::After(moment) => match *moment {
                Moment::At(_) | Moment::Written(..) => {}
                Moment::Ago(duration) => {
                    if let Some(time) = parse_time_in(value, self.now.platform) {
                        self.take_both(time.saturating_add(duration));
                    }
                }
                Moment::Moved(duration, zone) => {
                    let zone = self.now.zone(zone);
                    if let Some(time) = parse_time_in(value, zone) {
                        self.take_both(duration.after(time, zone));
                    }
                }
            },
            Condition::Anniversary { from, to, zone } => {
                let zone = self.now.zone(*zone);
                let Some(time) = parse_time_in(value, zone) else { return };
                for day in anniversaries(zone.day(time), zone.day(self.now.now)) {
                    self.take(zone.day_start(day - i64::from(*to)));
                    self.take(zone.day_start(day - i64::from(*from) + 1));
                }
            }
            _ => {}
        }
    }

    fn take_filter(&mut self, filter: &Filter, occurrence: &Occurrence<'_>) {
        match filter {
            Filter::Group(_, filters) => filters.iter().for_each(|filter| self.take_filter(filter, occurrence)),
            Filter::Test(path, test) => {
                if let Some(value) = value_in(path, &occurrence.event, occurrence.item) {
                    self.take_value(test, value);
                }
            }
        }
    }

    /// The events of some types: the next of the future, and for each of the past when its filter changes.
    fn take_events(
        &mut self,
        history: &EventHistory<'_>,
        events: &EventTypes,
        mut of_past: impl FnMut(&mut Self, EventRef<'_>),
    ) {
        self.take_future(history, |event| events.contains(event.event_type()));
        for event in history.events().iter().filter(|event| events.contains(event.event_type())) {
            if event.timestamp() <= self.now.now {
                of_past(self, *event);
            }
        }
    }

    fn take_step(
        &mut self,
        history: &EventHistory<'_>,
        step: &SequenceStep,
        window: Option<Window>,
        lasting: Option<Millis>,
    ) {
        self.take_events(history, &step.events, |soonest, event| {
            if let Some(filter) = &step.filter {
                soonest.take_filter(filter, &Occurrence { event, item: None });
            }
            if !step.absent {
                window.into_iter().for_each(|window| soonest.take_window(window, event.timestamp()));
                lasting.into_iter().for_each(|lasting| soonest.take(event.timestamp().saturating_add(lasting)));
            }
        });
    }

    fn take_behaviour(&mut self, history: &EventHistory<'_>, behaviour: &Behaviour) {
        self.take_events(history, &behaviour.events, |soonest, event| {
            behaviour.window.into_iter().for_each(|window| soonest.take_window(window, event.timestamp()));
            if let Some(filter) = behaviour.filter.as_ref().filter(|filter| !filter.is_fixed()) {
                for occurrence in Occurrence::all_of(event, behaviour.each.as_deref()) {
                    soonest.take_filter(filter, &occurrence);
                }
            }
        });
        if let Some(unless) = &behaviour.unless {
            self.take_events(history, &unless.events, |soonest, event| {
                if let Some(filter) = &unless.filter {
                    soonest.take_filter(filter, &Occurrence { event, item: None });
                }
            });
        }
    }

    fn take_measure(&mut self, history: &EventHistory<'_>, behaviour: &Behaviour, test: Option<&Test>) {
        self.take_behaviour(history, behaviour);
        let Some(test) = test else { return };
        match history.measure(behaviour, self.now.now) {
            Operand::Number(age) if is_age(&behaviour.measure) => {
                let since = self.now.now - millis(age);
                for literal in ages(test) {
                    self.take_both(since.saturating_add(millis(literal)));
                }
            }
            Operand::Value(value) => self.take_value(test, value),
            Operand::Missing | Operand::Number(_) | Operand::Ratio { .. } => {}
        }
    }

    fn take_field(&mut self, history: &EventHistory<'_>, field: &str, test: Option<&Test>) {
        self.take_future(history, |event| event.kind() == RecordKind::Identify);
        if let (Some(test), Some(value)) = (test, history.trait_value(field, self.now.now)) {
            self.take_value(test, value);
        }
    }

    fn take_measurable(&mut self, history: &EventHistory<'_>, measurable: &Measurable) {
        match measurable {
            Measurable::Field(field) => self.take_field(history, field, None),
            Measurable::Behaviour(behaviour) => self.take_measure(history, behaviour, None),
        }
    }

    /// One side's age passes the other's number, or its time.
    fn take_crossing(&mut self, history: &EventHistory<'_>, age: &Measurable, other: &Measurable) {
        let nothing = Catalogue::default();
        let Measurable::Behaviour(behaviour) = age else { return };
        let Operand::Number(number) = history.measure(behaviour, self.now.now) else { return };
        if !is_age(&behaviour.measure) {
            return;
        }
        let since = self.now.now - millis(number);
        let other = history.measurable(other, &nothing, self.now.now);
        let limit = match other {
            Operand::Number(number) => Some(number),
            Operand::Ratio { sum, count } => {
                Some(Decimal::from_units(sum.units().div_euclid(i128::from(count.max(1)))))
            }
            Operand::Value(value) => number_of(value),
            Operand::Missing => None,
        };
        let limit = limit.map(millis).or_else(|| time_of(other, self.now.platform));
        if let Some(limit) = limit {
            self.take_both(since.saturating_add(limit));
        }
    }
}

fn is_age(measure: &Measure) -> bool {
    matches!(measure, Measure::SinceFirst | Measure::SinceLast)
}

/// The numbers that an age is compared with.
fn ages(test: &Test) -> Vec<Decimal> {
    let literals: Vec<&Literal> = match &test.condition {
        Condition::Equals(literal) | Condition::Compare(_, literal) => vec![literal],
        Condition::Between(low, high) => vec![low, high],
        Condition::In(literals) => literals.iter().collect(),
        _ => Vec::new(),
    };
    let number = |literal: &Literal| match literal {
        Literal::Number(number) => Some(*number),
        Literal::Text(_) | Literal::Bool(_) => None,
    };
    literals.into_iter().filter_map(number).collect()
}

/// Whole milliseconds, rounded down.
fn millis(number: Decimal) -> Millis {
    Millis::try_from(number.units().div_euclid(UNITS_PER_ONE)).unwrap_or(Millis::MAX / 4)
}

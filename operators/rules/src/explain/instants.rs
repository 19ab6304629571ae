//! The instants at which a node's verdict on a user may change by time alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ast::{
    Behaviour, Condition, EventPath, EventTypes, Filter, Literal, Measurable, Measure, Millis, Moment, Rank, Sequence,
    Test, Window,
};
use crate::catalogue::Catalogue;
use crate::decimal::UNITS_PER_ONE;
use crate::oracle::EventHistory;
use crate::record::EventRef;
use crate::test::event_value;
use crate::time::parse_time_ref;
use crate::value::ValueRef;

/// The events of a user that matter to a node, and the delays after each at which something may change.
#[derive(Debug, Default)]
pub(super) struct NodeInstants<'n> {
    parts: Vec<InstantsPart<'n>>,
}

/// The events of some types, and the delays after them that matter.
#[derive(Debug, Default)]
struct InstantsPart<'n> {
    /// `None`: those of any type.
    events: Option<&'n EventTypes>,
    window: Option<Window>,
    /// Durations after an event's own timestamp.
    behind: Vec<Millis>,
    /// Durations after the time found at a path of the event.
    behind_value: Vec<(&'n EventPath, Millis)>,
    /// The same for a trait that the event sets, by its path.
    behind_trait: Option<(&'n str, Millis)>,
}

impl<'n> InstantsPart<'n> {
    fn of(events: &'n EventTypes, filter: Option<&'n Filter>, window: Option<Window>) -> Self {
        let mut part = InstantsPart { events: Some(events), window, ..InstantsPart::default() };
        filter.into_iter().for_each(|filter| part.take_filter(filter));
        part
    }

    fn take_filter(&mut self, filter: &'n Filter) {
        match filter {
            Filter::Group(_, filters) => filters.iter().for_each(|filter| self.take_filter(filter)),
            Filter::Test(path, test) => self.behind_value.extend(relative(test).map(|duration| (path, duration))),
        }
    }

    fn of_behaviour(behaviour: &'n Behaviour) -> Self {
        InstantsPart::of(&behaviour.events, behaviour.filter.as_ref(), behaviour.window)
    }

    /// Every instant that this event may matter at.
    fn of_event(&self, event: &EventRef<'_>, take: &mut dyn FnMut(Millis)) {
        let timestamp = event.timestamp();
        take(timestamp);
        match self.window {
            Some(Window::Last(duration)) => take(timestamp + duration),
            Some(Window::Ago { from, to }) => [from, to].into_iter().for_each(|duration| take(timestamp + duration)),
            // Nodes with windows of the calendar are followed by the oracle.
            Some(_) | None => {}
        }
        for duration in &self.behind {
            crossing(timestamp, *duration, take);
        }
        for (path, duration) in &self.behind_value {
            each_time(event_value(path, event), &mut |time| crossing(time, *duration, take));
        }
        if let Some((path, duration)) = self.behind_trait {
            each_time(trait_of(path, event), &mut |time| crossing(time, duration, take));
        }
    }

    fn counts(&self, event: &EventRef<'_>) -> bool {
        self.events.is_none_or(|events| events.contains(event.event_type()))
    }
}

/// Something is so long ago just then, and longer than that a millisecond on.
fn crossing(time: Millis, duration: Millis, take: &mut dyn FnMut(Millis)) {
    take(time.saturating_add(duration));
    take(time.saturating_add(duration).saturating_add(1));
}

fn each_time(value: Option<ValueRef<'_>>, take: &mut dyn FnMut(Millis)) {
    match value {
        Some(ValueRef::Array(items)) => items.filter_map(parse_time_ref).for_each(take),
        Some(value) => parse_time_ref(value).into_iter().for_each(take),
        None => {}
    }
}

/// Returns the value that an event itself sets at the path.
fn trait_of<'a>(path: &str, event: &EventRef<'a>) -> Option<ValueRef<'a>> {
    let keys: Vec<Arc<str>> = path.split('.').map(Arc::from).collect();
    ValueRef::Object(event.traits()).path(&keys)
}

/// The duration that a test compares with, so long before now.
fn relative(test: &Test) -> Option<Millis> {
    match test.condition {
        Condition::Before(Moment::Ago(duration)) | Condition::After(Moment::Ago(duration)) => Some(duration),
        _ => None,
    }
}

/// The durations that an age is compared with.
fn ages(test: &Test) -> Vec<Millis> {
    let literals: Vec<&Literal> = match &test.condition {
        Condition::Equals(literal) | Condition::Compare(_, literal) => vec![literal],
        Condition::Between(low, high) => vec![low, high],
        Condition::In(literals) => literals.iter().collect(),
        _ => Vec::new(),
    };
    let millis = literals.into_iter().filter_map(|literal| match literal {
        Literal::Number(number) => Millis::try_from(number.units() / UNITS_PER_ONE).ok(),
        Literal::Text(_) | Literal::Bool(_) => None,
    });
    millis.collect()
}

impl<'n> NodeInstants<'n> {
    /// Returns the instants of a test of a measure.
    pub(super) fn of_test(behaviour: &'n Behaviour, test: &Test) -> Self {
        let mut part = InstantsPart::of_behaviour(behaviour);
        match &behaviour.measure {
            Measure::SinceFirst | Measure::SinceLast => part.behind.extend(ages(test)),
            Measure::Of(_, path) => part.behind_value.extend(relative(test).map(|duration| (path, duration))),
            _ => {}
        }
        NodeInstants { parts: vec![part] }
    }

    /// Returns the instants of a test of an `identify` trait.
    pub(super) fn of_trait(path: &'n str, test: &Test) -> Self {
        let behind_trait = relative(test).map(|duration| (path, duration));
        NodeInstants { parts: vec![InstantsPart { behind_trait, ..InstantsPart::default() }] }
    }

    /// Returns the instants of a sequence.
    pub(super) fn of_sequence(sequence: &'n Sequence) -> Self {
        let parts =
            sequence.steps.iter().map(|step| InstantsPart::of(&step.events, step.filter.as_ref(), sequence.window));
        NodeInstants { parts: parts.collect() }
    }

    /// Returns the instants of the order of users in a rank. The order of ages stays while none starts from scratch.
    pub(super) fn of_rank(rank: &'n Rank, catalogue: &'n Catalogue) -> Self {
        let part = match &rank.by {
            Measurable::Behaviour(behaviour) => InstantsPart::of_behaviour(behaviour),
            Measurable::Field(field) => match catalogue.traits.get(field) {
                Some(computed) => InstantsPart::of_behaviour(&computed.behaviour),
                None => InstantsPart::default(),
            },
        };
        NodeInstants { parts: vec![part] }
    }

    fn each(&self, history: &EventHistory<'_>, take: &mut dyn FnMut(Millis)) {
        for event in history.events() {
            self.parts.iter().filter(|part| part.counts(event)).for_each(|part| part.of_event(event, take));
        }
    }

    /// Returns all instants after now, in order.
    pub(super) fn behind(&self, history: &EventHistory<'_>, now: Millis) -> BTreeSet<Millis> {
        let mut instants = BTreeSet::new();
        self.each(history, &mut |instant| {
            if instant > now {
                instants.insert(instant);
            }
        });
        instants
    }

    /// Returns the first instant after now.
    pub(super) fn first_behind(&self, history: &EventHistory<'_>, now: Millis) -> Option<Millis> {
        let mut first: Option<Millis> = None;
        self.each(history, &mut |instant| {
            if instant > now && first.is_none_or(|first| instant < first) {
                first = Some(instant);
            }
        });
        first
    }
}

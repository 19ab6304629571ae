//! One user's events, and what rules measure in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ast::{
    Behaviour, EventPath, EventTypes, Filter, Function, Measurable, Measure, Millis, Test, Unless, Window,
};
use crate::catalogue::Catalogue;
use crate::decimal::Decimal;
use crate::record::{EventRef, RecordKind};
use crate::scope::LocalNow;
use crate::test::{Operand, filter_holds, filter_holds_in, number_of, value_in};
use crate::value::{Value, ValueRef};
use crate::zone::{CalendarUnit, ZoneId};

/// The `identify` trait that names a user's zone.
pub const TIMEZONE_TRAIT: &str = "timezone";

/// One user's events in the order of acceptance, those of one `messageId` once, no aliases.
#[derive(Clone, Debug, Default)]
pub struct EventHistory<'a> {
    events: Vec<EventRef<'a>>,
    messages: BTreeSet<&'a str>,
    platform: ZoneId,
}

/// A thing that counts in a measure: an event or, of a list in it, an object.
#[derive(Clone, Copy, Debug)]
pub struct Occurrence<'a> {
    /// The event.
    pub event: EventRef<'a>,
    /// The object.
    pub item: Option<ValueRef<'a>>,
}

impl<'a> Occurrence<'a> {
    fn value(&self, path: &EventPath) -> Option<ValueRef<'a>> {
        value_in(path, &self.event, self.item)
    }

    /// The things of an event that count.
    pub fn all_of(event: EventRef<'a>, each: Option<&[Arc<str>]>) -> Vec<Occurrence<'a>> {
        let Some(keys) = each else { return vec![Occurrence { event, item: None }] };
        match event.properties().path(keys) {
            Some(ValueRef::Array(items)) => {
                let objects = items.filter(|item| matches!(item, ValueRef::Object(_)));
                objects.map(|item| Occurrence { event, item: Some(item) }).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl<'a> EventHistory<'a> {
    /// No events.
    pub const fn empty() -> Self {
        EventHistory { events: Vec::new(), messages: BTreeSet::new(), platform: ZoneId::UTC }
    }

    /// The same under a platform of this zone.
    pub fn in_zone(mut self, platform: ZoneId) -> Self {
        self.platform = platform;
        self
    }

    /// Adds an event that is known to count, after all that were accepted before it.
    pub fn push_counted(&mut self, event: EventRef<'a>) {
        self.events.push(event);
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

    /// An instant, with the user's zone if that is asked for.
    pub fn local_now(&self, now: Millis, asks_for_user: bool) -> LocalNow {
        let zone = || match self.trait_value(TIMEZONE_TRAIT, now)? {
            ValueRef::Text(name) => ZoneId::named(name),
            _ => None,
        };
        let user = if asks_for_user { zone() } else { None };
        LocalNow { now, platform: self.platform, user: user.unwrap_or(self.platform) }
    }

    /// The platform's zone.
    pub fn platform(&self) -> ZoneId {
        self.platform
    }

    /// The events that have happened by `now`, in the order of their timestamps, then of acceptance.
    fn happened(&self, now: Millis) -> Vec<EventRef<'a>> {
        let mut events: Vec<EventRef<'a>> =
            self.events.iter().filter(|event| event.timestamp() <= now).copied().collect();
        // A stable sort: equal timestamps stay in the order of acceptance.
        events.sort_by_key(EventRef::timestamp);
        events
    }

    /// The events that count at `now`: those that match, in the order of their timestamps, then of acceptance.
    pub fn matching(
        &self,
        events: &EventTypes,
        filter: Option<&Filter>,
        window: Option<Window>,
        now: impl Into<LocalNow>,
    ) -> Vec<EventRef<'a>> {
        let now = now.into();
        let mut matching = self.happened(now.now);
        matching.retain(|event| {
            window.is_none_or(|window| window.contains(event.timestamp(), &now))
                && events.contains(event.event_type())
                && filter.is_none_or(|filter| filter_holds(filter, event, now))
        });
        matching
    }

    /// The events that count for a measure at `now`, by timestamp, then by acceptance.
    pub fn counted(&self, behaviour: &Behaviour, now: Millis) -> Vec<EventRef<'a>> {
        let occurrences = self.occurrences(behaviour, &self.local_now(now, behaviour.zones().user));
        let mut events: Vec<EventRef<'a>> = occurrences.into_iter().map(|occurrence| occurrence.event).collect();
        events.dedup_by(|one, other| one.bytes() == other.bytes());
        events
    }

    /// The things that count for a measure at `now`, by timestamp, then by acceptance, then by its place in the list.
    pub fn occurrences(&self, behaviour: &Behaviour, now: &LocalNow) -> Vec<Occurrence<'a>> {
        let mut counted: Vec<Occurrence<'a>> = self
            .matching(&behaviour.events, None, behaviour.window, *now)
            .into_iter()
            .flat_map(|event| Occurrence::all_of(event, behaviour.each.as_deref()))
            .filter(|Occurrence { event, item }| {
                behaviour.filter.as_ref().is_none_or(|filter| filter_holds_in(filter, event, *item, now))
            })
            .collect();
        if let Some(unless) = &behaviour.unless {
            let undone: BTreeSet<Value> = self.undoing(unless, now).into_iter().map(|(value, _)| value).collect();
            counted.retain(|occurrence| {
                occurrence.value(&unless.own).is_none_or(|value| !undone.contains(&value.to_value()))
            });
        }
        counted
    }

    /// The values that are undone by `now`, each with the event that undoes it, by timestamp.
    pub fn undoing(&self, unless: &Unless, now: &LocalNow) -> Vec<(Value, EventRef<'a>)> {
        let events = self.matching(&unless.events, unless.filter.as_ref(), None, *now);
        let value = |event: &EventRef<'a>| value_in(&unless.other, event, None).map(ValueRef::to_value);
        events.into_iter().filter_map(|event| Some((value(&event)?, event))).collect()
    }

    /// The measure's value at `now`.
    pub fn measure(&self, behaviour: &Behaviour, now: Millis) -> Operand<'a> {
        let now = self.local_now(now, behaviour.zones().user);
        let counted = self.occurrences(behaviour, &now);
        let since = |occurrence: Option<&Occurrence<'_>>| {
            occurrence.map_or(Operand::Missing, |counted| number(now.now.saturating_sub(counted.event.timestamp())))
        };
        let units = |unit: CalendarUnit, zone: ZoneId| {
            let units: BTreeSet<i64> = counted.iter().map(|counted| unit.of(counted.event.timestamp(), zone)).collect();
            number(units.len() as i64)
        };
        match &behaviour.measure {
            Measure::Count => number(counted.len() as i64),
            Measure::Days => units(CalendarUnit::Day, now.platform),
            Measure::Units(unit, zone) => units(*unit, now.zone(*zone)),
            Measure::Sessions(gap) => {
                let starts = counted
                    .windows(2)
                    .filter(|pair| pair[1].event.timestamp().saturating_sub(pair[0].event.timestamp()) > *gap);
                number(starts.count() as i64 + i64::from(!counted.is_empty()))
            }
            Measure::SinceFirst => since(counted.first()),
            Measure::SinceLast => since(counted.last()),
            Measure::Of(function, path) => {
                let values: Vec<ValueRef<'a>> = counted.iter().filter_map(|counted| counted.value(path)).collect();
                function_of(*function, &values)
            }
            Measure::OfProduct(function, paths) => function_of(*function, &values_of(&counted, paths)),
            Measure::Nth(function, paths, nth) => {
                let values = values_of(&counted, paths);
                let back = usize::from(*nth).saturating_sub(1);
                match function {
                    Function::First => values.get(back).copied().into(),
                    _ => values.iter().nth_back(back).copied().into(),
                }
            }
        }
    }

    /// The value at a path into `identify` traits at `now`; `None` where it is absent or null. The whole path is first tried as a
    /// trait's name, then the part before the first dot.
    pub fn trait_value(&self, path: &str, now: Millis) -> Option<ValueRef<'a>> {
        let events = self.happened(now);
        let last = |name: &str| {
            let settings = events.iter().filter(|event| event.kind() == RecordKind::Identify);
            settings.filter_map(|event| event.traits().get(name)).next_back().filter(|value| !value.is_null())
        };
        if let Some(value) = last(path) {
            return Some(value);
        }
        let (name, below) = path.split_once('.')?;
        let keys: Vec<Arc<str>> = below.split('.').map(Arc::from).collect();
        last(name)?.path(&keys).filter(|value| !value.is_null())
    }

    /// The value of a field at `now`: a computed trait of that name or, where there is none, an `identify` trait.
    pub fn field(&self, path: &str, catalogue: &Catalogue, now: Millis) -> Operand<'a> {
        match catalogue.traits.get(path) {
            Some(computed) => self.measure(&computed.behaviour, now),
            None => self.trait_value(path, now).into(),
        }
    }

    /// The value that orders a rank, or stands on a side of a comparison, at `now`.
    pub fn measurable(&self, measurable: &Measurable, catalogue: &Catalogue, now: Millis) -> Operand<'a> {
        match measurable {
            Measurable::Field(field) => self.field(field, catalogue, now),
            Measurable::Behaviour(behaviour) => self.measure(behaviour, now),
        }
    }

    /// Returns whether a test holds of a value of this user at `now`.
    pub fn passes(&self, test: &Test, operand: Operand<'_>, now: Millis) -> bool {
        test.holds(operand, self.local_now(now, test.zones().user))
    }
}

impl Window {
    /// Returns whether an instant lies inside.
    pub fn contains(self, instant: Millis, now: &LocalNow) -> bool {
        let at = now.now;
        match self {
            Window::Last(duration) => instant > at - duration && instant <= at,
            Window::Ago { from, to } => instant > at - from && instant <= at - to,
            Window::Fixed { from, to } => from.is_none_or(|from| instant >= from) && to.is_none_or(|to| instant <= to),
            Window::Span { from, to, zone } => {
                let zone = now.zone(zone);
                to.after(instant, zone) <= at && at < from.after(instant, zone)
            }
            Window::Calendar { unit, from, to, zone } => {
                let back = unit.of(at, now.zone(zone)) - unit.of(instant, now.zone(zone));
                instant <= at && (i64::from(to)..=i64::from(from)).contains(&back)
            }
            Window::Written { from, to, zone } => {
                let zone = now.zone(zone);
                // A time beyond the range bounds nothing.
                from.and_then(|from| from.instant(zone)).is_none_or(|from| instant >= from)
                    && to.and_then(|to| to.last_instant(zone)).is_none_or(|to| instant <= to)
            }
        }
    }
}

/// The values at a path, or the products of the numbers at several.
fn values_of<'a>(counted: &[Occurrence<'a>], paths: &[EventPath]) -> Vec<ValueRef<'a>> {
    let value = |counted: &Occurrence<'a>| match paths {
        [path] => counted.value(path),
        paths => {
            let factors: Option<Vec<Decimal>> =
                paths.iter().map(|path| counted.value(path).and_then(number_of)).collect();
            Decimal::product(&factors?).map(ValueRef::Number)
        }
    };
    counted.iter().filter_map(value).collect()
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
        Function::Median => median(numbers),
        Function::Mode => mode(values).into(),
    }
}

fn median<'a>(mut numbers: Vec<Decimal>) -> Operand<'a> {
    numbers.sort_unstable();
    let middle = numbers.len() / 2;
    match (numbers.get(middle), middle.checked_sub(1).and_then(|before| numbers.get(before))) {
        (None, _) => Operand::Missing,
        (Some(high), Some(low)) if numbers.len().is_multiple_of(2) => {
            Operand::Ratio { sum: Decimal::from_units(low.units() + high.units()), count: 2 }
        }
        (Some(number), _) => Operand::Number(*number),
    }
}

/// The most frequent value; of equally frequent ones the one that came last.
fn mode<'a>(values: &[ValueRef<'a>]) -> Option<ValueRef<'a>> {
    let mut found: BTreeMap<Value, (usize, usize)> = BTreeMap::new();
    for (place, value) in values.iter().enumerate() {
        let (count, last) = found.entry(value.to_value()).or_default();
        (*count, *last) = (*count + 1, place);
    }
    found.into_values().max().and_then(|(_, last)| values.get(last)).copied()
}

fn number<'a>(whole: i64) -> Operand<'a> {
    Operand::Number(Decimal::from_integer(whole))
}

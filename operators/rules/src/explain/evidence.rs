//! The events that a value was made of.

use std::collections::BTreeMap;

use crate::ast::{Behaviour, EventTypes, Function, Measure, Millis, Sequence};
use crate::oracle::{EventHistory, LinkedSteps, StepLink, agreed};
use crate::record::{EventRef, RecordKind};
use crate::scope::ZoneUse;
use crate::test::{event_value, value_in};
use crate::value::{Value, ValueRef};

use super::{Evidence, MOST_EVENTS};

/// The newest of them, newest first.
fn newest<'a>(events: &[EventRef<'a>]) -> Evidence<'a> {
    Evidence {
        total: events.len(),
        events: events.iter().rev().take(MOST_EVENTS).copied().collect(),
        undone: Vec::new(),
    }
}

/// The events that count for a measure: those that have a value, where it is of values; of the first and the last, that one.
pub(super) fn of_measure<'a>(history: &EventHistory<'a>, behaviour: &Behaviour, now: Millis) -> Evidence<'a> {
    let mut events = history.counted(behaviour, now);
    if let (Measure::Of(_, path), None) = (&behaviour.measure, &behaviour.each) {
        events.retain(|event| event_value(path, event).is_some());
    }
    match &behaviour.measure {
        Measure::SinceFirst | Measure::Of(Function::First, _) => events.truncate(1),
        Measure::SinceLast | Measure::Of(Function::Last, _) => drop(events.drain(..events.len().saturating_sub(1))),
        _ => {}
    }
    Evidence { undone: undone(history, behaviour, now), ..newest(&events) }
}

/// The newest events that would count if another did not undo them, or an object in them, each with that other.
fn undone<'a>(history: &EventHistory<'a>, behaviour: &Behaviour, now: Millis) -> Vec<(EventRef<'a>, EventRef<'a>)> {
    let Some(unless) = &behaviour.unless else { return Vec::new() };
    let local = history.local_now(now, behaviour.zones().user);
    let undoing: BTreeMap<Value, EventRef<'a>> = history.undoing(unless, &local).into_iter().rev().collect();
    let all = Behaviour { unless: None, ..behaviour.clone() };
    let mut undone: Vec<(EventRef<'a>, EventRef<'a>)> = Vec::new();
    for counted in history.occurrences(&all, &local).into_iter().rev() {
        let value = value_in(&unless.own, &counted.event, counted.item).map(ValueRef::to_value);
        let by = value.and_then(|value| undoing.get(&value));
        let is_new = undone.last().is_none_or(|(event, _)| event.bytes() != counted.event.bytes());
        undone.extend(by.filter(|_| is_new).map(|by| (counted.event, *by)));
        if undone.len() == MOST_EVENTS {
            break;
        }
    }
    undone
}

/// The event that set an `identify` trait last.
pub(super) fn of_trait<'a>(history: &EventHistory<'a>, path: &str, now: Millis) -> Evidence<'a> {
    let name = path.split('.').next().unwrap_or(path);
    let mut events = history.matching(&EventTypes::Any, None, None, now);
    let sets = |name: &str| {
        let setting = events.iter().filter(|event| event.kind() == RecordKind::Identify);
        setting.filter_map(|event| event.traits().get(name)).next_back().is_some_and(|value| !value.is_null())
    };
    let name = if sets(path) { path } else { name };
    events.retain(|event| event.kind() == RecordKind::Identify && event.traits().get(name).is_some());
    events.drain(..events.len().saturating_sub(1));
    newest(&events)
}

/// One choice of events that makes the sequence or, where there is none, as many of its first steps as there are; the last of
/// those is undone by what came after it and must not.
pub(super) fn of_sequence<'a>(history: &EventHistory<'a>, sequence: &Sequence, now: Millis) -> Evidence<'a> {
    let (events, is_whole) = chain(history, sequence, now);
    let undone = if is_whole { None } else { broken(history, sequence, &events, now) };
    Evidence { total: events.len(), events, undone: undone.into_iter().collect() }
}

/// The last of the events that begin a sequence, and the first after it of those that must not come there.
fn broken<'a>(
    history: &EventHistory<'a>,
    sequence: &Sequence,
    events: &[EventRef<'a>],
    now: Millis,
) -> Option<(EventRef<'a>, EventRef<'a>)> {
    let last = *events.last()?;
    let mut zones = ZoneUse::default();
    zones.add_sequence(sequence);
    let now = history.local_now(now, zones.user);
    let places = sequence.steps.iter().enumerate().filter(|(_, step)| !step.absent);
    let (place, _) = places.take(events.len()).last()?;
    let absent = sequence.steps[place + 1..].iter().take_while(|step| step.absent);
    let came = absent.flat_map(|step| history.matching(&step.events, step.filter.as_ref(), None, now));
    let same = agreed(&sequence.same, &last);
    let by = came.filter(|event| event.timestamp() > last.timestamp() && agreed(&sequence.same, event) == same);
    Some((last, by.min_by_key(EventRef::timestamp)?))
}

/// Returns whether there is one: the answer of the oracle, where no step is absent in time linear in the number of events.
pub(super) fn sequence_holds(history: &EventHistory<'_>, sequence: &Sequence, now: Millis) -> bool {
    chain(history, sequence, now).1
}

/// One choice of events, as far as there is one, and whether it is whole.
fn chain<'a>(history: &EventHistory<'a>, sequence: &Sequence, now: Millis) -> (Vec<EventRef<'a>>, bool) {
    let mut best: (Vec<EventRef<'a>>, bool) = (Vec::new(), false);
    for links in history.links(sequence, now) {
        let found = chain_of(&links, sequence, now);
        if (found.1, found.0.len()) > (best.1, best.0.len()) {
            best = found;
        }
        if best.1 {
            break;
        }
    }
    best
}

fn chain_of<'a>(links: &LinkedSteps<'a>, sequence: &Sequence, now: Millis) -> (Vec<EventRef<'a>>, bool) {
    // Of each step the events that it may end with, each with one of the step before that it may follow.
    let mut steps: Vec<Vec<(EventRef<'a>, usize)>> = Vec::new();
    for link in &links.links {
        let events = link.events.iter().copied();
        let ends: Vec<(EventRef<'a>, usize)> = match steps.last() {
            None => events.map(|event| (event, 0)).collect(),
            Some(before) => events.filter_map(|event| Some((event, last_before(before, &event, link)?))).collect(),
        };
        if ends.is_empty() {
            break;
        }
        steps.push(ends);
    }
    let is_long = steps.len() == links.links.len();
    let last = steps.last().map_or(&[][..], Vec::as_slice);
    let end = last.iter().rposition(|(event, _)| links.may_end(sequence, event.timestamp(), now)).filter(|_| is_long);
    let mut chain = Vec::new();
    let mut at = end.unwrap_or(last.len().saturating_sub(1));
    for ends in steps.iter().rev() {
        let Some((event, before)) = ends.get(at) else { break };
        chain.push(*event);
        at = *before;
    }
    chain.reverse();
    (chain, end.is_some())
}

/// The latest end of the step before that an event may follow: what bars the way from it bars that from an earlier one, too. They
/// are in the order of their timestamps.
fn last_before(ends: &[(EventRef<'_>, usize)], event: &EventRef<'_>, link: &StepLink<'_>) -> Option<usize> {
    let earlier = ends.partition_point(|(end, _)| end.timestamp() < event.timestamp());
    let last = earlier.checked_sub(1)?;
    link.follows(ends[last].0.timestamp(), event.timestamp()).then_some(last)
}

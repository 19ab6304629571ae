//! The events that a value was made of.

use crate::ast::{Behaviour, EventTypes, Function, Measure, Millis, Sequence};
use crate::oracle::EventHistory;
use crate::record::{EventRef, RecordKind};
use crate::test::event_value;

use super::{Evidence, MOST_EVENTS};

/// The newest of them, newest first.
fn newest<'a>(events: &[EventRef<'a>]) -> Evidence<'a> {
    Evidence { total: events.len(), events: events.iter().rev().take(MOST_EVENTS).copied().collect() }
}

/// The events that count for a measure: those that have a value, where it is of values; of the first and the last, that one.
pub(super) fn of_measure<'a>(history: &EventHistory<'a>, behaviour: &Behaviour, now: Millis) -> Evidence<'a> {
    let mut events = history.counted(behaviour, now);
    if let Measure::Of(_, path) = &behaviour.measure {
        events.retain(|event| event_value(path, event).is_some());
    }
    match &behaviour.measure {
        Measure::SinceFirst | Measure::Of(Function::First, _) => events.truncate(1),
        Measure::SinceLast | Measure::Of(Function::Last, _) => drop(events.drain(..events.len().saturating_sub(1))),
        _ => {}
    }
    newest(&events)
}

/// The event that set an `identify` trait last.
pub(super) fn of_trait<'a>(history: &EventHistory<'a>, path: &str, now: Millis) -> Evidence<'a> {
    let name = path.split('.').next().unwrap_or(path);
    let mut events = history.matching(&EventTypes::Any, None, None, now);
    events.retain(|event| event.kind() == RecordKind::Identify && event.traits().get(name).is_some());
    events.drain(..events.len().saturating_sub(1));
    newest(&events)
}

/// One choice of events that makes the sequence or, where there is none, as many of its first steps as there are.
pub(super) fn of_sequence<'a>(history: &EventHistory<'a>, sequence: &Sequence, now: Millis) -> Evidence<'a> {
    let events = chain(history, sequence, now);
    Evidence { total: events.len(), events }
}

/// Returns whether there is one: the answer of the oracle, in time linear in the number of events.
pub(super) fn sequence_holds(history: &EventHistory<'_>, sequence: &Sequence, now: Millis) -> bool {
    chain(history, sequence, now).len() == sequence.steps.len()
}

fn chain<'a>(history: &EventHistory<'a>, sequence: &Sequence, now: Millis) -> Vec<EventRef<'a>> {
    // Of each step the events that it may end with, each with one of the step before that it may follow.
    let mut steps: Vec<Vec<(EventRef<'a>, usize)>> = Vec::new();
    for step in &sequence.steps {
        let events = history.matching(&step.events, step.filter.as_ref(), sequence.window, now);
        let ends: Vec<(EventRef<'a>, usize)> = match steps.last() {
            None => events.into_iter().map(|event| (event, 0)).collect(),
            Some(before) => events
                .into_iter()
                .filter_map(|event| Some((event, last_before(before, &event, step.max_gap)?)))
                .collect(),
        };
        if ends.is_empty() {
            break;
        }
        steps.push(ends);
    }
    let mut chain = Vec::new();
    let mut at = steps.last().map_or(0, |ends| ends.len().saturating_sub(1));
    for ends in steps.iter().rev() {
        let Some((event, before)) = ends.get(at) else { break };
        chain.push(*event);
        at = *before;
    }
    chain.reverse();
    chain
}

/// The latest end of the step before that an event may follow. They are in the order of their timestamps.
fn last_before(ends: &[(EventRef<'_>, usize)], event: &EventRef<'_>, max_gap: Option<Millis>) -> Option<usize> {
    let earlier = ends.partition_point(|(end, _)| end.timestamp() < event.timestamp());
    let last = earlier.checked_sub(1)?;
    let gap = event.timestamp() - ends[last].0.timestamp();
    max_gap.is_none_or(|max_gap| gap <= max_gap).then_some(last)
}

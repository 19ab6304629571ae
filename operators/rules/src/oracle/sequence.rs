//! Sequences, with steps that must not come and steps that agree.

use std::collections::BTreeSet;

use super::EventHistory;
use crate::ast::{EventPath, Millis, Sequence, SequenceStep};
use crate::record::EventRef;
use crate::scope::{LocalNow, ZoneUse};
use crate::test::event_value;
use crate::value::{Value, ValueRef};

/// The values of an event at the paths in which steps agree; `None` where one is missing.
pub(crate) fn agreed(same: &[EventPath], event: &EventRef<'_>) -> Option<Vec<Value>> {
    same.iter().map(|path| event_value(path, event).map(ValueRef::to_value)).collect()
}

/// A step that must come, and the absent ones before it.
#[derive(Clone, Debug)]
pub(crate) struct StepLink<'a> {
    /// The events that match it, by timestamp.
    pub(crate) events: Vec<EventRef<'a>>,
    /// Timestamps at which something came that must not come before it, after the step before.
    pub(crate) barred: BTreeSet<Millis>,
    /// At most so long after the step before.
    pub(crate) max_gap: Option<Millis>,
}

impl StepLink<'_> {
    /// Returns whether it may come at an instant, the step before having come at another.
    pub(crate) fn follows(&self, before: Millis, at: Millis) -> bool {
        at > before
            && self.max_gap.is_none_or(|gap| at - before <= gap)
            && self.barred.range(before + 1..at).next().is_none()
    }
}

/// A sequence over the events that agree in some values.
#[derive(Clone, Debug)]
pub(crate) struct LinkedSteps<'a> {
    /// The steps that must come.
    pub(crate) links: Vec<StepLink<'a>>,
    /// Timestamps at which something came that must not come after the last of them.
    pub(crate) barred: BTreeSet<Millis>,
}

impl<'a> LinkedSteps<'a> {
    /// Returns whether the last step may be the end at `now`.
    pub(crate) fn may_end(&self, sequence: &Sequence, end: Millis, now: Millis) -> bool {
        self.barred.range(end + 1..).next().is_none() && sequence.lasting.is_none_or(|lasting| now - end >= lasting)
    }
}

impl<'a> EventHistory<'a> {
    /// Returns whether some choice of events makes the sequence at `now`.
    pub fn sequence(&self, sequence: &Sequence, now: Millis) -> bool {
        self.links(sequence, now).iter().any(|links| {
            // Timestamps at which the steps so far may end.
            let mut ends: Option<BTreeSet<Millis>> = None;
            for link in &links.links {
                let may_come =
                    |at: &Millis| ends.as_ref().is_none_or(|ends| ends.iter().any(|before| link.follows(*before, *at)));
                ends = Some(link.events.iter().map(EventRef::timestamp).filter(may_come).collect());
            }
            ends.is_some_and(|ends| ends.into_iter().any(|end| links.may_end(sequence, end, now)))
        })
    }

    /// The sequence over all events or, where steps agree, for each of the values that the first step has.
    pub(crate) fn links(&self, sequence: &Sequence, now: Millis) -> Vec<LinkedSteps<'a>> {
        let mut zones = ZoneUse::default();
        zones.add_sequence(sequence);
        let now = self.local_now(now, zones.user);
        let matching = |step: &SequenceStep| {
            let window = sequence.window.filter(|_| !step.absent);
            self.matching(&step.events, step.filter.as_ref(), window, now)
        };
        let steps: Vec<Vec<EventRef<'a>>> = sequence.steps.iter().map(matching).collect();
        if sequence.same.is_empty() {
            return vec![linked(sequence, &steps, now, |_| true)];
        }
        let first = steps.first().into_iter().flatten();
        let values: BTreeSet<Vec<Value>> = first.filter_map(|event| agreed(&sequence.same, event)).collect();
        let of = |values: &Vec<Value>| {
            linked(sequence, &steps, now, |event| agreed(&sequence.same, event).as_ref() == Some(values))
        };
        values.iter().map(of).collect()
    }
}

/// Joins the steps, of each those events that are meant.
fn linked<'a>(
    sequence: &Sequence,
    steps: &[Vec<EventRef<'a>>],
    now: LocalNow,
    is_meant: impl Fn(&EventRef<'a>) -> bool,
) -> LinkedSteps<'a> {
    let mut links = Vec::new();
    let mut barred = BTreeSet::new();
    for (step, events) in sequence.steps.iter().zip(steps) {
        let events = events.iter().filter(|event| event.timestamp() <= now.now && is_meant(event));
        if step.absent {
            barred.extend(events.map(EventRef::timestamp));
        } else {
            let barred = std::mem::take(&mut barred);
            links.push(StepLink { events: events.copied().collect(), barred, max_gap: step.max_gap });
        }
    }
    LinkedSteps { links, barred }
}

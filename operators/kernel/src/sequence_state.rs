//! A user's state for a sequence: the events that match some step, and whether the sequence holds.
//!
//! Law: the sequence holds at *now* if some choice of events, one for each step, lies inside the window. Each event of the
//! choice is strictly later than the one before, and within its gap.
//! Cost: O(kept events × steps) when an event is added or time may change the answer. Without a window nothing is kept
//! once the sequence has held, since it then holds for ever.

use audience_rules::ast::{Millis, Sequence};
use audience_rules::record::EventRef;
use audience_rules::test::filter_holds;
use serde::{Deserialize, Serialize};

use crate::measure::Span;
use crate::relative_log::{TimeRange, contains, filter_spans, next_boundary};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SequenceEvent {
    timestamp: Millis,
    /// Bit *i*: matches step *i*, at any time.
    steps: u16,
    /// (step, span): matches that step in that span only.
    at_times: Vec<(u8, TimeRange)>,
}

/// A user's state for a sequence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SequenceState {
    entries: Vec<SequenceEvent>,
    held: bool,
    for_ever: bool,
    next: Millis,
}

impl SequenceState {
    /// Adds an event, if it matches a step; then call [`advance`](Self::advance).
    pub(crate) fn add(
        &mut self,
        sequence: &Sequence,
        span: Span,
        relative: bool,
        event: &EventRef<'_>,
        now: Millis,
    ) -> bool {
        let timestamp = event.timestamp();
        let Some((enter, leave)) = span.of_event(timestamp) else { return false };
        if self.for_ever || leave <= now {
            return false;
        }
        let mut steps = 0;
        let mut at_times = Vec::new();
        for (index, step) in sequence.steps.iter().enumerate() {
            if !step.events.contains(event.event_type()) {
                continue;
            }
            if relative {
                let spans = filter_spans(step.filter.as_ref(), event, (enter, leave));
                at_times.extend(spans.into_iter().map(|span| (index as u8, span)));
            } else if step.filter.as_ref().is_none_or(|filter| filter_holds(filter, event, now)) {
                steps |= 1 << index;
            }
        }
        if steps == 0 && at_times.is_empty() {
            return false;
        }
        let at = self.entries.partition_point(|entry| entry.timestamp < timestamp);
        match self.entries.get_mut(at) {
            Some(entry) if entry.timestamp == timestamp => {
                entry.steps |= steps;
                entry.at_times.extend(at_times);
            }
            _ => self.entries.insert(at, SequenceEvent { timestamp, steps, at_times }),
        }
        if span == Span::Lasting && sequence.steps.iter().all(|step| step.max_gap.is_none()) && !relative {
            self.prune(sequence.steps.len());
        }
        true
    }

    /// Without gaps and windows only the earliest first step and the latest last step matter.
    fn prune(&mut self, steps: usize) {
        let last = 1u16 << (steps - 1);
        let mut first_seen = false;
        for entry in &mut self.entries {
            if entry.steps & 1 != 0 && std::mem::replace(&mut first_seen, true) {
                entry.steps &= !1;
            }
        }
        let mut last_seen = false;
        for entry in self.entries.iter_mut().rev() {
            if entry.steps & last != 0 && std::mem::replace(&mut last_seen, true) {
                entry.steps &= !last;
            }
        }
        self.entries.retain(|entry| entry.steps != 0);
    }

    /// Brings the answer to `now`.
    pub(crate) fn advance(&mut self, sequence: &Sequence, span: Span, now: Millis) {
        if self.for_ever {
            return;
        }
        if let Span::Sliding { leave, .. } = span {
            let gone = self.entries.partition_point(|entry| entry.timestamp + leave <= now);
            self.entries.drain(..gone);
        }
        let start = self.latest_start(sequence, span, now);
        self.held = start.is_some();
        let lasting =
            !matches!(span, Span::Sliding { .. }) && self.entries.iter().all(|entry| entry.at_times.is_empty());
        if self.held && lasting {
            *self = SequenceState { held: true, for_ever: true, next: Millis::MAX, ..SequenceState::default() };
            return;
        }
        self.next = self.next_change_after(start, span, now);
    }

    fn next_change_after(&self, start: Option<Millis>, span: Span, now: Millis) -> Millis {
        let mut next = next_boundary(self.entries.iter().flat_map(|entry| &entry.at_times).map(|(_, span)| span), now);
        if let Span::Sliding { enter, leave } = span {
            if let Some(start) = start {
                next = next.min(start + leave);
            }
            let entering = self.entries.partition_point(|entry| entry.timestamp + enter <= now);
            if let Some(entry) = self.entries.get(entering) {
                next = next.min(entry.timestamp + enter);
            }
            // One look when all are gone, so that they are forgotten.
            if let Some(last) = self.entries.last() {
                next = next.min(last.timestamp + leave);
            }
        }
        next
    }

    /// The latest first step of a choice that holds at `now`.
    fn latest_start(&self, sequence: &Sequence, span: Span, now: Millis) -> Option<Millis> {
        // Of each step but the last: its latest (timestamp, start) so far. Starts never fall as timestamps rise, so the
        // latest event within the gap is also the one with the latest start.
        let count = sequence.steps.len();
        let mut latest: Vec<Option<(Millis, Millis)>> = vec![None; count];
        let mut best = None;
        let mut reached: Vec<Option<Millis>> = vec![None; count];
        for entry in &self.entries {
            if span.of_event(entry.timestamp).is_none_or(|(enter, leave)| now < enter || leave <= now) {
                continue;
            }
            for (index, step) in sequence.steps.iter().enumerate() {
                reached[index] = None;
                if !entry.matches(index, now) {
                    continue;
                }
                reached[index] = match index {
                    0 => Some(entry.timestamp),
                    _ => latest[index - 1].and_then(|(at, start)| {
                        let gap = entry.timestamp - at;
                        (gap > 0 && step.max_gap.is_none_or(|most| gap <= most)).then_some(start)
                    }),
                };
            }
            for index in 0..count {
                if let Some(start) = reached[index] {
                    latest[index] = Some((entry.timestamp, start));
                }
            }
            best = best.max(reached[count - 1]);
        }
        best
    }

    /// Returns whether the sequence holds, as of the last [`advance`](Self::advance).
    pub(crate) fn held(&self) -> bool {
        self.held
    }

    /// The next instant at which the answer may change by time alone.
    pub(crate) fn next_change(&self) -> Millis {
        if self.for_ever || self.entries.is_empty() { Millis::MAX } else { self.next }
    }

    /// Returns whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && !self.held
    }
}

impl SequenceEvent {
    fn matches(&self, step: usize, now: Millis) -> bool {
        self.steps >> step & 1 == 1
            || self.at_times.iter().any(|(index, span)| usize::from(*index) == step && contains(&[*span], now))
    }
}

#[cfg(test)]
mod tests;

//! The events of a measure whose filter itself depends on now ("an event whose `expires` is before now − 3 d"), each
//! with the spans of time in which it counts.
//!
//! Law: as [`crate::window_log`], with any spans. Cost: every reading looks at every event kept; such filters are rare.

use std::sync::Arc;

use audience_rules::ast::{Condition, Filter, Millis, Moment};
use audience_rules::decimal::Decimal;
use audience_rules::record::EventRef;
use audience_rules::test::{event_value, filter_holds};
use audience_rules::time::parse_time_ref;
use audience_rules::value::ValueRef;
use serde::{Deserialize, Serialize};

use crate::measure::{Aggregate, Contribution, Span};
use crate::reading::Reading;
use crate::window_log::{WindowLog, flat};

/// From the first instant until before the second.
pub(crate) type TimeRange = (Millis, Millis);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum KeptValue {
    Occurrence,
    Number(Decimal),
    Fingerprint(u128),
    Flat(Arc<[u8]>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct RelativeEvent {
    timestamp: Millis,
    sequence: u64,
    kept: KeptValue,
    spans: Vec<TimeRange>,
}

/// Events with the spans of time in which they count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RelativeLog {
    entries: Vec<RelativeEvent>,
}

impl RelativeLog {
    /// Adds an event that counts in `spans`.
    pub(crate) fn add(
        &mut self,
        contribution: Contribution<'_>,
        timestamp: Millis,
        sequence: u64,
        spans: Vec<TimeRange>,
    ) {
        let kept = match contribution {
            Contribution::Occurrence => KeptValue::Occurrence,
            Contribution::Number(number) => KeptValue::Number(number),
            Contribution::Fingerprint(hash) => KeptValue::Fingerprint(hash),
            Contribution::Value(value) => KeptValue::Flat(flat(value)),
        };
        let at = self.entries.partition_point(|entry| (entry.timestamp, entry.sequence) < (timestamp, sequence));
        self.entries.insert(at, RelativeEvent { timestamp, sequence, kept, spans });
    }

    /// Forgets what no longer counts at `now` or later.
    pub(crate) fn advance(&mut self, now: Millis) {
        self.entries.retain(|entry| entry.spans.last().is_some_and(|(_, end)| *end > now));
    }

    /// The next instant after `now` at which an event begins or ends to count.
    pub(crate) fn next_change(&self, now: Millis) -> Millis {
        next_boundary(self.entries.iter().flat_map(|entry| &entry.spans), now)
    }

    /// The aggregate over the events that count at `now`.
    pub(crate) fn reading(&self, aggregate: Aggregate, now: Millis) -> Reading {
        let mut log = WindowLog::new(aggregate);
        for entry in self.entries.iter().filter(|entry| contains(&entry.spans, now)) {
            let contribution = match &entry.kept {
                KeptValue::Occurrence => Contribution::Occurrence,
                KeptValue::Number(number) => Contribution::Number(*number),
                KeptValue::Fingerprint(hash) => Contribution::Fingerprint(*hash),
                KeptValue::Flat(bytes) => match ValueRef::read(bytes) {
                    Some((value, _)) => Contribution::Value(value),
                    None => continue,
                },
            };
            log.add(contribution, entry.timestamp, entry.sequence, Span::Lasting, now);
        }
        log.reading(aggregate)
    }

    /// Returns whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Returns whether one of the spans holds `now`.
pub(crate) fn contains(spans: &[TimeRange], now: Millis) -> bool {
    spans.iter().any(|(start, end)| *start <= now && now < *end)
}

/// The least boundary after `now`.
pub(crate) fn next_boundary<'a>(spans: impl Iterator<Item = &'a TimeRange>, now: Millis) -> Millis {
    spans
        .flat_map(|(start, end)| [*start, *end])
        .filter(|instant| *instant > now && *instant != Millis::MAX)
        .min()
        .unwrap_or(Millis::MAX)
}

/// The spans within `within` in which the filter holds of the event.
pub(crate) fn filter_spans(filter: Option<&Filter>, event: &EventRef<'_>, within: TimeRange) -> Vec<TimeRange> {
    let Some(filter) = filter else { return vec![within] };
    let mut flips = Vec::new();
    collect_flips(filter, event, &mut flips);
    flips.retain(|flip| within.0 < *flip && *flip < within.1);
    flips.push(within.0);
    flips.sort_unstable();
    flips.dedup();
    let mut spans: Vec<TimeRange> = Vec::new();
    for (index, start) in flips.iter().enumerate() {
        let end = flips.get(index + 1).copied().unwrap_or(within.1);
        if filter_holds(filter, event, *start) {
            match spans.last_mut() {
                Some(last) if last.1 == *start => last.1 = end,
                _ => spans.push((*start, end)),
            }
        }
    }
    spans
}

fn collect_flips(filter: &Filter, event: &EventRef<'_>, flips: &mut Vec<Millis>) {
    match filter {
        Filter::Group(_, parts) => parts.iter().for_each(|part| collect_flips(part, event, flips)),
        Filter::Test(path, test) => {
            if let Condition::Before(Moment::Ago(ago)) | Condition::After(Moment::Ago(ago)) = test.condition {
                for time in event_value(path, event).into_iter().flat_map(times) {
                    flips.extend([time + ago, time + ago + 1]);
                }
            }
        }
    }
}

/// The times that a value says: its own, or those of an array's elements.
pub(crate) fn times(value: ValueRef<'_>) -> Vec<Millis> {
    match value {
        ValueRef::Array(items) => items.filter_map(parse_time_ref).collect(),
        value => parse_time_ref(value).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests;

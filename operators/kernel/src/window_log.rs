//! The events of a sliding window by timestamp, each reduced to what its aggregate needs, and the aggregate over those
//! that count now.
//!
//! Law: `reading(now)` is the aggregate over the events added whose span has `now`. A span's ends never lie before those of an
//! earlier event.
//! Cost: an addition in order and an expiration are O(1) for counts, sums and averages, O(log n) for extremes, distinct
//! values and days; memory is that of the events from before their entering to their leaving.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use audience_rules::ast::Millis;
use audience_rules::decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::measure::{Aggregate, Contribution, Span};
use crate::reading::Reading;

/// Milliseconds in a UTC day.
pub(crate) const DAY_MILLIS: Millis = 86_400_000;

/// The events' values, beside their timestamps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum WindowValues {
    Nothing,
    Numbers(VecDeque<i128>),
    Fingerprints(VecDeque<u128>),
    Flat(VecDeque<(u64, Arc<[u8]>)>),
}

/// The aggregate state of the events that count now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum WindowTotal {
    Nothing,
    Sum(i128),
    Numbers(BTreeMap<i128, u32>),
    Fingerprints(BTreeMap<u128, u32>),
    Days(BTreeMap<Millis, u32>),
}

/// The events of a sliding window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct WindowLog {
    instants: VecDeque<Millis>,
    values: WindowValues,
    /// The number of events that count now; the later ones are yet to enter.
    counting: usize,
    total: WindowTotal,
}

impl WindowLog {
    /// An empty log for an aggregate.
    pub(crate) fn new(aggregate: Aggregate) -> Self {
        let (values, total) = match aggregate {
            Aggregate::Sum | Aggregate::Average => (WindowValues::Numbers(VecDeque::new()), WindowTotal::Sum(0)),
            Aggregate::Min | Aggregate::Max => {
                (WindowValues::Numbers(VecDeque::new()), WindowTotal::Numbers(BTreeMap::new()))
            }
            Aggregate::Distinct => {
                (WindowValues::Fingerprints(VecDeque::new()), WindowTotal::Fingerprints(BTreeMap::new()))
            }
            Aggregate::First | Aggregate::Last => (WindowValues::Flat(VecDeque::new()), WindowTotal::Nothing),
            Aggregate::Days => (WindowValues::Nothing, WindowTotal::Days(BTreeMap::new())),
            _ => (WindowValues::Nothing, WindowTotal::Nothing),
        };
        WindowLog { instants: VecDeque::new(), values, counting: 0, total }
    }

    /// Adds an event; the log must have been advanced to `now`.
    pub(crate) fn add(
        &mut self,
        contribution: Contribution<'_>,
        timestamp: Millis,
        sequence: u64,
        span: Span,
        now: Millis,
    ) {
        let Some((enter, leave)) = span.of_event(timestamp) else { return };
        if leave <= now {
            return;
        }
        let mut at = self.instants.partition_point(|known| *known <= timestamp);
        if let WindowValues::Flat(values) = &self.values {
            while at > 0 && self.instants[at - 1] == timestamp && values[at - 1].0 > sequence {
                at -= 1;
            }
        }
        self.instants.insert(at, timestamp);
        match (&mut self.values, contribution) {
            (WindowValues::Numbers(values), Contribution::Number(number)) => values.insert(at, number.units()),
            (WindowValues::Fingerprints(values), Contribution::Fingerprint(hash)) => values.insert(at, hash),
            (WindowValues::Flat(values), Contribution::Value(value)) => values.insert(at, (sequence, flat(value))),
            _ => {}
        }
        if enter <= now {
            self.counting += 1;
            self.count_in(at);
        }
    }

    /// Lets events enter and leave up to `now`.
    pub(crate) fn advance(&mut self, span: Span, now: Millis) {
        while self.instants.get(self.counting).is_some_and(|next| span.enters(*next) <= now) {
            self.counting += 1;
            self.count_in(self.counting - 1);
        }
        while self.counting > 0 && self.instants.front().is_some_and(|first| span.leaves(*first) <= now) {
            self.count_out();
            self.counting -= 1;
            self.instants.pop_front();
            match &mut self.values {
                WindowValues::Nothing => {}
                WindowValues::Numbers(values) => drop(values.pop_front()),
                WindowValues::Fingerprints(values) => drop(values.pop_front()),
                WindowValues::Flat(values) => drop(values.pop_front()),
            }
        }
    }

    /// The next instant at which an event enters or leaves.
    pub(crate) fn next_change(&self, span: Span) -> Millis {
        let entering = self.instants.get(self.counting).map_or(Millis::MAX, |next| span.enters(*next));
        let leaving = if self.counting > 0 { span.leaves(self.instants[0]) } else { Millis::MAX };
        entering.min(leaving)
    }

    /// Returns whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.instants.is_empty()
    }

    fn count_in(&mut self, at: usize) {
        match (&mut self.total, &self.values) {
            (WindowTotal::Sum(sum), WindowValues::Numbers(values)) => *sum += values[at],
            (WindowTotal::Numbers(counts), WindowValues::Numbers(values)) => {
                *counts.entry(values[at]).or_default() += 1
            }
            (WindowTotal::Fingerprints(counts), WindowValues::Fingerprints(values)) => {
                *counts.entry(values[at]).or_default() += 1
            }
            (WindowTotal::Days(counts), _) => *counts.entry(self.instants[at].div_euclid(DAY_MILLIS)).or_default() += 1,
            _ => {}
        }
    }

    fn count_out(&mut self) {
        match (&mut self.total, &self.values) {
            (WindowTotal::Sum(sum), WindowValues::Numbers(values)) => *sum -= values[0],
            (WindowTotal::Numbers(counts), WindowValues::Numbers(values)) => take_one(counts, values[0]),
            (WindowTotal::Fingerprints(counts), WindowValues::Fingerprints(values)) => take_one(counts, values[0]),
            (WindowTotal::Days(counts), _) => take_one(counts, self.instants[0].div_euclid(DAY_MILLIS)),
            _ => {}
        }
    }

    /// The aggregate over the events that count.
    pub(crate) fn reading(&self, aggregate: Aggregate) -> Reading {
        let count = self.counting;
        let whole = |number: usize| Reading::Number(Decimal::from_integer(number as i64));
        match (aggregate, &self.total, &self.values) {
            (Aggregate::Count, ..) => whole(count),
            (Aggregate::Sum, WindowTotal::Sum(sum), _) => Reading::Number(Decimal::from_units(*sum)),
            (Aggregate::Days, WindowTotal::Days(counts), _) => whole(counts.len()),
            (Aggregate::Distinct, WindowTotal::Fingerprints(counts), _) => whole(counts.len()),
            _ if count == 0 => Reading::Missing,
            (Aggregate::Average, WindowTotal::Sum(sum), _) => Reading::Ratio(Decimal::from_units(*sum), count as u64),
            (Aggregate::Min, WindowTotal::Numbers(counts), _) => edge(counts.keys().next()),
            (Aggregate::Max, WindowTotal::Numbers(counts), _) => edge(counts.keys().next_back()),
            (Aggregate::First, _, WindowValues::Flat(values)) => Reading::Flat(values[0].1.clone()),
            (Aggregate::Last, _, WindowValues::Flat(values)) => Reading::Flat(values[count - 1].1.clone()),
            (Aggregate::FirstInstant, ..) => Reading::Number(Decimal::from_integer(self.instants[0])),
            (Aggregate::LastInstant, ..) => Reading::Number(Decimal::from_integer(self.instants[count - 1])),
            (Aggregate::SinceFirst, ..) => Reading::Since(self.instants[0]),
            (Aggregate::SinceLast, ..) => Reading::Since(self.instants[count - 1]),
            _ => Reading::Missing,
        }
    }
}

fn edge(units: Option<&i128>) -> Reading {
    units.map_or(Reading::Missing, |units| Reading::Number(Decimal::from_units(*units)))
}

fn take_one<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// The flat form of a value by itself.
pub(crate) fn flat(value: audience_rules::value::ValueRef<'_>) -> Arc<[u8]> {
    let mut bytes = Vec::with_capacity(24);
    value.to_value().encode(&mut bytes);
    bytes.into()
}

#[cfg(test)]
mod tests;

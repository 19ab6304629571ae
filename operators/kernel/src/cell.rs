//! A user's state for one measure, in 16 bytes if it is small.

mod setting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use audience_rules::ast::Millis;
use audience_rules::decimal::{Decimal, UNITS_PER_ONE};
use audience_rules::test::filter_holds;
use audience_rules::value::ValueRef;
use serde::{Deserialize, Serialize};

use crate::measure::{Aggregate, AppliedEvent, Contribution, MeasureId, MeasureKind, Span, contribution};
use crate::question::{KeptEvents, UserQuestion};
use crate::reading::Reading;
use crate::relative_log::{RelativeLog, filter_spans, times};
use crate::sequence_state::SequenceState;
use crate::window_log::{DAY_MILLIS, WindowLog, flat};

use self::setting::DottedTrait;
pub(crate) use self::setting::{AppliedTrait, apply_trait};

/// A user's state for one measure. Every variant begins with the measure, so that the enum stays at 16 bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Cell {
    /// A count.
    Count {
        /// The measure.
        measure: MeasureId,
        /// The number of events.
        count: u64,
    },
    /// A sum, least or greatest number that fits 64 bits of 10^-9.
    Number {
        /// The measure.
        measure: MeasureId,
        /// In 10^-9.
        units: i64,
    },
    /// The earliest or latest timestamp.
    Instant {
        /// The measure.
        measure: MeasureId,
        /// Milliseconds.
        at: Millis,
    },
    /// Anything larger.
    Other {
        /// The measure.
        measure: MeasureId,
        /// The state.
        state: Box<LargeState>,
    },
    /// A trait that is a number of 64 bits of 10^-9, as most are: read without a further step through memory.
    TraitNumber {
        /// The measure.
        measure: MeasureId,
        /// The number.
        value: Box<TraitNumber>,
    },
}

/// A trait's number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TraitNumber {
    /// Its timestamp.
    at: Millis,
    /// Its place of arrival.
    sequence: u64,
    /// In 10^-9.
    units: i64,
}

/// A state that does not fit the cell itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum LargeState {
    /// A number beyond 64 bits of 10^-9.
    Wide(i128),
    /// Sum and count of an average.
    Average(i128, u64),
    /// Hashes of distinct values.
    Distinct(BTreeSet<u128>),
    /// Distinct UTC days.
    Days(BTreeSet<Millis>),
    /// The first or last value, with its timestamp and place of arrival.
    Edge(Millis, u64, Arc<[u8]>),
    /// A trait's value (`None`: unset) that is no small number, with its timestamp and place of arrival.
    Trait(Millis, u64, Option<Arc<[u8]>>),
    /// A sliding window.
    Window(WindowLog),
    /// Events that count at certain times.
    Relative(RelativeLog),
    /// A sequence.
    Sequence(SequenceState),
    /// The events that matter to a question.
    Kept(KeptEvents),
    /// A trait at a path with dots, of which one `identify` set the whole as a name.
    Dotted(DottedTrait),
}

impl Cell {
    /// The measure.
    pub(crate) fn measure(&self) -> MeasureId {
        match self {
            Cell::Count { measure, .. }
            | Cell::Number { measure, .. }
            | Cell::Instant { measure, .. }
            | Cell::Other { measure, .. }
            | Cell::TraitNumber { measure, .. } => *measure,
        }
    }

    /// Gives the cell another measure number.
    pub(crate) fn renumber(&mut self, to: MeasureId) {
        match self {
            Cell::Count { measure, .. }
            | Cell::Number { measure, .. }
            | Cell::Instant { measure, .. }
            | Cell::Other { measure, .. }
            | Cell::TraitNumber { measure, .. } => *measure = to,
        }
    }

    /// Returns its reading at `now`, to which it must have been advanced.
    pub(crate) fn reading(&self, kind: &MeasureKind, now: Millis) -> Reading {
        let aggregate = match kind {
            MeasureKind::Behaviour { aggregate, .. } => *aggregate,
            _ => Aggregate::Count,
        };
        match self {
            Cell::Count { count, .. } => Reading::Number(Decimal::from_integer(*count as i64)),
            Cell::Number { units, .. } => Reading::Number(Decimal::from_units(i128::from(*units))),
            Cell::Instant { at, .. } if kind.is_since() => Reading::Since(*at),
            Cell::Instant { at, .. } => Reading::Number(Decimal::from_integer(*at)),
            Cell::TraitNumber { value, .. } => Reading::Number(Decimal::from_units(i128::from(value.units))),
            Cell::Other { state, .. } => match &**state {
                LargeState::Wide(units) => Reading::Number(Decimal::from_units(*units)),
                LargeState::Average(sum, count) => Reading::Ratio(Decimal::from_units(*sum), *count),
                LargeState::Distinct(values) => Reading::Number(Decimal::from_integer(values.len() as i64)),
                LargeState::Days(days) => Reading::Number(Decimal::from_integer(days.len() as i64)),
                LargeState::Edge(_, _, value) => Reading::Flat(value.clone()),
                LargeState::Trait(_, _, value) => value.clone().map_or(Reading::Missing, Reading::Flat),
                LargeState::Window(log) => log.reading(aggregate),
                LargeState::Relative(log) => log.reading(aggregate, now),
                LargeState::Sequence(state) => Reading::Held(state.held()),
                LargeState::Dotted(dotted) => dotted.value().cloned().map_or(Reading::Missing, Reading::Flat),
                LargeState::Kept(kept) => match kind {
                    MeasureKind::Asked(question) => kept.reading(question, now),
                    _ => Reading::Missing,
                },
            },
        }
    }

    /// Returns its number in 10^-9, if it is kept as a number: the same as [`reading`](Self::reading), in less time.
    pub(crate) fn number_units(&self) -> Option<i64> {
        match self {
            Cell::Count { count, .. } => i64::try_from(*count).ok()?.checked_mul(UNITS_PER_ONE as i64),
            Cell::Number { units, .. } => Some(*units),
            Cell::TraitNumber { value, .. } => Some(value.units),
            Cell::Instant { .. } | Cell::Other { .. } => None,
        }
    }

    /// Reads what it keeps elsewhere in memory, for nothing but that it is near then.
    pub(crate) fn fetch(&self) -> u64 {
        match self {
            Cell::TraitNumber { value, .. } => value.sequence,
            Cell::Other { state, .. } => match &**state {
                LargeState::Average(_, count) => *count,
                LargeState::Edge(_, sequence, _) | LargeState::Trait(_, sequence, _) => *sequence,
                LargeState::Window(log) => u64::from(log.is_empty()),
                _ => 0,
            },
            Cell::Count { .. } | Cell::Number { .. } | Cell::Instant { .. } => 0,
        }
    }

    /// Brings windows to `now`.
    pub(crate) fn advance(&mut self, kind: &MeasureKind, now: Millis) {
        let Cell::Other { state, .. } = self else { return };
        match (&mut **state, kind) {
            (LargeState::Window(log), MeasureKind::Behaviour { span, .. }) => log.advance(*span, now),
            (LargeState::Relative(log), _) => log.advance(now),
            (LargeState::Sequence(state), MeasureKind::Sequence { sequence, span, .. }) => {
                state.advance(sequence, *span, now)
            }
            (LargeState::Kept(kept), MeasureKind::Asked(question)) => kept.advance(question, now),
            _ => {}
        }
    }

    /// Finds the answer of a question for the instant at which it may change, if that comes until then.
    pub(crate) fn prepare(&mut self, question: &UserQuestion, until: Millis) {
        let Cell::Other { state, .. } = self else { return };
        if let LargeState::Kept(kept) = &mut **state {
            kept.prepare(question, until);
        }
    }

    /// Keeps records once with the other cells of the user.
    pub(crate) fn share_records(&mut self, known: &mut BTreeMap<u64, Arc<[u8]>>) {
        let Cell::Other { state, .. } = self else { return };
        if let LargeState::Kept(kept) = &mut **state {
            kept.share(known);
        }
    }

    /// The next instant after `now` at which it, or a test of it with one of these offsets, may change by time alone.
    pub(crate) fn next_change(&self, kind: &MeasureKind, offsets: &[Millis], now: Millis) -> Millis {
        let own = match self {
            Cell::Other { state, .. } => match (&**state, kind) {
                (LargeState::Window(log), MeasureKind::Behaviour { span, .. }) => log.next_change(*span),
                (LargeState::Relative(log), _) => log.next_change(now),
                (LargeState::Sequence(state), _) => state.next_change(),
                (LargeState::Kept(kept), _) => kept.next_change(),
                _ => Millis::MAX,
            },
            _ => Millis::MAX,
        };
        if offsets.is_empty() { own } else { own.min(next_flip(&self.reading(kind, now), offsets, now)) }
    }

    /// Returns whether it, or a test of it with one of these offsets, may change by time alone after `before` and until `now`,
    /// or has to be looked at anew.
    pub(crate) fn is_due(&self, kind: &MeasureKind, offsets: &[Millis], (before, now): (Millis, Millis)) -> bool {
        let is_open = match self {
            Cell::Other { state, .. } => matches!(&**state, LargeState::Kept(kept) if !kept.is_answered()),
            _ => false,
        };
        is_open || self.next_change(kind, offsets, before) <= now
    }

    /// Returns whether nothing is kept any more.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Cell::Other { state, .. } => match &**state {
                LargeState::Window(log) => log.is_empty(),
                LargeState::Relative(log) => log.is_empty(),
                LargeState::Sequence(state) => state.is_empty(),
                LargeState::Kept(kept) => kept.is_empty(),
                _ => false,
            },
            _ => false,
        }
    }
}

/// The least time + offset after `now`, over the times that the reading says.
fn next_flip(reading: &Reading, offsets: &[Millis], now: Millis) -> Millis {
    let after = |time: Millis| offsets.iter().map(|offset| time + offset).filter(|flip| *flip > now).min();
    let next = match reading {
        Reading::Since(time) => after(*time),
        Reading::Number(number) => times(ValueRef::Number(*number)).into_iter().filter_map(after).min(),
        Reading::Flat(bytes) => match ValueRef::read(bytes) {
            Some((value, _)) => times(value).into_iter().filter_map(after).min(),
            None => None,
        },
        _ => None,
    };
    next.unwrap_or(Millis::MAX)
}

/// Returns whether the event's time and filter let it feed the measure, apart from what depends on now.
fn fits(kind: &MeasureKind, applied: AppliedEvent<'_>) -> bool {
    match kind {
        MeasureKind::Behaviour { filter, span, relative, .. } => {
            span.of_event(applied.event.timestamp()).is_some_and(|(_, leave)| leave > applied.now)
                && (*relative || filter.as_ref().is_none_or(|f| filter_holds(f, applied.event, applied.now)))
        }
        MeasureKind::Sequence { .. } | MeasureKind::Trait(_) | MeasureKind::Asked(_) => true,
    }
}

/// Applies an event to a behaviour's or sequence's cell (`None`: nothing is kept yet) and gives the cell to keep;
/// `Err` gives back what was there where the event feeds nothing.
pub(crate) fn apply(
    cell: Option<Cell>,
    measure: MeasureId,
    kind: &MeasureKind,
    applied: AppliedEvent<'_>,
) -> Result<Cell, Option<Cell>> {
    match kind {
        MeasureKind::Trait(_) => Err(cell),
        MeasureKind::Asked(question) => {
            let mut state = match cell {
                Some(Cell::Other { state, .. }) => state,
                _ => Box::new(LargeState::Kept(KeptEvents::default())),
            };
            let LargeState::Kept(kept) = &mut *state else { return Err(Some(Cell::Other { measure, state })) };
            let added = kept.add(question, applied);
            match added || !kept.is_empty() {
                true => Ok(Cell::Other { measure, state }),
                false => Err(None),
            }
        }
        MeasureKind::Sequence { sequence, span, relative } => {
            let mut state = match cell {
                Some(Cell::Other { state, .. }) => state,
                _ => Box::new(LargeState::Sequence(SequenceState::default())),
            };
            let LargeState::Sequence(kept) = &mut *state else { return Err(Some(Cell::Other { measure, state })) };
            let added = kept.add(sequence, *span, *relative, applied.event, applied.now);
            if added {
                kept.advance(sequence, *span, applied.now);
            }
            match added || !kept.is_empty() {
                true => Ok(Cell::Other { measure, state }),
                false => Err(None),
            }
        }
        MeasureKind::Behaviour { aggregate, path, span, .. } => {
            if !fits(kind, applied) {
                return Err(cell);
            }
            let Some(contribution) = contribution(*aggregate, path.as_ref(), applied.event) else { return Err(cell) };
            if let MeasureKind::Behaviour { relative: true, filter, .. } = kind {
                let within = span.of_event(applied.event.timestamp()).unwrap_or((Millis::MAX, Millis::MAX));
                let spans = filter_spans(filter.as_ref(), applied.event, within);
                return add_relative(cell, measure, contribution, applied, spans);
            }
            match span {
                Span::Sliding { .. } | Span::Local(_) => {
                    Ok(add_sliding(cell, measure, *aggregate, contribution, applied, *span))
                }
                Span::Lasting | Span::Fixed(..) => Ok(add_lasting(cell, measure, *aggregate, contribution, applied)),
            }
        }
    }
}

fn add_relative(
    cell: Option<Cell>,
    measure: MeasureId,
    contribution: Contribution<'_>,
    applied: AppliedEvent<'_>,
    spans: Vec<(Millis, Millis)>,
) -> Result<Cell, Option<Cell>> {
    if spans.last().is_none_or(|(_, end)| *end <= applied.now) {
        return Err(cell);
    }
    let mut state = match cell {
        Some(Cell::Other { state, .. }) => state,
        _ => Box::new(LargeState::Relative(RelativeLog::default())),
    };
    if let LargeState::Relative(log) = &mut *state {
        log.add(contribution, applied.event.timestamp(), applied.event.sequence(), spans);
    }
    Ok(Cell::Other { measure, state })
}

fn add_sliding(
    cell: Option<Cell>,
    measure: MeasureId,
    aggregate: Aggregate,
    contribution: Contribution<'_>,
    applied: AppliedEvent<'_>,
    span: Span,
) -> Cell {
    let mut state = match cell {
        Some(Cell::Other { state, .. }) => state,
        _ => Box::new(LargeState::Window(WindowLog::new(aggregate))),
    };
    if let LargeState::Window(log) = &mut *state {
        log.advance(span, applied.now);
        log.add(contribution, applied.event.timestamp(), applied.event.sequence(), span, applied.now);
    }
    Cell::Other { measure, state }
}

fn number(measure: MeasureId, units: i128) -> Cell {
    match i64::try_from(units) {
        Ok(units) => Cell::Number { measure, units },
        Err(_) => Cell::Other { measure, state: Box::new(LargeState::Wide(units)) },
    }
}

fn units_of(cell: &Option<Cell>) -> Option<i128> {
    match cell {
        Some(Cell::Number { units, .. }) => Some(i128::from(*units)),
        Some(Cell::Other { state, .. }) => match **state {
            LargeState::Wide(units) => Some(units),
            _ => None,
        },
        _ => None,
    }
}

fn add_lasting(
    cell: Option<Cell>,
    measure: MeasureId,
    aggregate: Aggregate,
    contribution: Contribution<'_>,
    applied: AppliedEvent<'_>,
) -> Cell {
    let (timestamp, sequence) = (applied.event.timestamp(), applied.event.sequence());
    match (aggregate, contribution) {
        (Aggregate::Count, _) => {
            let count = if let Some(Cell::Count { count, .. }) = cell { count } else { 0 };
            Cell::Count { measure, count: count + 1 }
        }
        (Aggregate::Sum, Contribution::Number(value)) => number(measure, units_of(&cell).unwrap_or(0) + value.units()),
        (Aggregate::Min, Contribution::Number(value)) => {
            number(measure, units_of(&cell).map_or(value.units(), |known| known.min(value.units())))
        }
        (Aggregate::Max, Contribution::Number(value)) => {
            number(measure, units_of(&cell).map_or(value.units(), |known| known.max(value.units())))
        }
        (Aggregate::FirstInstant | Aggregate::SinceFirst, _) => {
            let known = if let Some(Cell::Instant { at, .. }) = cell { at } else { timestamp };
            Cell::Instant { measure, at: known.min(timestamp) }
        }
        (Aggregate::LastInstant | Aggregate::SinceLast, _) => {
            let known = if let Some(Cell::Instant { at, .. }) = cell { at } else { timestamp };
            Cell::Instant { measure, at: known.max(timestamp) }
        }
        _ => {
            let state = match cell {
                Some(Cell::Other { mut state, .. }) => {
                    add_to_state(&mut state, aggregate, contribution, timestamp, sequence);
                    state
                }
                _ => Box::new(first_state(aggregate, contribution, timestamp, sequence)),
            };
            Cell::Other { measure, state }
        }
    }
}

fn first_state(aggregate: Aggregate, contribution: Contribution<'_>, timestamp: Millis, sequence: u64) -> LargeState {
    match (aggregate, contribution) {
        (Aggregate::Average, Contribution::Number(value)) => LargeState::Average(value.units(), 1),
        (Aggregate::Distinct, Contribution::Fingerprint(hash)) => LargeState::Distinct(BTreeSet::from([hash])),
        (_, Contribution::Value(value)) => LargeState::Edge(timestamp, sequence, flat(value)),
        _ => LargeState::Days(BTreeSet::from([timestamp.div_euclid(DAY_MILLIS)])),
    }
}

fn add_to_state(
    state: &mut LargeState,
    aggregate: Aggregate,
    contribution: Contribution<'_>,
    timestamp: Millis,
    sequence: u64,
) {
    match (state, contribution) {
        (LargeState::Average(sum, count), Contribution::Number(value)) => {
            *sum += value.units();
            *count += 1;
        }
        (LargeState::Distinct(values), Contribution::Fingerprint(hash)) => drop(values.insert(hash)),
        (LargeState::Days(days), _) => drop(days.insert(timestamp.div_euclid(DAY_MILLIS))),
        (LargeState::Edge(known_at, known_sequence, known), Contribution::Value(value)) => {
            let known_place = (*known_at, *known_sequence);
            let is_first = aggregate == Aggregate::First;
            if ((timestamp, sequence) < known_place) == is_first {
                (*known_at, *known_sequence, *known) = (timestamp, sequence, flat(value));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;

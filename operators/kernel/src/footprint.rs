//! The memory that a measure takes of each user.

use crate::cell::{Cell, LargeState};
use crate::measure::{Aggregate, MeasureKind, Span};
use crate::program::MeasureKey;

/// Bytes of a number, an instant or a hash with its place in a collection.
const ENTRY: u64 = 32;

/// The memory of a measure, for each user whom any event was about. Allocators round it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes that do not grow.
    pub bytes_per_user: u64,
    /// What the rest grows with.
    pub grows_with: StateGrowth,
    /// Bytes for each of those.
    pub bytes_each: u64,
}

/// The thing that a user's state grows with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateGrowth {
    /// It does not grow.
    Nothing,
    /// Distinct values or days.
    Values,
    /// Events that count and are in the window, or yet to enter it.
    Events,
    /// Whole records of events that may count: beside these bytes, their own.
    Records,
}

/// The memory of a measure.
pub fn footprint(key: &MeasureKey) -> Footprint {
    let (cell, large) = (size_of::<Cell>() as u64, (size_of::<Cell>() + size_of::<LargeState>()) as u64);
    let (bytes_per_user, grows_with, bytes_each) = match MeasureKind::of(key) {
        // A number, or the value with its time.
        MeasureKind::Trait(_) => (large, StateGrowth::Nothing, 0),
        MeasureKind::Asked(_) => (large, StateGrowth::Records, size_of::<usize>() as u64 * 2),
        MeasureKind::Sequence { .. } => (large, StateGrowth::Events, ENTRY),
        MeasureKind::Behaviour { relative: true, .. } => (large, StateGrowth::Events, ENTRY),
        MeasureKind::Behaviour { span: Span::Sliding { .. } | Span::Local(_), aggregate, .. } => {
            let instant = size_of::<i64>() as u64;
            let value = match aggregate {
                Aggregate::Count | Aggregate::SinceFirst | Aggregate::SinceLast => 0,
                Aggregate::FirstInstant | Aggregate::LastInstant => 0,
                Aggregate::Sum | Aggregate::Average => size_of::<i128>() as u64,
                Aggregate::Min | Aggregate::Max | Aggregate::Distinct => size_of::<i128>() as u64 + ENTRY,
                Aggregate::Days | Aggregate::First | Aggregate::Last => ENTRY,
            };
            (large, StateGrowth::Events, instant + value)
        }
        MeasureKind::Behaviour { span: Span::Lasting | Span::Fixed(..), aggregate, .. } => match aggregate {
            Aggregate::Distinct | Aggregate::Days => (large, StateGrowth::Values, ENTRY),
            Aggregate::Average | Aggregate::First | Aggregate::Last => (large, StateGrowth::Nothing, 0),
            _ => (cell, StateGrowth::Nothing, 0),
        },
    };
    Footprint { bytes_per_user, grows_with, bytes_each }
}

#[cfg(test)]
mod tests {
    use audience_rules::catalogue::Catalogue;
    use audience_rules::json::parse_json;
    use audience_rules::parse::{NoTraits, parse_rules};

    use super::*;
    use crate::program::Program;

    fn of(rules: &str) -> (u64, StateGrowth) {
        let node = parse_rules(&parse_json(rules.as_bytes()).unwrap(), &NoTraits).unwrap();
        let program = Program::compile(&node, &Catalogue::default());
        let found = footprint(program.measures()[0]);
        (found.bytes_per_user, found.grows_with)
    }

    #[test]
    fn counts_fit_a_cell_and_windows_grow_with_their_events() {
        assert_eq!(of(r#"{"event": "a"}"#), (16, StateGrowth::Nothing));
        assert_eq!(of(r#"{"event": "a", "measure": {"fn": "sum", "of": "x"}, "operator": "gt", "value": 1}"#).0, 16);
        let distinct = r#"{"event": "a", "measure": {"fn": "distinct", "of": "x"}, "operator": "gt", "value": 1}"#;
        assert_eq!(of(distinct).1, StateGrowth::Values);
        assert_eq!(of(r#"{"event": "a", "within": "7d"}"#).1, StateGrowth::Events);
        assert_eq!(of(r#"{"sequence": [{"event": "a"}, {"event": "b"}]}"#).1, StateGrowth::Events);
        let median = r#"{"event": "a", "measure": {"fn": "median", "of": "x"}, "operator": "gt", "value": 1}"#;
        assert_eq!(of(median).1, StateGrowth::Records);
        let plan = of(r#"{"field": "plan", "operator": "exists"}"#);
        assert!(plan.0 > 16 && plan.1 == StateGrowth::Nothing, "{plan:?}");
    }
}

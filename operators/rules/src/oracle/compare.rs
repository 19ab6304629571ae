//! Two values, one beside the other.

use std::cmp::Ordering;

use super::EventHistory;
use super::fraction::Fraction;
use crate::ast::{Compare, Millis};
use crate::catalogue::Catalogue;
use crate::decimal::Decimal;
use crate::test::{Operand, text_of};
use crate::time::parse_time_in;
use crate::value::ValueRef;
use crate::zone::ZoneId;

impl EventHistory<'_> {
    /// Returns whether the comparison holds at `now`.
    pub fn compares(&self, compare: &Compare, catalogue: &Catalogue, now: Millis) -> bool {
        let left = self.measurable(&compare.left, catalogue, now);
        let right = self.measurable(&compare.right, catalogue, now);
        let holds = match (compare.comparison, order(left, right, self.platform())) {
            (Some(comparison), Some(ordering)) => comparison.holds(ordering),
            (None, Some(ordering)) => ordering.is_eq(),
            (None, None) => same_text(left, right),
            (Some(_), None) => false,
        };
        holds != compare.negated
    }

    /// Returns whether both sides of the comparison have a value that can be compared.
    pub fn compares_values(&self, compare: &Compare, catalogue: &Catalogue, now: Millis) -> bool {
        let has_value = |measurable| match self.measurable(measurable, catalogue, now) {
            Operand::Missing | Operand::Value(ValueRef::Null | ValueRef::Array(_) | ValueRef::Object(_)) => false,
            Operand::Value(_) | Operand::Number(_) | Operand::Ratio { .. } => true,
        };
        has_value(&compare.left) && has_value(&compare.right)
    }
}

/// The order of one number, or else one time, and another.
fn order(left: Operand<'_>, right: Operand<'_>, zone: ZoneId) -> Option<Ordering> {
    if let (Some(left), Some(right)) = (Fraction::of(left), Fraction::of(right)) {
        return Some(left.cmp(&right));
    }
    Some(time_of(left, zone)?.cmp(&time_of(right, zone)?))
}

/// The time that a value says.
pub(super) fn time_of(operand: Operand<'_>, zone: ZoneId) -> Option<Millis> {
    match operand {
        Operand::Missing => None,
        Operand::Value(value) => parse_time_in(value, zone),
        Operand::Number(number) => parse_time_in(ValueRef::Number(number), zone),
        Operand::Ratio { sum, count } => {
            let count = i128::from(count.max(1));
            let is_whole = sum.units() % count == 0;
            let number = Decimal::from_units(sum.units() / count);
            parse_time_in(ValueRef::Number(number), zone).filter(|_| is_whole)
        }
    }
}

fn same_text(left: Operand<'_>, right: Operand<'_>) -> bool {
    let text = |operand| match operand {
        Operand::Value(value @ (ValueRef::Text(_) | ValueRef::Bool(_))) => text_of(value),
        _ => None,
    };
    matches!((text(left), text(right)), (Some(left), Some(right)) if left == right)
}

//! The value of a measure for a user at an instant.

use std::cmp::Ordering;
use std::sync::Arc;

use audience_rules::ast::{Comparison, Condition, Literal, Millis, Test};
use audience_rules::decimal::Decimal;
use audience_rules::test::{Operand, number_of};
use audience_rules::value::ValueRef;

/// The value of a measure for a user at an instant.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Nothing.
    Missing,
    /// A number.
    Number(Decimal),
    /// An exact average: sum and count.
    Ratio(Decimal, u64),
    /// A JSON value in flat form.
    Flat(Arc<[u8]>),
    /// An instant that durations are measured from.
    Since(Millis),
    /// True if a sequence holds.
    Held(bool),
    /// The answer to a question.
    Answered {
        /// True if the condition holds.
        held: bool,
        /// True if there is a value that it is about, or it asks for just that.
        has_value: bool,
    },
}

impl Reading {
    /// Returns whether the test holds of it at `now`.
    pub fn holds(&self, test: &Test, now: Millis) -> bool {
        match self {
            Reading::Held(held) | Reading::Answered { held, .. } => *held,
            _ => test.holds(self.operand(now), now),
        }
    }

    /// Returns whether it is a value that the test is about; else the test answers as it does of a missing value. The
    /// same at any instant.
    pub fn is_value_to(&self, test: &Test) -> bool {
        match self {
            Reading::Held(_) => true,
            Reading::Answered { has_value, .. } => *has_value,
            _ => test.holds_by_value(self.operand(0), 0).is_some(),
        }
    }

    #[inline]
    fn operand(&self, now: Millis) -> Operand<'_> {
        match self {
            // These say themselves whether they hold.
            Reading::Missing | Reading::Held(_) | Reading::Answered { .. } => Operand::Missing,
            Reading::Number(number) => Operand::Number(*number),
            Reading::Ratio(sum, count) => Operand::Ratio { sum: *sum, count: *count },
            Reading::Since(instant) => Operand::Number(Decimal::from_integer(now - instant)),
            Reading::Flat(bytes) => ValueRef::read(bytes).map(|(value, _)| value).into(),
        }
    }

    /// The place of a number among the thresholds of [`thresholds`]; `None` for what is no number.
    pub fn position(&self) -> Option<i128> {
        match self {
            Reading::Number(number) => Some(number.units() * POSITION_SCALE),
            Reading::Ratio(sum, count) => {
                let count = i128::from(*count);
                let floor = sum.units().div_euclid(count);
                let exact = sum.units().rem_euclid(count) == 0;
                Some(floor * POSITION_SCALE + if exact { 0 } else { POSITION_SCALE / 2 })
            }
            _ => None,
        }
    }
}

/// The distance of two units: a number of *u* units stands at 4*u*, a fraction between two units at 4*u* + 2, and thresholds at
/// the odd positions around 4*u*.
pub(crate) const POSITION_SCALE: i128 = 4;

/// The positions at which a test of a number changes; `None` where it does not depend on them alone.
pub(crate) fn thresholds(test: &Test) -> Option<Vec<i128>> {
    let number = |literal: &Literal| match literal {
        Literal::Number(number) => Some(number.units() * POSITION_SCALE),
        _ => None,
    };
    Some(match &test.condition {
        Condition::Compare(Comparison::Greater | Comparison::LessOrEqual, literal) => vec![number(literal)? + 1],
        Condition::Compare(Comparison::GreaterOrEqual | Comparison::Less, literal) => vec![number(literal)? - 1],
        Condition::Equals(literal) => vec![number(literal)? - 1, number(literal)? + 1],
        Condition::Between(low, high) => vec![number(low)? - 1, number(high)? + 1],
        Condition::In(literals) => {
            let mut positions = Vec::with_capacity(2 * literals.len());
            for literal in literals {
                positions.extend([number(literal)? - 1, number(literal)? + 1]);
            }
            positions
        }
        // A number always exists.
        Condition::Exists => Vec::new(),
        _ => return None,
    })
}

/// The key that a rank orders users by: an exact number.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct RankKey {
    units: i128,
    count: u64,
}

impl RankKey {
    /// The key of a reading; `None` where it is no number.
    pub fn of(reading: &Reading) -> Option<RankKey> {
        match reading {
            Reading::Number(number) => Some(RankKey { units: number.units(), count: 1 }),
            Reading::Ratio(sum, count) => Some(RankKey { units: sum.units(), count: *count }),
            // Durations to now: the later the instant, the shorter.
            Reading::Since(instant) => Some(RankKey { units: -i128::from(*instant), count: 1 }),
            Reading::Flat(bytes) => match ValueRef::read(bytes) {
                Some((value, _)) => number_of(value).map(|number| RankKey { units: number.units(), count: 1 }),
                None => None,
            },
            Reading::Missing | Reading::Held(_) | Reading::Answered { .. } => None,
        }
    }
}

impl Ord for RankKey {
    /// Exact: whole parts, then the remainders crosswise, which fit 128 bits.
    fn cmp(&self, other: &Self) -> Ordering {
        let (left, right) = (i128::from(self.count), i128::from(other.count));
        let whole = self.units.div_euclid(left).cmp(&other.units.div_euclid(right));
        whole.then_with(|| {
            let ours = self.units.rem_euclid(left) as u128 * u128::from(other.count);
            ours.cmp(&(other.units.rem_euclid(right) as u128 * u128::from(self.count)))
        })
    }
}
impl PartialOrd for RankKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for RankKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for RankKey {}

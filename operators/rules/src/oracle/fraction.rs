//! Exact fractions, in which averages and medians are compared.

use std::cmp::Ordering;

use crate::test::{Operand, number_of};

/// An exact number to be ranked by or compared: whole units, and a rest smaller than one unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fraction {
    units: i128,
    rest: u64,
    of: u64,
}

impl Fraction {
    /// The fraction of a number or a text of one; `None` for what is neither.
    pub(super) fn of(operand: Operand<'_>) -> Option<Self> {
        match operand {
            Operand::Number(number) => Some(Fraction { units: number.units(), rest: 0, of: 1 }),
            Operand::Value(value) => {
                let number = number_of(value)?;
                Some(Fraction { units: number.units(), rest: 0, of: 1 })
            }
            Operand::Ratio { sum, count } => {
                let of = i128::from(count.max(1));
                let (units, rest) = (sum.units().div_euclid(of), sum.units().rem_euclid(of));
                Some(Fraction { units, rest: rest as u64, of: of as u64 })
            }
            Operand::Missing => None,
        }
    }

    /// Its order to another.
    pub(super) fn cmp(&self, other: &Self) -> Ordering {
        let scaled = |rest: u64, of: u64| u128::from(rest) * u128::from(of);
        self.units.cmp(&other.units).then(scaled(self.rest, other.of).cmp(&scaled(other.rest, self.of)))
    }
}

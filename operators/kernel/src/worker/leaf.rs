//! Tests of numbers as intervals of positions, and as runs of bands among the bounds of a measure.

use audience_rules::ast::{Comparison, Condition, Test};

use crate::measure::MeasureId;
use crate::reading::{POSITION_SCALE, Reading, thresholds};
use crate::registry::{PredicateId, PredicateKind, Registry};

/// Below all places; of what is missing.
pub(super) const MISSING: i64 = i64::MIN;
/// The least and the greatest position of a number: those beyond are taken to be these. Bounds lie strictly between.
const LEAST: i64 = i64::MIN + 1;
const GREATEST: i64 = i64::MAX - 1;
/// More bounds of a measure than bands can tell apart leave its rules unplanned.
pub(super) const BOUNDS: usize = 20_000;
/// The width of a leaf that holds from a band on: beyond all bands.
const UPWARD: u16 = 30_000;

/// A test of a number: whether its position lies strictly between.
#[derive(Clone, Copy)]
pub(super) struct NumberInterval {
    low: i64,
    high: i64,
    pub(super) measure: MeasureId,
    negated: bool,
}

impl NumberInterval {
    /// `None` where the test is not of that form.
    pub(super) fn of(measure: MeasureId, test: &Test) -> Option<NumberInterval> {
        let places = thresholds(test)?;
        let bound = |place: i128| i64::try_from(place).ok().filter(|bound| (LEAST + 1..GREATEST).contains(bound));
        let (low, high) = match (&test.condition, &places[..]) {
            (Condition::Compare(Comparison::Greater | Comparison::GreaterOrEqual, _), [place]) => {
                (bound(*place)?, i64::MAX)
            }
            (Condition::Compare(Comparison::Less | Comparison::LessOrEqual, _), [place]) => (MISSING, bound(*place)?),
            (Condition::Equals(_) | Condition::Between(..), [low, high]) if low < high => (bound(*low)?, bound(*high)?),
            _ => return None,
        };
        Some(NumberInterval { low, high, measure, negated: test.negated })
    }

    pub(super) fn of_predicate(registry: &Registry, predicate: PredicateId) -> Option<NumberInterval> {
        match &registry.predicates.get(predicate)?.kind {
            PredicateKind::Measured(measure, test) if registry.measures.get(*measure)?.kind.is_plain_number() => {
                NumberInterval::of(*measure, test)
            }
            _ => None,
        }
    }

    pub(super) fn holds(&self, position: i64) -> bool {
        ((self.low < position) & (position < self.high)) ^ self.negated
    }

    /// A bit for each of at most 64 positions, the lowest for the first: whether it [`holds`](Self::holds) there. Those above
    /// say nothing.
    pub(super) fn holds_in(&self, positions: &[i64]) -> u64 {
        // Strictly between, as one comparison.
        let (first, width) = (self.low.wrapping_add(1), self.high.wrapping_sub(self.low).wrapping_sub(1) as u64);
        let is_between = |position: &i64| (position.wrapping_sub(first) as u64) < width;
        let held = positions.iter().rev().fold(0, |held, position| held << 1 | u64::from(is_between(position)));
        if self.negated { !held } else { held }
    }

    pub(super) fn bounds(&self) -> impl Iterator<Item = i64> {
        [self.low, self.high].into_iter().filter(|bound| (LEAST..=GREATEST).contains(bound))
    }
}

/// Returns the position of a number among the bounds.
pub(super) fn position(reading: &Reading) -> i64 {
    match reading.position() {
        Some(place) => place.clamp(i128::from(LEAST), i128::from(GREATEST)) as i64,
        None => MISSING,
    }
}

/// Returns the position of a number in units of 10^-9.
pub(super) fn position_of_units(units: i64) -> i64 {
    units.saturating_mul(POSITION_SCALE as i64).clamp(LEAST, GREATEST)
}

/// The band of a position: 0 of what is missing, else one more than the bounds below it.
pub(super) fn band(bounds: &[i64], position: i64) -> u16 {
    if position == MISSING { 0 } else { 1 + bounds.partition_point(|bound| *bound < position) as u16 }
}

/// A leaf: holds in `width` bands from `start` on, wrapping round after the last.
#[derive(Clone, Copy, Default)]
pub(super) struct BandLeaf {
    pub(super) measure: u16,
    pub(super) start: u16,
    width: u16,
}

impl BandLeaf {
    /// `None` where the measure has a number that is too large.
    pub(super) fn of(interval: &NumberInterval, bounds: &[i64]) -> Option<BandLeaf> {
        let above = |bound: i64| 2 + bounds.partition_point(|known| *known < bound) as u16;
        let start = if interval.low == MISSING { 1 } else { above(interval.low) };
        let end = if interval.high == i64::MAX { start + UPWARD } else { above(interval.high) };
        let (start, width) =
            if interval.negated { (end, 0u16.wrapping_sub(end - start)) } else { (start, end - start) };
        Some(BandLeaf { measure: u16::try_from(interval.measure).ok()?, start, width })
    }

    pub(super) fn holds(self, band: u16) -> bool {
        band.wrapping_sub(self.start) < self.width
    }

    /// Returns whether it holds from a band on, and in no other: no test that wraps round after the last band is as wide.
    pub(super) fn is_upward(self) -> bool {
        self.width == UPWARD
    }

    /// The leaf of a fact: its band is 1 where it holds, else 0.
    pub(super) fn of_fact(index: usize) -> Option<BandLeaf> {
        Some(BandLeaf { measure: u16::try_from(index).ok()?, start: 1, width: 1 })
    }

    /// In which share of so many bands it holds.
    pub(super) fn share(self, bands: usize) -> f32 {
        let (start, end) = (usize::from(self.start), usize::from(self.start) + usize::from(self.width));
        let direct = end.min(bands) - start.min(bands);
        let round = end.saturating_sub(1 << 16).min(bands);
        (direct + round) as f32 / bands as f32
    }
}

#[cfg(test)]
mod tests {
    use audience_rules::ast::Literal;
    use audience_rules::decimal::Decimal;
    use audience_rules::value::ValueRef;

    use super::*;
    use crate::window_log::flat;

    /// The leaf of a test holds exactly where the test does.
    #[test]
    fn band_leaf_and_interval_hold_exactly_where_their_test_does() {
        let number = |text: &str| Literal::Number(Decimal::parse(text).expect("a number"));
        let numbers = ["-1e18", "-3", "-0.000000001", "0", "0.000000001", "1", "2.5", "3", "2000000000", "1e18"];
        let mut readings = vec![Reading::Missing, Reading::Ratio(Decimal::from_units(10), 3)];
        readings.extend(numbers.iter().map(|text| Reading::Number(Decimal::parse(text).expect("a number"))));
        let mut conditions = Vec::new();
        for text in numbers {
            for comparison in
                [Comparison::Greater, Comparison::GreaterOrEqual, Comparison::Less, Comparison::LessOrEqual]
            {
                conditions.push(Condition::Compare(comparison, number(text)));
            }
            conditions.extend([Condition::Equals(number(text)), Condition::Between(number("-3"), number(text))]);
        }
        let tests = conditions.iter().map(|condition| Test { negated: false, condition: condition.clone() });
        let mut bounds: Vec<i64> = tests
            .filter_map(|test| Some(NumberInterval::of(0, &test)?.bounds().collect::<Vec<_>>()))
            .flatten()
            .collect();
        bounds.sort_unstable();
        bounds.dedup();
        let mut planned = 0;
        for condition in conditions {
            for negated in [false, true] {
                let test = Test { negated, condition: condition.clone() };
                let Some(interval) = NumberInterval::of(0, &test) else { continue };
                planned += 1;
                let leaf = BandLeaf::of(&interval, &bounds).expect("a small measure");
                let places: Vec<i64> = readings.iter().map(position).chain([LEAST, GREATEST]).collect();
                let lanes = interval.holds_in(&places);
                for (lane, place) in places.iter().enumerate() {
                    assert_eq!(lanes >> lane & 1 == 1, interval.holds(*place), "{condition:?} {negated} {place}");
                }
                for number in numbers {
                    let number = Decimal::parse(number).expect("a number");
                    let (plain, flat) = (Reading::Number(number), Reading::Flat(flat(ValueRef::Number(number))));
                    assert_eq!(flat.holds(&test, 0), plain.holds(&test, 0), "{test:?} {number:?}");
                }
                for reading in &readings {
                    let band = band(&bounds, position(reading));
                    assert_eq!(leaf.holds(band), reading.holds(&test, 0), "{test:?} {reading:?}");
                }
            }
        }
        assert!(planned > 70, "{planned}");
    }
}

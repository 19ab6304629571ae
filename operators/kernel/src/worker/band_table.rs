//! The bands of the current user in every measure, and the facts that hold for the user, each found when first needed.

use std::sync::Arc;

use audience_rules::ast::Test;
use hashbrown::HashMap;

use crate::cell::Cell;
use crate::measure::MeasureId;
use crate::registry::{PredicateId, PredicateKind, Registry};

use super::leaf::{MISSING, NumberInterval, band, position, position_of_units};
use super::plan::{RowView, bounds};

/// The bands of the user at hand in a measure, where the stamp is the latest.
#[derive(Clone, Copy, Default)]
pub(super) struct Bands {
    stamp: u64,
    pub(super) before: u16,
    pub(super) now: u16,
}

/// The index of a measure's cell in the current user's row, if the stamp is the latest; else the user has none.
#[derive(Clone, Copy, Default)]
struct CellPlace {
    stamp: u64,
    cell: u32,
}

/// A test that is no interval of a measure of numbers, and of which time alone changes nothing.
struct Fact {
    measure: MeasureId,
    /// The interval by which a number answers the test, if there is one.
    interval: Option<NumberInterval>,
    test: Arc<Test>,
}

impl Fact {
    fn of(registry: &Registry, predicate: PredicateId) -> Option<Fact> {
        let PredicateKind::Measured(measure, test) = &registry.predicates.get(predicate)?.kind else { return None };
        let is_timeless = !test.is_relative() && !registry.measures.get(*measure)?.kind.is_since();
        let fact = || Fact { measure: *measure, interval: NumberInterval::of(*measure, test), test: test.clone() };
        (is_timeless && NumberInterval::of_predicate(registry, predicate).is_none()).then(fact)
    }
}

/// By measure, then by fact, as of the last edit.
#[derive(Default)]
pub(super) struct BandTable {
    /// Sorted.
    bounds: Vec<Vec<i64>>,
    /// The band of a user without a cell.
    defaults: Vec<u16>,
    places: Vec<CellPlace>,
    facts: Vec<Fact>,
    /// The index of each predicate that is a fact, counted after the measures.
    fact_of: HashMap<PredicateId, usize>,
    bands: Vec<Bands>,
    stamp: u64,
}

impl BandTable {
    pub(super) fn of(registry: &Registry) -> BandTable {
        let bounds = bounds(registry);
        let mut defaults = vec![0; bounds.len()];
        for (id, measure) in registry.measures.iter() {
            defaults[id as usize] = band(&bounds[id as usize], position(&measure.default));
        }
        let mut facts = Vec::new();
        let mut fact_of = HashMap::new();
        for (id, _) in registry.predicates.iter() {
            let Some(fact) = Fact::of(registry, id) else { continue };
            let default = registry.measures.get(fact.measure).map(|measure| measure.default.holds(&fact.test, 0));
            fact_of.insert(id, defaults.len());
            defaults.push(u16::from(default == Some(true)));
            facts.push(fact);
        }
        let (places, bands) = (vec![CellPlace::default(); bounds.len()], vec![Bands::default(); defaults.len()]);
        // No stamp of theirs is the latest.
        BandTable { bounds, defaults, places, facts, fact_of, bands, stamp: 1 }
    }

    /// The bounds of a measure.
    pub(super) fn bounds(&self, measure: MeasureId) -> Option<&[i64]> {
        self.bounds.get(measure as usize).map(|bounds| &bounds[..])
    }

    /// Returns the index of a fact.
    pub(super) fn fact(&self, predicate: PredicateId) -> Option<usize> {
        self.fact_of.get(&predicate).copied()
    }

    /// Begins with a user of whom nothing is kept, or nothing will be asked.
    pub(super) fn begin_with_nothing(&mut self) {
        self.stamp += 1;
    }

    /// Begins with a user.
    pub(super) fn begin(&mut self, view: RowView<'_>) {
        self.stamp += 1;
        for (at, cell) in view.user.cells.iter().enumerate() {
            if let Some(place) = self.places.get_mut(cell.measure() as usize) {
                *place = CellPlace { stamp: self.stamp, cell: at as u32 };
            }
        }
        for (measure, before) in view.touched {
            let Some(bounds) = self.bounds.get(*measure as usize).filter(|bounds| !bounds.is_empty()) else { continue };
            let before = band(bounds, position(before));
            let now = self.find(*measure as usize, view);
            self.bands[*measure as usize] = Bands { stamp: self.stamp, before, now };
        }
    }

    /// The user's bands in a measure, or of a fact.
    #[inline]
    pub(super) fn of_measure(&mut self, measure: u16, view: RowView<'_>) -> Bands {
        let known = self.bands[usize::from(measure)];
        if known.stamp == self.stamp {
            return known;
        }
        let (before, now) = match self.facts.get(usize::from(measure).wrapping_sub(self.bounds.len())) {
            Some(fact) => self.find_fact(usize::from(measure), fact, view),
            None => {
                let now = self.find(usize::from(measure), view);
                (now, now)
            }
        };
        let found = Bands { stamp: self.stamp, before, now };
        self.bands[usize::from(measure)] = found;
        found
    }

    /// Returns whether a fact held before, and whether it holds now.
    fn find_fact(&self, index: usize, fact: &Fact, view: RowView<'_>) -> (u16, u16) {
        let RowView { registry, user, touched, now } = view;
        let place = self.places[fact.measure as usize];
        let after = if place.stamp == self.stamp {
            let cell = &user.cells[place.cell as usize];
            match (cell.number_units(), &fact.interval, registry.measures.get(fact.measure)) {
                (Some(units), Some(interval), _) => interval.holds(position_of_units(units)),
                (_, _, Some(definition)) => cell.reading(&definition.kind, now).holds(&fact.test, now),
                (_, _, None) => false,
            }
        } else {
            self.defaults[index] == 1
        };
        let reading = touched.iter().find(|(measure, _)| *measure == fact.measure);
        let before = reading.map_or(after, |(_, before)| before.holds(&fact.test, now));
        (u16::from(before), u16::from(after))
    }

    fn find(&self, measure: usize, view: RowView<'_>) -> u16 {
        let RowView { registry, user, now, .. } = view;
        let place = self.places[measure];
        if place.stamp != self.stamp {
            return self.defaults[measure];
        }
        let cell: &Cell = &user.cells[place.cell as usize];
        let place = match (cell.number_units(), registry.measures.get(measure as MeasureId)) {
            (Some(units), _) => position_of_units(units),
            (None, Some(definition)) => position(&cell.reading(&definition.kind, now)),
            (None, None) => MISSING,
        };
        band(&self.bounds[measure], place)
    }
}

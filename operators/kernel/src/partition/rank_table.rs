//! Where the user at hand stands among the bounds of every measure, and which facts hold of them, found when first asked
//! for.

use std::sync::Arc;

use audience_rules::ast::Test;
use hashbrown::HashMap;

use crate::cell::Cell;
use crate::measure::MeasureId;
use crate::registry::{PredicateId, Question, Registry};

use super::leaf::{Interval, MISSING, position, position_of_units, rank};
use super::plan::{Subject, bounds};

/// The ranks of the user at hand in a measure, where the stamp is the latest.
#[derive(Clone, Copy, Default)]
pub(super) struct Ranks {
    stamp: u64,
    pub(super) before: u16,
    pub(super) now: u16,
}

/// Where the user at hand has the cell of a measure, where the stamp is the latest; else there is none.
#[derive(Clone, Copy, Default)]
struct Place {
    stamp: u64,
    cell: u32,
}

/// A test that is no interval of a measure of numbers, and of which time alone changes nothing.
struct Fact {
    measure: MeasureId,
    /// Where it can be told of a number.
    interval: Option<Interval>,
    test: Arc<Test>,
}

impl Fact {
    fn of(registry: &Registry, predicate: PredicateId) -> Option<Fact> {
        let Question::Measured(measure, test) = &registry.predicates.get(predicate)?.question else { return None };
        let is_timeless = !test.is_relative() && !registry.measures.get(*measure)?.kind.is_since();
        let fact = || Fact { measure: *measure, interval: Interval::of(*measure, test), test: test.clone() };
        (is_timeless && Interval::of_predicate(registry, predicate).is_none()).then(fact)
    }
}

/// By measure, and behind those by fact, as of the last edit.
#[derive(Default)]
pub(super) struct RankTable {
    /// Sorted.
    bounds: Vec<Vec<i64>>,
    /// Of who has no cell.
    defaults: Vec<u16>,
    places: Vec<Place>,
    facts: Vec<Fact>,
    /// Of each predicate that is a fact, where it stands behind the measures.
    fact_of: HashMap<PredicateId, usize>,
    ranks: Vec<Ranks>,
    stamp: u64,
}

impl RankTable {
    pub(super) fn of(registry: &Registry) -> RankTable {
        let bounds = bounds(registry);
        let mut defaults = vec![0; bounds.len()];
        for (id, measure) in registry.measures.iter() {
            defaults[id as usize] = rank(&bounds[id as usize], position(&measure.default));
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
        let (places, ranks) = (vec![Place::default(); bounds.len()], vec![Ranks::default(); defaults.len()]);
        // No stamp of theirs is the latest.
        RankTable { bounds, defaults, places, facts, fact_of, ranks, stamp: 1 }
    }

    /// The bounds of a measure.
    pub(super) fn bounds(&self, measure: MeasureId) -> Option<&[i64]> {
        self.bounds.get(measure as usize).map(|bounds| &bounds[..])
    }

    /// Where a fact stands.
    pub(super) fn fact(&self, predicate: PredicateId) -> Option<usize> {
        self.fact_of.get(&predicate).copied()
    }

    /// Begins with a user of whom nothing is kept, or nothing will be asked.
    pub(super) fn begin_with_nothing(&mut self) {
        self.stamp += 1;
    }

    /// Begins with a user.
    pub(super) fn begin(&mut self, subject: Subject<'_>) {
        self.stamp += 1;
        for (at, cell) in subject.user.cells.iter().enumerate() {
            if let Some(place) = self.places.get_mut(cell.measure() as usize) {
                *place = Place { stamp: self.stamp, cell: at as u32 };
            }
        }
        for (measure, before) in subject.touched {
            let Some(bounds) = self.bounds.get(*measure as usize).filter(|bounds| !bounds.is_empty()) else { continue };
            let before = rank(bounds, position(before));
            let now = self.find(*measure as usize, subject);
            self.ranks[*measure as usize] = Ranks { stamp: self.stamp, before, now };
        }
    }

    /// The user's ranks in a measure, or of a fact.
    #[inline]
    pub(super) fn of_measure(&mut self, measure: u16, subject: Subject<'_>) -> Ranks {
        let known = self.ranks[usize::from(measure)];
        if known.stamp == self.stamp {
            return known;
        }
        let (before, now) = match self.facts.get(usize::from(measure).wrapping_sub(self.bounds.len())) {
            Some(fact) => self.find_fact(usize::from(measure), fact, subject),
            None => {
                let now = self.find(usize::from(measure), subject);
                (now, now)
            }
        };
        let found = Ranks { stamp: self.stamp, before, now };
        self.ranks[usize::from(measure)] = found;
        found
    }

    /// Whether a fact held before and holds now.
    fn find_fact(&self, index: usize, fact: &Fact, subject: Subject<'_>) -> (u16, u16) {
        let Subject { registry, user, touched, now } = subject;
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

    fn find(&self, measure: usize, subject: Subject<'_>) -> u16 {
        let Subject { registry, user, now, .. } = subject;
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
        rank(&self.bounds[measure], place)
    }
}

//! Where the user at hand stands among the bounds of every measure, found when first asked for.

use crate::cell::Cell;
use crate::measure::MeasureId;
use crate::reading::Reading;
use crate::registry::Registry;

use super::leaf::{MISSING, position, position_of_units, rank};
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

/// By measure, as of the last edit.
#[derive(Default)]
pub(super) struct RankTable {
    /// Sorted.
    bounds: Vec<Vec<i64>>,
    /// Of who has no cell.
    defaults: Vec<u16>,
    places: Vec<Place>,
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
        let (places, ranks) = (vec![Place::default(); bounds.len()], vec![Ranks::default(); bounds.len()]);
        // No stamp of theirs is the latest.
        RankTable { bounds, defaults, places, ranks, stamp: 1 }
    }

    /// The bounds of a measure.
    pub(super) fn bounds(&self, measure: MeasureId) -> Option<&[i64]> {
        self.bounds.get(measure as usize).map(|bounds| &bounds[..])
    }

    /// Begins with a user of whom nothing is kept, or nothing will be asked.
    pub(super) fn begin_with_nothing(&mut self) {
        self.stamp += 1;
    }

    /// Begins with a user, of whom these measures may have changed.
    pub(super) fn begin(&mut self, subject: Subject<'_>, touched: &[(MeasureId, Reading)]) {
        self.stamp += 1;
        for (at, cell) in subject.user.cells.iter().enumerate() {
            if let Some(place) = self.places.get_mut(cell.measure() as usize) {
                *place = Place { stamp: self.stamp, cell: at as u32 };
            }
        }
        for (measure, before) in touched {
            let Some(bounds) = self.bounds.get(*measure as usize).filter(|bounds| !bounds.is_empty()) else { continue };
            let before = rank(bounds, position(before));
            let now = self.find(*measure as usize, subject);
            self.ranks[*measure as usize] = Ranks { stamp: self.stamp, before, now };
        }
    }

    /// The user's ranks in a measure.
    #[inline]
    pub(super) fn of_measure(&mut self, measure: u16, subject: Subject<'_>) -> Ranks {
        let known = self.ranks[usize::from(measure)];
        if known.stamp == self.stamp {
            return known;
        }
        let now = self.find(usize::from(measure), subject);
        let found = Ranks { stamp: self.stamp, before: now, now };
        self.ranks[usize::from(measure)] = found;
        found
    }

    fn find(&self, measure: usize, Subject { registry, user, now }: Subject<'_>) -> u16 {
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

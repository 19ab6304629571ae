//! Measures: made with the first use, dropped with the last.

use audience_rules::ast::{Comparison, Condition, Millis, Test};

use super::{Boundary, PredicateId, RankId, Registry};
use crate::measure::{Kind, MeasureId, Span};
use crate::program::{Source, relative_offsets};
use crate::reading::{Reading, cuts};

/// A measure.
pub struct Measure {
    /// Its key.
    pub source: Source,
    /// What it is.
    pub kind: Kind,
    /// What it says of a user of whom nothing is kept.
    pub default: Reading,
    /// See [`relative_offsets`]; sorted.
    pub offsets: Vec<Millis>,
    /// Tests of numbers by the places at which they change; sorted.
    pub(super) cuts: Vec<Cut>,
    /// Tests that have no such place.
    pub(super) uncut: Vec<PredicateId>,
    /// All predicates on it.
    pub(super) predicates: Vec<PredicateId>,
    /// Those that may change by time alone.
    pub(super) relative: Vec<PredicateId>,
    /// The ranks that it orders.
    pub ranks: Vec<RankId>,
    /// Set while a backfill brings its history.
    pub backfill: Option<Boundary>,
    /// Users below this slot are due for it; the others not before a scan has brought what a backfill left to now.
    pub scanned: u32,
    pub(super) uses: u32,
}

impl Measure {
    /// Whether it may change by time alone.
    pub fn is_temporal(&self) -> bool {
        !self.offsets.is_empty()
            || match &self.kind {
                Kind::Trait(_) => false,
                Kind::Behaviour { span, relative, .. } | Kind::Sequence { span, relative, .. } => {
                    *relative || matches!(span, Span::Sliding { .. })
                }
            }
    }

    /// Enters a predicate; says whether it changes at exactly one place.
    pub(super) fn attach(&mut self, test: &Test, id: PredicateId) -> bool {
        self.uses += 1;
        self.predicates.push(id);
        let offsets = relative_offsets(test, self.kind.is_since());
        if !offsets.is_empty() {
            self.relative.push(id);
            self.offsets.extend(offsets);
            self.offsets.sort_unstable();
            self.offsets.dedup();
        }
        let places = cuts(test).unwrap_or_default();
        for place in &places {
            let at = self.cuts.partition_point(|cut| cut.place < *place);
            self.cuts.insert(at, Cut { place: *place, predicate: id, side: Side::of(test) });
        }
        if places.is_empty() {
            self.uncut.push(id);
        }
        places.len() == 1
    }

    /// Enters a predicate on whether there is a value: that changes at no place of a number, nor by time alone.
    pub(super) fn attach_valued(&mut self, id: PredicateId) {
        self.uses += 1;
        self.predicates.push(id);
        self.uncut.push(id);
    }

    /// Takes a predicate out. The use that it was ends with `Registry::release_measure`.
    pub(super) fn detach(&mut self, id: PredicateId) {
        self.predicates.retain(|known| *known != id);
        self.relative.retain(|known| *known != id);
        self.cuts.retain(|cut| cut.predicate != id);
        self.uncut.retain(|known| *known != id);
        if self.relative.is_empty() {
            self.offsets.clear();
        }
    }

    /// The predicates with a place between two places of a number.
    pub(super) fn passed(&self, low: i128, high: i128, out: &mut Vec<PredicateId>) {
        let start = self.cuts.partition_point(|cut| cut.place < low);
        out.extend(self.cuts[start..].iter().take_while(|cut| cut.place < high).map(|cut| cut.predicate));
    }

    /// The predicates that may change where a number appears at a place, or vanishes from there.
    pub(super) fn appeared(&self, place: i128, out: &mut Vec<PredicateId>) {
        let may_change = |cut: &&Cut| match cut.side {
            Side::Above => cut.place < place,
            Side::Below => cut.place > place,
            Side::Either => true,
        };
        out.extend(self.cuts.iter().filter(may_change).map(|cut| cut.predicate));
    }
}

impl Registry {
    /// The measure of a source, made where there is none; with a backfill from `boundary` then.
    pub fn require_measure(&mut self, source: &Source, boundary: Option<Boundary>) -> MeasureId {
        if let Some(id) = self.by_source.get(source) {
            return *id;
        }
        let kind = Kind::of(source);
        let measure = Measure {
            source: source.clone(),
            default: kind.default_reading(),
            kind,
            offsets: Vec::new(),
            cuts: Vec::new(),
            uncut: Vec::new(),
            predicates: Vec::new(),
            relative: Vec::new(),
            ranks: Vec::new(),
            backfill: boundary,
            scanned: if boundary.is_some() { 0 } else { u32::MAX },
            uses: 0,
        };
        self.is_temporal |= measure.is_temporal();
        let id = self.measures.insert(measure);
        self.by_source.insert(source.clone(), id);
        self.listeners.add(id, source);
        id
    }

    /// Users below this slot are due for every measure.
    pub fn measures_scanned(&mut self, slot: u32) {
        for measure in self.measures.values_mut().filter(|measure| measure.scanned < slot) {
            measure.scanned = slot;
        }
    }

    pub(super) fn release_measure(&mut self, id: MeasureId) {
        let Some(measure) = self.measures.get_mut(id) else { return };
        measure.uses = measure.uses.saturating_sub(1);
        if measure.uses == 0 {
            self.drop_measure(id);
        }
    }

    /// Drops the measures that nothing uses.
    pub fn drop_unneeded_measures(&mut self) {
        let unused: Vec<MeasureId> =
            self.measures.iter().filter(|(_, measure)| measure.uses == 0).map(|(id, _)| id).collect();
        unused.into_iter().for_each(|id| self.drop_measure(id));
    }

    fn drop_measure(&mut self, id: MeasureId) {
        if let Some(measure) = self.measures.retire(id) {
            // The number is free again once no row has a cell of it: see `forget_dropped`.
            self.by_source.remove(&measure.source);
            self.listeners.remove(id);
            self.dropped.insert(id);
        }
        self.is_temporal = self.measures.iter().any(|(_, measure)| measure.is_temporal());
    }

    /// The numbers of dropped measures may be used again: no row has a cell of them any more.
    pub fn forget_dropped(&mut self) {
        self.measures.free(self.dropped.drain());
    }
}

/// A place at which a predicate on a number changes.
pub(super) struct Cut {
    place: i128,
    predicate: PredicateId,
    side: Side,
}

/// Where the number must be for the predicate to hold.
#[derive(Clone, Copy)]
enum Side {
    Above,
    Below,
    Either,
}

impl Side {
    fn of(test: &Test) -> Side {
        match test.condition {
            Condition::Compare(Comparison::Greater | Comparison::GreaterOrEqual, _) => Side::Above,
            Condition::Compare(Comparison::Less | Comparison::LessOrEqual, _) => Side::Below,
            _ => Side::Either,
        }
    }
}

//! Measures: made with the first use, dropped with the last.

use audience_rules::ast::{Comparison, Condition, Millis, Test};

use super::{Boundary, PredicateId, RankId, Registry};
use crate::measure::{MeasureId, MeasureKind};
use crate::program::{MeasureKey, relative_offsets};
use crate::reading::{Reading, thresholds};

/// A measure.
pub struct MeasureEntry {
    /// Its key.
    pub key: MeasureKey,
    /// Its kind.
    pub kind: MeasureKind,
    /// The reading for a user without a cell.
    pub default: Reading,
    /// See [`relative_offsets`]; sorted.
    pub offsets: Vec<Millis>,
    /// Tests of numbers by the places at which they change; sorted.
    pub(super) thresholds: Vec<Threshold>,
    /// Tests that have no such place.
    pub(super) unsorted: Vec<PredicateId>,
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

impl MeasureEntry {
    /// Returns whether it may change by time alone.
    pub fn is_temporal(&self) -> bool {
        !self.offsets.is_empty()
            || match &self.kind {
                MeasureKind::Trait(_) => false,
                MeasureKind::Asked(_) => true,
                MeasureKind::Behaviour { span, relative, .. } | MeasureKind::Sequence { span, relative, .. } => {
                    *relative || span.is_sliding()
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
        let places = thresholds(test).unwrap_or_default();
        for place in &places {
            let at = self.thresholds.partition_point(|threshold| threshold.place < *place);
            self.thresholds.insert(at, Threshold { place: *place, predicate: id, side: ThresholdSide::of(test) });
        }
        if places.is_empty() {
            self.unsorted.push(id);
        }
        places.len() == 1
    }

    /// Enters a predicate on whether there is a value: that changes at no place of a number, nor by time alone.
    pub(super) fn attach_valued(&mut self, id: PredicateId) {
        self.uses += 1;
        self.predicates.push(id);
        self.unsorted.push(id);
    }

    /// Takes a predicate out. The use that it was ends with `Registry::release_measure`.
    pub(super) fn detach(&mut self, id: PredicateId) {
        self.predicates.retain(|known| *known != id);
        self.relative.retain(|known| *known != id);
        self.thresholds.retain(|threshold| threshold.predicate != id);
        self.unsorted.retain(|known| *known != id);
        if self.relative.is_empty() {
            self.offsets.clear();
        }
    }

    /// The predicates with a place between two places of a number.
    pub(super) fn passed(&self, low: i128, high: i128, out: &mut Vec<PredicateId>) {
        let start = self.thresholds.partition_point(|threshold| threshold.place < low);
        out.extend(
            self.thresholds[start..]
                .iter()
                .take_while(|threshold| threshold.place < high)
                .map(|threshold| threshold.predicate),
        );
    }

    /// The predicates that may change where a number appears at a place, or vanishes from there.
    pub(super) fn appeared(&self, place: i128, out: &mut Vec<PredicateId>) {
        let may_change = |threshold: &&Threshold| match threshold.side {
            ThresholdSide::Above => threshold.place < place,
            ThresholdSide::Below => threshold.place > place,
            ThresholdSide::Either => true,
        };
        out.extend(self.thresholds.iter().filter(may_change).map(|threshold| threshold.predicate));
    }
}

impl Registry {
    /// The measure of a key, made where there is none; with a backfill from `boundary` then.
    pub fn require_measure(&mut self, key: &MeasureKey, boundary: Option<Boundary>) -> MeasureId {
        if let Some(id) = self.by_key.get(key) {
            return *id;
        }
        let kind = MeasureKind::of(key);
        let measure = MeasureEntry {
            key: key.clone(),
            default: kind.default_reading(),
            kind,
            offsets: Vec::new(),
            thresholds: Vec::new(),
            unsorted: Vec::new(),
            predicates: Vec::new(),
            relative: Vec::new(),
            ranks: Vec::new(),
            backfill: boundary,
            scanned: if boundary.is_some() { 0 } else { u32::MAX },
            uses: 0,
        };
        self.is_temporal |= measure.is_temporal();
        self.has_questions |= matches!(measure.kind, MeasureKind::Asked(_));
        let id = self.measures.insert(measure);
        self.by_key.insert(key.clone(), id);
        self.listeners.add(id, key);
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
            self.by_key.remove(&measure.key);
            self.listeners.remove(id);
            self.dropped.insert(id);
        }
        self.is_temporal = self.measures.iter().any(|(_, measure)| measure.is_temporal());
        self.has_questions = self.measures.iter().any(|(_, measure)| matches!(measure.kind, MeasureKind::Asked(_)));
    }

    /// The numbers of dropped measures may be used again: no row has a cell of them any more.
    pub fn forget_dropped(&mut self) {
        self.measures.free(self.dropped.drain());
    }
}

/// A place at which a predicate on a number changes.
pub(super) struct Threshold {
    place: i128,
    predicate: PredicateId,
    side: ThresholdSide,
}

/// The side of a threshold on which the predicate holds.
#[derive(Clone, Copy)]
enum ThresholdSide {
    Above,
    Below,
    Either,
}

impl ThresholdSide {
    fn of(test: &Test) -> ThresholdSide {
        match test.condition {
            Condition::Compare(Comparison::Greater | Comparison::GreaterOrEqual, _) => ThresholdSide::Above,
            Condition::Compare(Comparison::Less | Comparison::LessOrEqual, _) => ThresholdSide::Below,
            _ => ThresholdSide::Either,
        }
    }
}

//! The predicates that change with the reading of a measure.

use audience_rules::ast::Millis;

use super::{PredicateId, Registry};
use crate::measure::MeasureId;
use crate::reading::Reading;

impl Registry {
    /// Collects the predicates on a measure whose value changes with the reading, or by time alone.
    pub fn flips(
        &self,
        measure: MeasureId,
        (before, before_now): (&Reading, Millis),
        (after, now): (&Reading, Millis),
        out: &mut Vec<PredicateId>,
    ) {
        let Some(measure) = self.measures.get(measure) else { return };
        let verify = |id: PredicateId, out: &mut Vec<PredicateId>| {
            let Some(kind) = self.predicates.get(id).map(|found| &found.kind) else { return };
            if kind.holds_of(before, before_now) != kind.holds_of(after, now) {
                out.push(id);
            }
        };
        if before == after {
            return measure.relative.iter().for_each(|id| verify(*id, out));
        }
        match (before.position(), after.position()) {
            (Some(from), Some(to)) => measure.passed(from.min(to), from.max(to), out),
            (Some(place), None) if *after == Reading::Missing => measure.appeared(place, out),
            (None, Some(place)) if *before == Reading::Missing => measure.appeared(place, out),
            _ => return measure.predicates.iter().for_each(|id| verify(*id, out)),
        }
        if measure.unsorted.is_empty() && measure.thresholds.len() == measure.predicates.len() {
            // Each has exactly one place, so that passing it changes it.
            return;
        }
        // A test with two places or more may be met twice, and not change.
        let mut unsure: Vec<PredicateId> = measure.unsorted.clone();
        out.retain(|id| {
            let sure = self.predicates.get(*id).is_some_and(|found| found.has_one_threshold);
            if !sure {
                unsure.push(*id);
            }
            sure
        });
        unsure.sort_unstable();
        unsure.dedup();
        unsure.into_iter().for_each(|id| verify(id, out));
    }
}

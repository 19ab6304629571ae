//! Rules with their predicates and ranks: how they come and go.

use std::sync::Arc;

use audience_rules::ast::Test;

use super::{
    BitmapId, Boundary, Predicate, PredicateId, PredicateKind, RankEntry, RankId, Registry, Rule, RuleId, RuleRole,
};
use crate::program::{Leaf, MeasureKey, Program, RankProgram};

impl Registry {
    /// Adds a rule that no user has been looked at for. `bitmap` makes an empty bitmap.
    pub fn add_rule(
        &mut self,
        program: &Arc<Program>,
        role: RuleRole,
        boundary: Option<Boundary>,
        bitmap: &mut impl FnMut() -> BitmapId,
    ) -> RuleId {
        let predicates: Vec<PredicateId> =
            program.leaves.iter().map(|leaf| self.require_predicate(leaf, boundary, bitmap)).collect();
        let rule = Rule {
            program: program.clone(),
            predicates: predicates.clone(),
            members: bitmap(),
            role,
            scanned: 0,
            level: 0,
        };
        let id = self.rules.insert(rule);
        for (index, predicate) in predicates.into_iter().enumerate() {
            if let Some(predicate) = self.predicates.get_mut(predicate) {
                predicate.uses.push((id, index as u16));
            }
        }
        self.default_rules = None;
        id
    }

    fn require_predicate(
        &mut self,
        leaf: &Leaf,
        boundary: Option<Boundary>,
        bitmap: &mut impl FnMut() -> BitmapId,
    ) -> PredicateId {
        if let Some(id) = self.by_leaf.get(leaf) {
            return *id;
        }
        let kind = match leaf {
            Leaf::Measured(key, test) => {
                PredicateKind::Measured(self.require_measure(key, boundary), Arc::new(test.clone()))
            }
            Leaf::Valued(key, test) => {
                PredicateKind::Valued(self.require_measure(key, boundary), Arc::new(test.clone()))
            }
            Leaf::Segment(id) => PredicateKind::Segment(id.clone()),
            Leaf::Rank(program) => PredicateKind::Rank(self.add_rank(program, boundary, bitmap)),
            Leaf::Sample(sample) => PredicateKind::Sample(sample.clone()),
        };
        let predicate = Predicate { leaf: leaf.clone(), kind, uses: Vec::new(), has_one_threshold: false };
        let id = self.predicates.insert(predicate);
        self.by_leaf.insert(leaf.clone(), id);
        match leaf {
            Leaf::Measured(key, test) => self.attach(key, test, id),
            Leaf::Valued(key, _) => {
                let measure = self.by_key.get(key).copied();
                if let Some(measure) = measure.and_then(|measure| self.measures.get_mut(measure)) {
                    measure.attach_valued(id);
                }
            }
            Leaf::Rank(_) => {
                if let Some(PredicateKind::Rank(rank)) = self.predicates.get(id).map(|found| found.kind.clone())
                    && let Some(entry) = self.ranks.get_mut(rank)
                {
                    entry.predicate = id;
                }
            }
            Leaf::Segment(segment) => drop(self.by_segment.insert(segment.clone(), id)),
            Leaf::Sample(_) => {}
        }
        id
    }

    /// Enters a predicate into its measure's order.
    fn attach(&mut self, key: &MeasureKey, test: &Test, id: PredicateId) {
        let Some(measure) = self.by_key.get(key).and_then(|measure| self.measures.get_mut(*measure)) else {
            return;
        };
        let has_one_threshold = measure.attach(test, id);
        self.is_temporal |= measure.is_temporal();
        if let Some(predicate) = self.predicates.get_mut(id) {
            predicate.has_one_threshold = has_one_threshold;
        }
    }

    fn add_rank(
        &mut self,
        program: &Arc<RankProgram>,
        boundary: Option<Boundary>,
        bitmap: &mut impl FnMut() -> BitmapId,
    ) -> RankId {
        let by = self.require_measure(&program.by, boundary);
        let entry = RankEntry {
            program: program.clone(),
            by,
            among: None,
            inside: bitmap(),
            depth: 0,
            scanned: 0,
            predicate: 0,
        };
        let id = self.ranks.insert(entry);
        let among = program.among.as_ref().map(|program| self.add_rule(program, RuleRole::Among(id), boundary, bitmap));
        if let Some(entry) = self.ranks.get_mut(id) {
            entry.among = among;
        }
        if let Some(measure) = self.measures.get_mut(by) {
            measure.uses += 1;
            measure.ranks.push(id);
        }
        id
    }

    /// Removes a rule and what only it needed; gives the bitmaps that are free now and the ranks that are gone.
    pub fn remove_rule(&mut self, id: RuleId) -> (Vec<BitmapId>, Vec<RankId>) {
        let mut gone = (Vec::new(), Vec::new());
        self.remove_rule_into(id, &mut gone);
        self.default_rules = None;
        gone
    }

    fn remove_rule_into(&mut self, id: RuleId, gone: &mut (Vec<BitmapId>, Vec<RankId>)) {
        let Some(rule) = self.rules.remove(id) else { return };
        gone.0.push(rule.members);
        for predicate in rule.predicates {
            let Some(found) = self.predicates.get_mut(predicate) else { continue };
            found.uses.retain(|(user, _)| *user != id);
            if found.uses.is_empty() {
                self.remove_predicate(predicate, gone);
            }
        }
    }

    fn remove_predicate(&mut self, id: PredicateId, gone: &mut (Vec<BitmapId>, Vec<RankId>)) {
        let Some(predicate) = self.predicates.remove(id) else { return };
        self.by_leaf.remove(&predicate.leaf);
        match predicate.kind {
            PredicateKind::Measured(measure, _) | PredicateKind::Valued(measure, _) => {
                if let Some(found) = self.measures.get_mut(measure) {
                    found.detach(id);
                }
                self.release_measure(measure);
            }
            PredicateKind::Rank(rank) => {
                let Some(entry) = self.ranks.remove(rank) else { return };
                gone.0.push(entry.inside);
                gone.1.push(rank);
                if let Some(found) = self.measures.get_mut(entry.by) {
                    found.ranks.retain(|known| *known != rank);
                }
                self.release_measure(entry.by);
                if let Some(among) = entry.among {
                    self.remove_rule_into(among, gone);
                }
            }
            PredicateKind::Segment(segment) => drop(self.by_segment.remove(&segment)),
            PredicateKind::Sample(_) => {}
        }
    }
}

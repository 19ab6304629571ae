//! The levels of rules and the depths of ranks.

use audience_rules::ast::SegmentId;
use hashbrown::HashMap;

use super::{PredicateKind, RankId, Registry, RuleId};

impl Registry {
    /// Sets the levels of rules (deeper than the segments they refer to) and the depths of ranks.
    pub fn set_levels(&mut self, published: &HashMap<SegmentId, RuleId>) {
        loop {
            let mut changed = false;
            let ids: Vec<RuleId> = self.rules.iter().map(|(id, _)| id).collect();
            for id in ids {
                let Some(level) = self.level_of(id, published) else { continue };
                if let Some(rule) = self.rules.get_mut(id)
                    && rule.level < level
                {
                    rule.level = level;
                    changed = true;
                }
            }
            let ids: Vec<RankId> = self.ranks.iter().map(|(id, _)| id).collect();
            for id in ids {
                let depth = self.depth_of(id, published);
                if let Some(rank) = self.ranks.get_mut(id)
                    && rank.depth < depth
                {
                    rank.depth = depth;
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn level_of(&self, id: RuleId, published: &HashMap<SegmentId, RuleId>) -> Option<u32> {
        let rule = self.rules.get(id)?;
        rule.predicates
            .iter()
            .filter_map(|predicate| match &self.predicates.get(*predicate)?.kind {
                PredicateKind::Segment(segment) => self.rules.get(*published.get(segment)?).map(|rule| rule.level + 1),
                _ => None,
            })
            .max()
    }

    /// One more than the deepest rank that decides who is ranked, through segments too.
    fn depth_of(&self, id: RankId, published: &HashMap<SegmentId, RuleId>) -> u32 {
        1 + self.ranks.get(id).and_then(|rank| rank.among).map_or(0, |among| self.rank_depth_of_rule(among, published))
    }

    /// The depth of the deepest rank that a rule depends on, through segments too; 0 for none.
    pub fn rank_depth_of_rule(&self, id: RuleId, published: &HashMap<SegmentId, RuleId>) -> u32 {
        let Some(rule) = self.rules.get(id) else { return 0 };
        rule.predicates
            .iter()
            .filter_map(|predicate| match &self.predicates.get(*predicate)?.kind {
                PredicateKind::Rank(rank) => self.ranks.get(*rank).map(|rank| rank.depth.max(1)),
                PredicateKind::Segment(segment) => {
                    published.get(segment).map(|rule| self.rank_depth_of_rule(*rule, published))
                }
                _ => None,
            })
            .max()
            .unwrap_or(0)
    }

    /// The deepest rank; 0 where there is none.
    pub fn deepest_rank(&self) -> u32 {
        self.ranks.iter().map(|(_, rank)| rank.depth).max().unwrap_or(0)
    }
}

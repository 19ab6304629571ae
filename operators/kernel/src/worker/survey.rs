//! Many rules evaluated for the same users: the positions of a user's numbers are found once for all rules.
//!
//! Law: it enters the same members as evaluating each rule by itself.
//! Cost: for a block of users, finding the positions of their numbers in each measure, and then a few comparisons in the
//! cache for each rule and user.

use std::hint::black_box;
use std::ops::Range;

use audience_rules::ast::Millis;
use parking_lot::RwLock;

use crate::measure::MeasureId;
use crate::membership::Membership;
use crate::registry::{BitmapId, Registry, RuleId};

use super::column::{BY_ROW, place};
use super::number_rule::{BLOCK, LANES, Lanes, NumberRule};
use super::rows::{UserRows, UserSlot};

/// Places of a block: as many as stay in the cache from rule to rule.
const PLACES: usize = 1 << 15;
/// Users of a block at least and at most.
const USERS: Range<usize> = BLOCK as usize..1024;

/// Rules that are looked at together, those that others refer to first.
struct RuleSurvey {
    rules: Vec<SurveyedRule>,
    /// The measures that the rules of numbers ask, each once; none where looking at each rule by itself is less work.
    measures: Vec<MeasureId>,
    /// By measure, its place among these.
    columns: Vec<usize>,
}

struct SurveyedRule {
    id: RuleId,
    members: BitmapId,
    numbers: Option<NumberRule>,
}

impl RuleSurvey {
    fn of(registry: &Registry, rules: &[RuleId]) -> RuleSurvey {
        let mut rules: Vec<(u32, SurveyedRule)> = rules
            .iter()
            .filter_map(|id| Some((*id, registry.rules.get(*id)?)))
            .map(|(id, rule)| {
                (rule.level, SurveyedRule { id, members: rule.members, numbers: NumberRule::of(registry, rule) })
            })
            .collect();
        rules.sort_by_key(|(level, rule)| (*level, rule.id));
        let mut rules: Vec<SurveyedRule> = rules.into_iter().map(|(_, rule)| rule).collect();
        let mut measures: Vec<MeasureId> =
            rules.iter().filter_map(|rule| rule.numbers.as_ref()).flat_map(NumberRule::measures).collect();
        measures.sort_unstable();
        measures.dedup();
        if measures.len() > rules.iter().filter(|rule| rule.numbers.is_some()).count() {
            measures.clear();
            rules.iter_mut().for_each(|rule| rule.numbers = None);
        }
        let mut columns = vec![0; measures.last().map_or(0, |last| *last as usize + 1)];
        for (column, measure) in measures.iter().enumerate() {
            columns[*measure as usize] = column;
        }
        RuleSurvey { rules, measures, columns }
    }

    fn users_at_once(&self) -> usize {
        (PLACES / self.measures.len().max(1)).clamp(USERS.start, USERS.end)
    }
}

impl UserRows {
    /// Enters these users into those of the rules that they fulfil.
    pub(super) fn enter_members(
        &self,
        rules: &[RuleId],
        slots: Range<u32>,
        now: Millis,
        membership: &RwLock<Membership>,
    ) {
        let survey = RuleSurvey::of(&self.registry, rules);
        let at_once = survey.users_at_once();
        let mut places = vec![BY_ROW; at_once * survey.measures.len()];
        for first in slots.clone().step_by(at_once) {
            let block = first..slots.end.min(first + at_once as u32);
            self.fill_places(&survey, block.clone(), now, &mut places);
            for rule in &survey.rules {
                let found = match &rule.numbers {
                    Some(numbers) => self.find_by_places(&survey, numbers, block.clone(), now, &places),
                    None => self.find(rule.id, block.clone(), now, &membership.read()),
                };
                // Only now are readers kept waiting.
                membership.write().bitmap_mut(rule.members).extend(found);
            }
        }
    }

    /// Notes where these users' numbers stand, measure by measure.
    fn fill_places(&self, survey: &RuleSurvey, block: Range<u32>, now: Millis, places: &mut [i64]) {
        if survey.measures.is_empty() {
            return;
        }
        for first in block.clone().step_by(BLOCK as usize) {
            let slots = first..block.end.min(first + BLOCK);
            let users = &self.users[slots.start as usize..slots.end as usize];
            self.fetch(slots.clone());
            for (column, measure) in places.chunks_mut(survey.users_at_once()).zip(&survey.measures) {
                let near = |user: &UserSlot| user.cell(*measure).map_or(0, |at| user.cells[at].fetch());
                black_box(users.iter().map(near).fold(0, u64::wrapping_add));
                let column = &mut column[(slots.start - block.start) as usize..];
                for (known, user) in column.iter_mut().zip(users) {
                    *known = place(&self.registry, user, *measure, now);
                }
            }
        }
    }

    fn find_by_places(
        &self,
        survey: &RuleSurvey,
        rule: &NumberRule,
        block: Range<u32>,
        now: Millis,
        places: &[i64],
    ) -> Vec<u32> {
        let at_once = survey.users_at_once();
        let by_row = |slot: u32| self.users[slot as usize].known && rule.holds(self.view(slot, now));
        let mut found = Vec::new();
        for first in block.clone().step_by(LANES) {
            let slots = first..block.end.min(first + LANES as u32);
            let lanes = |measure: MeasureId| {
                let start = survey.columns[measure as usize] * at_once + (first - block.start) as usize;
                Lanes::of(&places[start..start + slots.len()])
            };
            rule.find_in(slots.clone(), lanes, by_row, &mut found);
        }
        found
    }
}

//! Scans: a look at every user for new rules and ranks, slice by slice, so that events do not wait.
//!
//! Law: users below the cursor are kept up to date as they change, and the others are yet to be looked at. At the end the
//! bitmaps of the new rules are exact.

use std::ops::Range;

use audience_rules::ast::Millis;
use hashbrown::HashSet;

use crate::measure::MeasureId;
use crate::membership::Membership;
use crate::registry::{MeasureEntry, PredicateId, RankId, RuleId};

use super::WorkerState;
use super::column::Columns;
use super::number_rule::NumberRule;
use super::rows::UserRows;

/// The state of looks at all users.
#[derive(Default)]
pub(super) struct ScanState {
    pub(super) under_way: Option<UserScan>,
    pub(super) columns: Columns,
    /// Users whose whole history the measures under backfill have already.
    pub(super) backfilled: HashSet<u32>,
}

/// A scan under way.
pub(super) struct UserScan {
    rules: Vec<RuleId>,
    ranks: Vec<RankId>,
    cursor: u32,
    /// The rule that is looked at by columns: where one alone is of numbers.
    by_columns: Option<RuleId>,
}

impl UserRows {
    /// Brings what a backfill left of these users to `now`, and finds when they are next due: what is looked at now may
    /// change by time at instants that nothing asked for before.
    fn bring_users(&mut self, scan: &UserScan, slots: Range<u32>, scanned: u32, now: Millis) {
        let filled = self.registry.measures.iter().filter(|(_, measure)| measure.scanned < scanned);
        let filled: Vec<MeasureId> = filled.filter(|(_, it)| it.is_temporal()).map(|(id, _)| id).collect();
        self.registry.measures_scanned(scanned);
        if filled.is_empty() && !self.is_temporal(scan) {
            return;
        }
        for slot in slots {
            let user = &mut self.users[slot as usize];
            for measure in &filled {
                if let (Some(at), Some(definition)) = (user.cell(*measure), self.registry.measures.get(*measure)) {
                    user.cells[at].advance(&definition.kind, now);
                }
            }
            self.set_due(slot, now);
            self.schedule(slot);
        }
    }

    /// The users among these who fulfil a rule.
    pub(super) fn find(&self, rule: RuleId, slots: Range<u32>, now: Millis, membership: &Membership) -> Vec<u32> {
        if let Some(rule) = self.registry.rules.get(rule).and_then(|rule| NumberRule::of(&self.registry, rule)) {
            return self.find_by_numbers(rule, slots, now);
        }
        let holds = |slot: &u32| self.users[*slot as usize].known && self.holds(rule, *slot, now, membership);
        slots.filter(holds).collect()
    }

    /// Returns whether what is scanned for may change by time alone.
    fn is_temporal(&self, scan: &UserScan) -> bool {
        let is_measure = |measure| self.registry.measures.get(measure).is_some_and(MeasureEntry::is_temporal);
        let is_predicate = |predicate: &PredicateId| {
            let found = self.registry.predicates.get(*predicate);
            found.and_then(|found| found.kind.measure()).is_some_and(is_measure)
        };
        let rules = scan.rules.iter().filter_map(|rule| self.registry.rules.get(*rule));
        let ranks = scan.ranks.iter().filter_map(|rank| self.registry.ranks.get(*rank));
        rules.flat_map(|rule| &rule.predicates).any(is_predicate) || ranks.map(|rank| rank.by).any(is_measure)
    }
}

impl WorkerState {
    /// Begins to look at every user: for the new ranks of a depth, or for the installed rules.
    pub fn begin_scan(&mut self, rank_depth: Option<u32>) {
        let (rules, ranks): (Vec<RuleId>, Vec<RankId>) = match rank_depth {
            // Those that everybody was looked at for are kept up to date.
            None => {
                let is_new = |rule: &RuleId| self.rows.registry.rules.get(*rule).is_some_and(|rule| rule.scanned == 0);
                (self.in_force.installed.values().copied().filter(is_new).collect(), Vec::new())
            }
            Some(depth) => {
                let new = self.rows.registry.ranks.iter().filter(|(_, rank)| rank.scanned == 0 && rank.depth == depth);
                let ranks: Vec<(RankId, Option<RuleId>)> = new.map(|(id, rank)| (id, rank.among)).collect();
                (ranks.iter().filter_map(|(_, among)| *among).collect(), ranks.iter().map(|(id, _)| *id).collect())
            }
        };
        self.scans.columns.drop_parts();
        let is_of_numbers = |id: &RuleId| {
            let rule = self.rows.registry.rules.get(*id);
            rule.is_some_and(|rule| NumberRule::of(&self.rows.registry, rule).is_some())
        };
        let mut of_numbers = rules.iter().copied().filter(is_of_numbers);
        let by_columns = of_numbers.next().filter(|_| of_numbers.next().is_none());
        self.scans.under_way = Some(UserScan { rules, ranks, cursor: 0, by_columns });
    }

    /// Returns whether a scan is under way.
    pub fn is_scanning(&self) -> bool {
        self.scans.under_way.is_some()
    }

    /// Looks at the next `users`; gives whether the scan is at its end.
    pub fn scan_slice(&mut self, users: u32) -> bool {
        let Some(mut scan) = self.scans.under_way.take() else { return true };
        let now: Millis = self.time.clock;
        let membership = self.membership();
        let end = scan.cursor.saturating_add(users).min(self.rows.users.len() as u32);
        let done = end as usize == self.rows.users.len();
        let scanned = if done { u32::MAX } else { end };
        self.rows.bring_users(&scan, scan.cursor..end, scanned, now);
        let mut rules = scan.rules.clone();
        if let Some(rule) = scan.by_columns
            && let Some(members) = self.rows.registry.rules.get(rule).map(|rule| rule.members)
            && let Some(found) = self.rows.find_by_columns(&mut self.scans.columns, rule, scan.cursor..end, now)
        {
            membership.write().bitmap_mut(members).extend(found);
            rules.retain(|it| *it != rule);
        }
        self.rows.enter_members(&rules, scan.cursor..end, now, &membership);
        for rank in &scan.ranks {
            let guard = membership.read();
            for slot in scan.cursor..end {
                if self.rows.users[slot as usize].known {
                    self.output.rank_inputs.extend(self.rows.rank_input(*rank, slot, now, &guard));
                }
            }
        }
        scan.cursor = end;
        for rule in &scan.rules {
            if let Some(rule) = self.rows.registry.rules.get_mut(*rule) {
                rule.scanned = scanned;
            }
        }
        for rank in &scan.ranks {
            if let Some(rank) = self.rows.registry.ranks.get_mut(*rank) {
                rank.scanned = scanned;
            }
        }
        if done {
            self.scans.columns.finish(self.rows.users.len());
        } else {
            self.scans.under_way = Some(scan);
        }
        done
    }
}

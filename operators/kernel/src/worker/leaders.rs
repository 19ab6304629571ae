//! Leaderboards: the first members of a segment by a measure, with their values.
//!
//! Law: the members whose value of the measure is a number, in the order of a rank, up to a limit, as of the end of one tick.
//! Cost: one look at the row of each member; the memory of those that are given.

use std::collections::BinaryHeap;

use audience_rules::ast::Millis;

use crate::membership::Membership;
use crate::message::{Leader, LeadersRequest};
use crate::rank::RankedUser;
use crate::reading::RankKey;

use super::WorkerState;
use super::breakdown::value_json;
use super::rows::UserRows;

impl WorkerState {
    /// The first members of a segment by a measure that is computed, in no order.
    pub fn leaders(&self, of: &LeadersRequest) -> Vec<Leader> {
        let membership = self.membership();
        let membership = membership.read();
        self.rows.leaders(of, self.time.clock, &membership)
    }
}

impl UserRows {
    fn leaders(&self, of: &LeadersRequest, now: Millis, membership: &Membership) -> Vec<Leader> {
        let members = membership.segments.get(&of.segment).map(|bitmap| membership.bitmap(*bitmap));
        let value = |slot: u32| self.reading_of(self.users.get(slot as usize)?, &of.measure, now);
        // The last of those found so far is on top.
        let mut found: BinaryHeap<(RankedUser, u32)> = BinaryHeap::new();
        for slot in members.into_iter().flatten() {
            let Some(key) = value(slot).and_then(|reading| RankKey::of(&reading)) else { continue };
            found.push((RankedUser::new(key, of.descending, membership.users.id(slot).into()), slot));
            if found.len() > of.most as usize {
                found.pop();
            }
        }
        let leader = |(ranked, slot): (RankedUser, u32)| {
            let value = value_json(value(slot)?, now)?;
            Some(Leader { user: ranked.user().to_owned(), key: ranked.key(), value })
        };
        found.into_iter().filter_map(leader).collect()
    }
}

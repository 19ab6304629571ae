//! Ranks: the first N or P percent of users by a measure, kept as two ordered sets.
//!
//! Law: the users inside are the first of all entries, by key and then by id ascending. Cost: O(log n) a change, and as
//! much for each user that it pushes over the edge.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;

use crate::message::{RankChange, RankCut, RankInput};
use crate::reading::RankKey;
use crate::registry::RankId;

/// A user's place in a rank: first by key (reversed where the greatest come first), then by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RankedUser {
    key: RankKey,
    descending: bool,
    user: Arc<str>,
}

impl RankedUser {
    /// A user's place by a key.
    pub(crate) fn new(key: RankKey, descending: bool, user: Arc<str>) -> RankedUser {
        RankedUser { key, descending, user }
    }

    /// The user.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// The key.
    pub(crate) fn key(&self) -> RankKey {
        self.key
    }
}

impl Ord for RankedUser {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = self.key.cmp(&other.key);
        let by_key = if self.descending { by_key.reverse() } else { by_key };
        by_key.then_with(|| self.user.cmp(&other.user))
    }
}
impl PartialOrd for RankedUser {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct RankState {
    descending: bool,
    cut: RankCut,
    keys: HashMap<Arc<str>, RankKey>,
    inside: BTreeSet<RankedUser>,
    outside: BTreeSet<RankedUser>,
}

/// The ranks of one worker.
#[derive(Default)]
pub(crate) struct Ranks {
    ranks: HashMap<RankId, RankState>,
}

impl Ranks {
    /// Takes the inputs of a tick and gives who came in and who fell out by them, each user once a rank.
    pub(crate) fn apply(&mut self, inputs: impl IntoIterator<Item = RankInput>) -> Vec<RankChange> {
        let mut flips: BTreeMap<(RankId, Arc<str>), (bool, bool)> = BTreeMap::new();
        let mut touched: BTreeSet<RankId> = BTreeSet::new();
        for input in inputs {
            match input {
                RankInput::Define { rank, descending, cut } => {
                    self.ranks.entry(rank).or_insert_with(|| RankState {
                        descending,
                        cut,
                        keys: HashMap::new(),
                        inside: BTreeSet::new(),
                        outside: BTreeSet::new(),
                    });
                }
                RankInput::Drop { rank } => drop(self.ranks.remove(&rank)),
                RankInput::Entry { rank, user, key } => {
                    let Some(entry) = self.ranks.get_mut(&rank) else { continue };
                    touched.insert(rank);
                    entry.set(Arc::from(user), key, &mut |user, inside| note(&mut flips, rank, user, inside));
                }
            }
        }
        for rank in touched {
            if let Some(entry) = self.ranks.get_mut(&rank) {
                entry.balance(&mut |user, inside| note(&mut flips, rank, user, inside));
            }
        }
        flips
            .into_iter()
            .filter(|(_, (first, last))| first == last)
            .map(|((rank, user), (_, inside))| RankChange { rank, user: user.to_string(), inside })
            .collect()
    }
}

/// Notes a step of a user; what begins and ends on the same side is no flip.
fn note(flips: &mut BTreeMap<(RankId, Arc<str>), (bool, bool)>, rank: RankId, user: &Arc<str>, inside: bool) {
    flips.entry((rank, user.clone())).and_modify(|(_, last)| *last = inside).or_insert((inside, inside));
}

impl RankState {
    /// Sets a user's key; the edge is put right by [`balance`](Self::balance).
    fn set(&mut self, user: Arc<str>, key: Option<RankKey>, note: &mut impl FnMut(&Arc<str>, bool)) {
        let old = match key {
            Some(key) => self.keys.insert(user.clone(), key),
            None => self.keys.remove(&user),
        };
        if let Some(old) = old {
            let ranked = RankedUser { key: old, descending: self.descending, user: user.clone() };
            if self.inside.remove(&ranked) {
                note(&user, false);
            } else {
                self.outside.remove(&ranked);
            }
        }
        let Some(key) = key else { return };
        let ranked = RankedUser { key, descending: self.descending, user: user.clone() };
        if self.inside.last().is_some_and(|last| ranked < *last) {
            self.inside.insert(ranked);
            note(&user, true);
        } else {
            self.outside.insert(ranked);
        }
    }

    /// Moves users over the edge until as many are inside as should be.
    fn balance(&mut self, note: &mut impl FnMut(&Arc<str>, bool)) {
        let size = self.size();
        while self.inside.len() > size {
            let Some(ranked) = self.inside.pop_last() else { break };
            note(&ranked.user, false);
            self.outside.insert(ranked);
        }
        while self.inside.len() < size {
            let Some(ranked) = self.outside.pop_first() else { break };
            note(&ranked.user, true);
            self.inside.insert(ranked);
        }
        // Between entries, a user outside may have come before the last inside.
        while let (Some(last), Some(first)) = (self.inside.last(), self.outside.first()) {
            if last < first {
                break;
            }
            let (Some(out), Some(into)) = (self.inside.pop_last(), self.outside.pop_first()) else { break };
            note(&out.user, false);
            note(&into.user, true);
            self.outside.insert(out);
            self.inside.insert(into);
        }
    }

    /// Returns the number of users that belong inside.
    fn size(&self) -> usize {
        let ranked = self.keys.len();
        match self.cut {
            RankCut::Top(count) => ranked.min(count as usize),
            RankCut::PercentUnits(units) => {
                let hundred_percent = 100 * audience_rules::decimal::UNITS_PER_ONE;
                let exact = ranked as i128 * units;
                usize::try_from((exact + hundred_percent - 1) / hundred_percent).unwrap_or(ranked).min(ranked)
            }
        }
    }
}

#[cfg(test)]
mod tests;

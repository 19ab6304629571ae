//! The ids that are one user. Every worker holds the whole table and applies the same aliases in the same order.

use std::sync::Arc;

use audience_rules::record::{EventRef, records};
use hashbrown::{HashMap, HashSet};
use serde::{Deserialize, Serialize};

/// Ids merged into others.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Aliases {
    /// Every merged id, with the id that the user goes by.
    roots: HashMap<String, Arc<str>>,
    /// For an id that others were merged into: those.
    merged: HashMap<Arc<str>, Vec<String>>,
    /// The sequence number of the erasure of every erased id: earlier records of the id count for nothing.
    erased: HashMap<String, u64>,
    /// Users of whom it is known that they are named. Of others the event log knows: a checkpoint need not have it.
    #[serde(skip)]
    named: HashSet<Arc<str>>,
}

/// An id, with the place in the order of acceptance before which its records count for nothing.
pub type IdSince = (String, u64);

/// The newest place below `before` at which one of these ids, each from its own place on, stood as `userId`, by the records
/// that name any of them.
pub fn newest_naming(records_of_ids: &[u8], ids: &[IdSince], before: u64) -> Option<u64> {
    let is_theirs = |record: &EventRef<'_>| {
        let (sequence, user) = (record.sequence(), record.user());
        sequence < before && ids.iter().any(|(id, since)| id == user && sequence >= *since)
    };
    records(records_of_ids)
        .filter(|record| record.is_naming() && is_theirs(record))
        .map(|record| record.sequence())
        .last()
}

/// The effect of an `identify` with two ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identified {
    /// They were one user already.
    Same,
    /// They are one user now.
    Merged(UserMerge),
    /// They stay two: the one that the anonymous id stands for is named.
    Refused,
}

/// A merge that came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserMerge {
    /// The user that is no longer one.
    pub from: Arc<str>,
    /// The user that has its history now.
    pub into: Arc<str>,
    /// All ids that are this user now.
    pub ids: Vec<IdSince>,
}

impl Aliases {
    /// The id that the user goes by, where it is another.
    pub fn root(&self, id: &str) -> Option<&Arc<str>> {
        self.roots.get(id)
    }

    /// All ids that are this user: itself, and those merged into it.
    pub fn ids(&self, root: &str) -> Vec<String> {
        let merged = self.merged.get(root).into_iter().flatten().cloned();
        std::iter::once(root.to_owned()).chain(merged).collect()
    }

    /// The same, each with the place from which on its records count.
    pub fn ids_since(&self, root: &str) -> Vec<IdSince> {
        self.ids(root)
            .into_iter()
            .map(|id| {
                let since = self.counts_from(&id);
                (id, since)
            })
            .collect()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// Merges `previous` into `user`, both resolved first; `None` where they are one already.
    pub fn merge(&mut self, previous: &str, user: &str) -> Option<UserMerge> {
        let from = self.root(previous).cloned().unwrap_or_else(|| Arc::from(previous));
        let into = self.root(user).cloned().unwrap_or_else(|| Arc::from(user));
        if from == into {
            return None;
        }
        let mut moved = self.merged.remove(&from).unwrap_or_default();
        moved.push(from.to_string());
        for id in &moved {
            self.roots.insert(id.clone(), into.clone());
        }
        self.merged.entry(into.clone()).or_default().extend(moved);
        if self.named.remove(&from) {
            self.named.insert(into.clone());
        }
        let ids = self.ids_since(&into);
        Some(UserMerge { from, into, ids })
    }

    /// Takes an `identify` with two ids: merges the anonymous one into the user unless whom it stands for is named, which
    /// `is_named` says of all the ids that this is, where it is not known here. The user is named from then on.
    pub fn identify<E>(
        &mut self,
        anonymous: &str,
        user: &str,
        is_named: impl FnOnce(&[IdSince]) -> Result<bool, E>,
    ) -> Result<Identified, E> {
        let from = self.root(anonymous).cloned().unwrap_or_else(|| Arc::from(anonymous));
        let into = self.root(user).cloned().unwrap_or_else(|| Arc::from(user));
        if from == into {
            return Ok(Identified::Same);
        }
        if self.named.contains(&from) || is_named(&self.ids_since(&from))? {
            self.named.extend([from, into]);
            return Ok(Identified::Refused);
        }
        self.named.insert(into);
        Ok(self.merge(anonymous, user).map_or(Identified::Same, Identified::Merged))
    }

    /// Erases the user that an id stands for, at that place in the order of acceptance: each of the ids that were this user,
    /// which are given back, is one by itself again.
    pub fn erase(&mut self, id: &str, sequence: u64) -> Vec<String> {
        let root = self.root(id).cloned().unwrap_or_else(|| Arc::from(id));
        let ids = self.ids(&root);
        self.merged.remove(&root);
        self.named.remove(&root);
        for id in &ids {
            self.roots.remove(id);
            self.erased.insert(id.clone(), sequence);
        }
        ids
    }

    /// Every id that was erased and of which records may be left, with the place of that.
    pub fn erased(&self) -> Vec<IdSince> {
        self.erased.iter().map(|(id, sequence)| (id.clone(), *sequence)).collect()
    }

    /// Forgets that these ids were erased there: none of their records from before is left.
    pub fn forget_erased(&mut self, gone: &[IdSince]) {
        for (id, sequence) in gone {
            if self.erased.get(id) == Some(sequence) {
                self.erased.remove(id);
            }
        }
    }

    /// Records of this id before this place in the order of acceptance count for nothing: the user was erased there.
    pub fn counts_from(&self, id: &str) -> u64 {
        self.erased.get(id).copied().unwrap_or(0)
    }

    /// Returns whether a record counts for nothing because its user was erased after it.
    pub fn is_erased(&self, record: &EventRef<'_>) -> bool {
        !self.erased.is_empty() && record.sequence() < self.counts_from(record.user())
    }
}

#[cfg(test)]
mod tests;

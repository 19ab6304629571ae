//! The law, evaluated naively from the whole history: the truth that everything faster is held to.
//!
//! Nothing is kept but what was accepted. Every answer is computed from the start, in the words of the rule language,
//! so that it can be read beside them.

mod compare;
mod fraction;
mod history;
mod leaf;
mod missing;
mod moment;
mod next;
mod sequence;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ast::{Millis, Node};
use crate::catalogue::Catalogue;
use crate::record::{EventRef, RecordKind};

pub use history::{EventHistory, Occurrence, TIMEZONE_TRAIT};
pub use moment::WorldAt;
pub(crate) use sequence::{LinkedSteps, StepLink, agreed};

/// All that was accepted, and the rules in force.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The rules in force.
    pub catalogue: Catalogue,
    /// Records of the events that count, in the order of acceptance.
    events: Vec<Vec<u8>>,
    /// Each merged id and the id that it was merged into.
    aliases: BTreeMap<Arc<str>, Arc<str>>,
    /// Ids that stood as `userId` in an event other than an alias.
    named: BTreeSet<Arc<str>>,
}

impl World {
    /// A world without events.
    pub fn new(catalogue: Catalogue) -> Self {
        World { catalogue, ..World::default() }
    }

    /// Accepts the event whose record is at the front of `record`.
    pub fn accept(&mut self, record: &[u8]) {
        let Some((event, _)) = EventRef::read(record) else { return };
        if let Some(other) = event.other() {
            let (from, into) = (self.resolve(other), self.resolve(event.user()));
            if from != into && (event.merges_named() || !self.is_named(&from)) {
                self.aliases.insert(from, into);
            }
        }
        if event.is_naming() {
            self.named.insert(event.user().into());
        }
        if event.kind() == RecordKind::Erasure {
            self.erase(event.user());
        }
        if event.kind().counts() {
            self.events.push(event.bytes().to_vec());
        }
    }

    /// Accepts the event if it is of one user, whose ids `is_own` knows: for a world of that user alone. An id of somebody else
    /// beside theirs is left out: who that stands for is not known here.
    pub fn accept_own(&mut self, event: &EventRef<'_>, is_own: impl Fn(&str) -> bool) {
        if !is_own(event.user()) {
            return;
        }
        if event.other().is_none_or(&is_own) {
            return self.accept(event.bytes());
        }
        let mut alone = Vec::new();
        event.write_alone(&mut alone);
        self.accept(&alone);
    }

    /// Forgets the events of all ids that are this user now, and that they are one user.
    fn erase(&mut self, id: &str) {
        let user = self.resolve(id);
        let merged: BTreeSet<Arc<str>> =
            self.aliases.keys().filter(|merged| self.resolve(merged) == user).cloned().collect();
        let is_of_user = |event: &EventRef<'_>| *event.user() == *user || merged.contains(event.user());
        self.events.retain(|record| !EventRef::read(record).is_some_and(|(event, _)| is_of_user(&event)));
        self.aliases.retain(|id, _| !merged.contains(id));
        self.named.retain(|id| *id != user && !merged.contains(id));
    }

    /// Returns whether any id of a user stood as `userId`.
    fn is_named(&self, user: &str) -> bool {
        self.named.iter().any(|id| *self.resolve(id) == *user)
    }

    /// The user that an id stands for.
    pub fn resolve(&self, id: &str) -> Arc<str> {
        let mut id: Arc<str> = id.into();
        while let Some(into) = self.aliases.get(&id) {
            id = into.clone();
        }
        id
    }

    /// Every id that stands for this user: its own, and those merged into it.
    pub fn ids_of(&self, user: &str) -> Vec<Arc<str>> {
        let merged = self.aliases.keys().filter(|id| *self.resolve(id) == *user).cloned();
        std::iter::once(user.into()).chain(merged).collect()
    }

    /// Users of whom any event was accepted, also one of the future.
    pub fn known_users(&self) -> BTreeSet<Arc<str>> {
        self.histories().into_keys().collect()
    }

    /// The history of every known user.
    pub fn histories(&self) -> BTreeMap<Arc<str>, EventHistory<'_>> {
        let mut histories: BTreeMap<Arc<str>, EventHistory<'_>> = BTreeMap::new();
        for (event, _) in self.events.iter().filter_map(|record| EventRef::read(record)) {
            let history = histories.entry(self.resolve(event.user()));
            history.or_insert_with(|| EventHistory::empty().in_zone(self.catalogue.timezone)).push(event);
        }
        histories
    }

    /// Everything at one instant; for several questions about it.
    pub fn at(&self, now: Millis) -> WorldAt<'_> {
        WorldAt::new(self, now)
    }

    /// The members of a segment at `now`.
    pub fn members(&self, segment: &str, now: Millis) -> BTreeSet<Arc<str>> {
        self.at(now).members(segment)
    }

    /// Returns whether the condition holds for a user at `now`.
    pub fn holds(&self, node: &Node, user: &str, now: Millis) -> bool {
        self.at(now).satisfying(node).contains(&*self.resolve(user))
    }
}

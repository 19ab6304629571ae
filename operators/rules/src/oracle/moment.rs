//! The world at one instant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::fraction::Fraction;
use super::{EventHistory, World};
use crate::ast::{Cut, Logic, Millis, Node, Rank, Sample};
use crate::catalogue::{Catalogue, Definition, SegmentStatus};
use crate::decimal::UNITS_PER_ONE;
use crate::test::Operand;

pub(super) type OracleUsers = BTreeSet<Arc<str>>;

/// A world at one instant.
#[derive(Clone, Debug)]
pub struct WorldAt<'a> {
    pub(super) world: &'a World,
    pub(super) now: Millis,
    pub(super) histories: BTreeMap<Arc<str>, EventHistory<'a>>,
}

impl<'a> WorldAt<'a> {
    pub(super) fn new(world: &'a World, now: Millis) -> Self {
        WorldAt { world, now, histories: world.histories() }
    }

    /// The history of every known user.
    pub fn histories(&self) -> &BTreeMap<Arc<str>, EventHistory<'a>> {
        &self.histories
    }

    /// The instant.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// The rules in force.
    pub fn catalogue(&self) -> &'a Catalogue {
        &self.world.catalogue
    }

    /// Every id that is this user.
    pub fn ids_of(&self, user: &str) -> Vec<Arc<str>> {
        self.world.ids_of(user)
    }

    /// The members of a segment.
    pub fn members(&self, segment: &str) -> OracleUsers {
        let segment = self.world.catalogue.segments.get(segment);
        match segment.filter(|segment| segment.status == SegmentStatus::Active).map(|segment| &segment.definition) {
            None => OracleUsers::new(),
            Some(Definition::Static(entries)) => entries.iter().map(|entry| self.world.resolve(entry)).collect(),
            Some(Definition::Dynamic(rules)) => self.satisfying(rules),
        }
    }

    /// The known users for whom a condition holds.
    pub fn satisfying(&self, node: &Node) -> OracleUsers {
        match node {
            Node::Group { logic, conditions } => {
                let of_conditions: Vec<OracleUsers> =
                    conditions.iter().map(|condition| self.satisfying(condition)).collect();
                self.known_where(|user, _| {
                    let mut held = of_conditions.iter().map(|users| users.contains(user));
                    match logic {
                        Logic::And => held.all(|holds| holds),
                        Logic::Or => held.any(|holds| holds),
                        Logic::Not => !held.any(|holds| holds),
                    }
                })
            }
            Node::Segment(segment) => {
                let members = self.members(segment);
                self.known_where(|user, _| members.contains(user))
            }
            Node::Rank(rank) => self.first_ranked(rank),
            Node::Trait { .. } | Node::Behaviour { .. } | Node::Sequence(_) | Node::Compare(_) => {
                self.known_where(|_, history| history.holds(node, &self.world.catalogue, self.now))
            }
            Node::Sample(sample) => self.known_where(|user, _| sample.holds(user)),
        }
    }

    pub(super) fn known_where(&self, holds: impl Fn(&str, &EventHistory<'a>) -> bool) -> OracleUsers {
        self.histories.iter().filter(|(user, history)| holds(user, history)).map(|(user, _)| user.clone()).collect()
    }

    /// The users of a rank in its order, each with the number that places it there.
    pub fn ranked(&self, rank: &Rank) -> Vec<(Arc<str>, Operand<'a>)> {
        let among = rank.among.as_ref().map(|among| self.satisfying(among));
        let mut ranked: Vec<(Arc<str>, Operand<'a>, Fraction)> = self
            .histories
            .iter()
            .filter(|(user, _)| among.as_ref().is_none_or(|among| among.contains(*user)))
            .filter_map(|(user, history)| {
                let measured = history.measurable(&rank.by, &self.world.catalogue, self.now);
                Some((user.clone(), measured, Fraction::of(measured)?))
            })
            .collect();
        ranked.sort_by(|(left_user, _, left), (right_user, _, right)| {
            let by_value = if rank.descending { right.cmp(left) } else { left.cmp(right) };
            by_value.then_with(|| left_user.cmp(right_user))
        });
        ranked.into_iter().map(|(user, measured, _)| (user, measured)).collect()
    }

    fn first_ranked(&self, rank: &Rank) -> OracleUsers {
        let ranked = self.ranked(rank);
        let count = rank.cut.of(ranked.len());
        ranked.into_iter().take(count).map(|(user, _)| user).collect()
    }
}

impl Cut {
    /// Returns the number of users taken, of so many ranked ones.
    pub fn of(self, ranked: usize) -> usize {
        match self {
            Cut::Top(top) => ranked.min(top as usize),
            Cut::Percent(percent) => {
                // ⌈ranked · percent / 100⌉
                let (parts, whole) = (ranked as i128 * percent.units(), 100 * UNITS_PER_ONE);
                ((parts + whole - 1) / whole) as usize
            }
        }
    }
}

impl Sample {
    /// Returns whether the user is in the sample.
    pub fn holds(&self, user: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(format!("{}:{user}", self.salt)).into();
        let first = hash.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        (u64::from(self.from)..=u64::from(self.to)).contains(&(first % 10_000))
    }
}

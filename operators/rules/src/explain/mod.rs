//! Why a user is in a segment, or is not: the oracle's verdict, node by node, with what it was made of.
//!
//! Each node of the rules says whether it holds, the value found, the events that made it, and the next instant at which
//! that changes with nothing but time passing. The law: the root holds exactly where the oracle says that the user is a
//! member, where it says anything; what cannot be known of one user alone (the place among all) is `None`, never a guess.
//!
//! Cost: each leaf is evaluated naively over the user's history at every instant at which it might change, as many as
//! [`Explainer::WORK`] allows. The time after the last of them is not known, and the explanation says so.

mod dependencies;
mod evidence;
mod instants;
mod text;
mod track;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::ast::{Compare, Logic, Measurable, Millis, Node, Rank, SegmentId, Test};
use crate::catalogue::{Catalogue, Definition, Segment, SegmentStatus};
use crate::oracle::{EventHistory, WorldAt};
use crate::record::EventRef;
use crate::test::Operand;
use crate::unparse::{comparison_name, condition_value, operator_names};
use crate::value::Value;
use crate::zone::ZoneId;

pub use self::dependencies::Dependencies;
use self::instants::NodeInstants;
use self::track::Track;

/// Segments that refer to each other in a row, at most: further ones would not fit the stack.
pub const MOST_REFERENCES: usize = 16;
/// Nodes of an explanation, at most; further ones are evaluated all the same.
const MOST_NODES: usize = 2_000;
/// Events named for one node, at most.
const MOST_EVENTS: usize = 20;

/// The instant at which a verdict changes with no event and no edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextChange {
    /// Nothing changes before this instant; `None` where that is not known.
    pub at: Option<Millis>,
    /// True if it does change then; else it may, then or later.
    pub is_certain: bool,
}

/// The place of a user in a rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RankPlace {
    /// Counted from 1; `None` where the user is not ranked.
    pub place: Option<usize>,
    /// The number of ranked users.
    pub ranked: usize,
    /// The number of users that the rank takes.
    pub limit: usize,
}

/// Events that made a value.
#[derive(Clone, Debug, Default)]
pub struct Evidence<'a> {
    /// The number of events.
    pub total: usize,
    /// Some of them, the newest first; of a sequence, one choice of events in the order of its steps.
    pub events: Vec<EventRef<'a>>,
    /// Some of those that others undid, the newest first, each with the one that undid it.
    pub undone: Vec<(EventRef<'a>, EventRef<'a>)>,
}

/// A node of the rules, explained.
#[derive(Clone, Debug)]
pub struct Explained<'a> {
    /// The place in the rules of the segment that the node is of, as a JSON pointer.
    pub pointer: String,
    /// all, any, not, event, trait, segment, list, sequence, rank, sample or compare.
    pub kind: &'static str,
    /// The condition, in a short line.
    pub text: String,
    /// For a reference: the other segment.
    pub segment: Option<SegmentId>,
    /// True if it holds; `None` where that is not known.
    pub held: Option<bool>,
    /// The instant at which that changes by itself; `None` is never.
    pub change: Option<NextChange>,
    /// The value found.
    pub value: Option<Value>,
    /// The operator that it was put to.
    pub operator: Option<&'static str>,
    /// The value that the operator compares with.
    pub expected: Option<Value>,
    /// True if there was no value of the kind that the operator asks for.
    pub missing: bool,
    /// The user's place in a rank, if all users are known.
    pub place: Option<RankPlace>,
    /// The events behind a measure, a trait or a sequence.
    pub evidence: Option<Evidence<'a>>,
    /// The nodes that it is made of.
    pub children: Vec<Explained<'a>>,
}

/// Explains verdicts on one user.
pub struct Explainer<'m, 'a> {
    moment: &'m WorldAt<'a>,
    history: &'m EventHistory<'a>,
    user: &'m str,
    now: Millis,
    /// True if the moment knows every user, so that ranks are known.
    knows_all: bool,
    /// Events that may still be looked at.
    work: usize,
    /// Events of all users that may still be looked at, for ranks.
    rank_work: usize,
    /// Events of all users.
    events: usize,
    /// Nodes that may still be given.
    nodes: usize,
    /// The segments that were evaluated already.
    segments: BTreeMap<SegmentId, Track>,
    /// The value to assume for ranks that are not known, in the order of the tree.
    assumed: Option<bool>,
}

impl<'m, 'a> Explainer<'m, 'a> {
    /// Events of the user that are looked at, over and over, for one explanation: about a second.
    pub const WORK: usize = 1_000_000;
    /// The same of all users, for ranks.
    pub const RANK_WORK: usize = 4_000_000;

    /// For a user whom the moment knows by this id; `None` for any other. `knows_all` says that the moment has the events
    /// of every user; else ranks are not known.
    pub fn new(moment: &'m WorldAt<'a>, user: &'m str, knows_all: bool) -> Option<Self> {
        Some(Explainer::with(moment, user, moment.histories().get(user)?, knows_all))
    }

    /// For a user of whom nothing is known: of use for lists, which may name such users, and for nothing else.
    pub fn of_stranger(moment: &'m WorldAt<'a>, user: &'m str) -> Self {
        static NOTHING: EventHistory<'static> = EventHistory::empty();
        Explainer::with(moment, user, &NOTHING, false)
    }

    fn with(moment: &'m WorldAt<'a>, user: &'m str, history: &'m EventHistory<'a>, knows_all: bool) -> Self {
        Explainer {
            history,
            now: moment.now(),
            moment,
            user,
            knows_all,
            work: Self::WORK,
            rank_work: Self::RANK_WORK,
            events: moment.histories().values().map(|history| history.events().len()).sum(),
            nodes: MOST_NODES,
            segments: BTreeMap::new(),
            assumed: None,
        }
    }

    /// Takes ranks that are not known to be so: of use where only one assumption gives a verdict that is known otherwise.
    pub fn assuming(mut self, ranks: Option<bool>) -> Self {
        self.assumed = ranks;
        self
    }

    fn catalogue(&self) -> &'m Catalogue {
        self.moment.catalogue()
    }

    /// Explains why the user satisfies a segment's definition or does not, whatever the segment's status. For a list:
    /// whether it names the user.
    pub fn explain(&mut self, segment: &Segment) -> Explained<'a> {
        let (explained, track) = self.definition(segment);
        self.segments.insert(segment.id.clone(), track);
        explained
    }

    fn definition(&mut self, segment: &Segment) -> (Explained<'a>, Track) {
        match &segment.definition {
            Definition::Dynamic(rules) => self.node(rules, String::new()),
            Definition::Static(entries) => {
                let held = self.moment.ids_of(self.user).iter().any(|id| entries.contains(id));
                let text = format!("on the list of {} users", entries.len());
                let track = Track::always(self.now, Some(held));
                (self.explained(String::new(), "list", text, &track), track)
            }
        }
    }

    fn explained(&mut self, pointer: String, kind: &'static str, text: String, track: &Track) -> Explained<'a> {
        self.nodes = self.nodes.saturating_sub(1);
        Explained {
            pointer,
            kind,
            text,
            segment: None,
            held: track.now(),
            change: track.next_change(),
            value: None,
            operator: None,
            expected: None,
            missing: false,
            place: None,
            evidence: None,
            children: Vec::new(),
        }
    }

    fn node(&mut self, node: &Node, pointer: String) -> (Explained<'a>, Track) {
        match node {
            Node::Group { logic, conditions } => self.group(*logic, conditions, pointer),
            Node::Trait { field, test } => self.field(node, field, test, pointer),
            Node::Behaviour { behaviour, test } => {
                let track = self.track(node, NodeInstants::of_test(behaviour, test), |explainer, now| {
                    test.holds(explainer.history.measure(behaviour, now), now)
                });
                let mut explained = self.explained(pointer, "event", text::behaviour_test(behaviour, test), &track);
                let operand = self.history.measure(behaviour, self.now);
                tell_test(&mut explained, test, operand, text::ValueFormat::of(behaviour));
                explained.evidence = Some(evidence::of_measure(self.history, behaviour, self.now));
                (explained, track)
            }
            Node::Sequence(sequence) => {
                let track = self.track(node, NodeInstants::of_sequence(sequence), |explainer, now| {
                    evidence::sequence_holds(explainer.history, sequence, now)
                });
                let mut explained = self.explained(pointer, "sequence", text::sequence(sequence), &track);
                explained.evidence = Some(evidence::of_sequence(self.history, sequence, self.now));
                (explained, track)
            }
            Node::Compare(compare) => self.comparison(node, compare, pointer),
            Node::Segment(id) => self.reference(id, pointer),
            Node::Rank(rank) => self.rank(rank, pointer),
            Node::Sample(sample) => {
                let track = Track::always(self.now, Some(sample.holds(self.user)));
                (self.explained(pointer, "sample", text::sample(sample), &track), track)
            }
        }
    }

    fn group(&mut self, logic: Logic, conditions: &[Node], pointer: String) -> (Explained<'a>, Track) {
        let (mut children, mut tracks) = (Vec::new(), Vec::new());
        for (index, condition) in conditions.iter().enumerate() {
            let (child, track) = self.node(condition, format!("{pointer}/conditions/{index}"));
            children.push(child);
            tracks.push(track);
        }
        let track = Track::joined(logic, self.now, &tracks);
        let kind = match logic {
            Logic::And => "all",
            Logic::Or => "any",
            Logic::Not => "not",
        };
        let mut explained = self.explained(pointer, kind, text::group(logic, conditions.len()), &track);
        explained.children = children;
        (explained, track)
    }

    /// Two values: the left one is what was found, the right one what it was put to.
    fn comparison(&mut self, node: &Node, compare: &Compare, pointer: String) -> (Explained<'a>, Track) {
        let track = self.oracle_leaf(node);
        let mut explained = self.explained(pointer, "compare", text::comparison(compare), &track);
        let catalogue = self.catalogue();
        let side = |side: &Measurable| {
            let computed =
                side.field().and_then(|field| catalogue.traits.get(field)).map(|computed| &*computed.behaviour);
            let behaviour = match side {
                Measurable::Behaviour(behaviour) => Some(&**behaviour),
                Measurable::Field(_) => computed,
            };
            let shown = behaviour.map_or(text::ValueFormat::AsIs, text::ValueFormat::of);
            text::value_of(self.history.measurable(side, catalogue, self.now), shown)
        };
        explained.operator = Some(comparison_name(compare));
        (explained.value, explained.expected) = (side(&compare.left), side(&compare.right));
        explained.missing = !self.history.compares_values(compare, catalogue, self.now);
        (explained, track)
    }

    fn field(&mut self, node: &Node, field: &str, test: &Test, pointer: String) -> (Explained<'a>, Track) {
        let catalogue = self.catalogue();
        let computed = catalogue.traits.get(field).map(|computed| &*computed.behaviour);
        let instants = computed
            .map_or_else(|| NodeInstants::of_trait(field, test), |behaviour| NodeInstants::of_test(behaviour, test));
        let track = self
            .track(node, instants, |explainer, now| test.holds(explainer.history.field(field, catalogue, now), now));
        let mut explained = self.explained(pointer, "trait", text::field_test(field, computed, test), &track);
        let operand = self.history.field(field, catalogue, self.now);
        tell_test(&mut explained, test, operand, computed.map_or(text::ValueFormat::AsIs, text::ValueFormat::of));
        explained.evidence = Some(match computed {
            Some(behaviour) => evidence::of_measure(self.history, behaviour, self.now),
            None => evidence::of_trait(self.history, field, self.now),
        });
        (explained, track)
    }

    fn reference(&mut self, id: &SegmentId, pointer: String) -> (Explained<'a>, Track) {
        let segment = self.catalogue().segments.get(id).filter(|segment| segment.status == SegmentStatus::Active);
        let known = self.segments.get(id).cloned();
        let (child, track) = match (segment, known) {
            (None, _) => (None, Track::always(self.now, Some(false))),
            (Some(_), Some(track)) => (None, track),
            (Some(segment), None) => {
                let (child, track) = self.definition(segment);
                self.segments.insert(id.clone(), track.clone());
                (Some(child), track)
            }
        };
        let mut explained = self.explained(pointer, "segment", text::reference(id, segment.is_some()), &track);
        explained.segment = Some(id.clone());
        explained.children.extend(child.filter(|_| self.nodes > 0));
        (explained, track)
    }

    fn rank(&mut self, rank: &Rank, pointer: String) -> (Explained<'a>, Track) {
        let catalogue = self.catalogue();
        let child = rank.among.as_ref().map(|among| self.node(among, format!("{pointer}/among")));
        let (track, place) = if self.knows_all && self.events <= self.rank_work {
            self.rank_work -= self.events;
            let ranked = self.moment.ranked(rank);
            let limit = rank.cut.of(ranked.len());
            let place = ranked.iter().position(|(user, _)| **user == *self.user).map(|index| index + 1);
            let held = place.is_some_and(|place| place <= limit);
            // Whatever moves anybody may move this user.
            let until = self.first_of_all(rank);
            (Track::until(self.now, Some(held), until), Some(RankPlace { place, ranked: ranked.len(), limit }))
        } else {
            (Track::until(self.now, self.assumed, Some(self.now + 1)), None)
        };
        let mut explained = self.explained(pointer, "rank", text::rank(rank, place, catalogue), &track);
        let computed = match &rank.by {
            Measurable::Field(field) => catalogue.traits.get(field).map(|computed| &*computed.behaviour),
            Measurable::Behaviour(behaviour) => Some(&**behaviour),
        };
        let (operand, evidence) = match (&rank.by, computed) {
            (_, Some(behaviour)) => {
                (self.history.measure(behaviour, self.now), evidence::of_measure(self.history, behaviour, self.now))
            }
            (Measurable::Field(field), None) => {
                (self.history.field(field, catalogue, self.now), evidence::of_trait(self.history, field, self.now))
            }
            (Measurable::Behaviour(_), None) => (Operand::Missing, Evidence::default()),
        };
        explained.value = text::value_of(operand, computed.map_or(text::ValueFormat::AsIs, text::ValueFormat::of));
        explained.evidence = Some(evidence);
        explained.place = place;
        explained.children.extend(child.map(|(child, _)| child));
        (explained, track)
    }

    /// Returns the first instant after now at which a rank's measure, or who is ranked, may change for anybody.
    fn first_of_all(&self, rank: &Rank) -> Option<Millis> {
        let catalogue = self.catalogue();
        let mut instants = vec![NodeInstants::of_rank(rank, catalogue)];
        let mut open: Vec<&Node> = rank.among.iter().collect();
        let (mut leaves, mut values): (Vec<&Node>, Vec<&Measurable>) = (Vec::new(), vec![&rank.by]);
        let mut seen: BTreeSet<&SegmentId> = BTreeSet::new();
        while let Some(node) = open.pop() {
            leaves.push(node);
            match node {
                Node::Group { conditions, .. } => open.extend(conditions),
                Node::Trait { field, test } => instants.push(match catalogue.traits.get(field) {
                    Some(computed) => NodeInstants::of_test(&computed.behaviour, test),
                    None => NodeInstants::of_trait(field, test),
                }),
                Node::Behaviour { behaviour, test } => instants.push(NodeInstants::of_test(behaviour, test)),
                Node::Sequence(sequence) => instants.push(NodeInstants::of_sequence(sequence)),
                Node::Rank(rank) => {
                    instants.push(NodeInstants::of_rank(rank, catalogue));
                    values.push(&rank.by);
                    open.extend(&rank.among);
                }
                Node::Compare(_) => {}
                Node::Segment(id) if seen.insert(id) => {
                    open.extend(catalogue.segments.get(id).and_then(Segment::rules));
                }
                Node::Segment(_) | Node::Sample(_) => {}
            }
        }
        leaves.retain(|leaf| !leaf.is_written_plainly(catalogue));
        values.retain(|value| catalogue.timezone != ZoneId::UTC || !value.resolved(catalogue).is_plain());
        let first_of = |history: &EventHistory<'a>| {
            let plain = instants.iter().filter_map(|one| one.first_behind(history, self.now));
            let leaves = leaves.iter().filter_map(|leaf| history.next_change(leaf, catalogue, self.now));
            let values = values.iter().filter_map(|value| history.next_value(value, catalogue, self.now));
            plain.chain(leaves).chain(values).min()
        };
        self.moment.histories().values().filter_map(first_of).min()
    }

    /// The states of a condition on this user: by its own instants where that is known to be all, else by the oracle's.
    fn track(&mut self, node: &Node, instants: NodeInstants<'_>, holds: impl Fn(&Self, Millis) -> bool) -> Track {
        if node.is_written_plainly(self.catalogue()) { self.leaf(instants, holds) } else { self.oracle_leaf(node) }
    }

    /// The states of a condition on this user, from one instant at which it may change to the next.
    fn oracle_leaf(&mut self, node: &Node) -> Track {
        let (history, catalogue) = (self.history, self.catalogue());
        let mut track = Track::always(self.now, Some(history.holds(node, catalogue, self.now)));
        let mut share = self.work / 2;
        // A look for the next instant, and one at the answer.
        let cost = 2 * (history.events().len() + 1);
        let mut next = history.next_change(node, catalogue, self.now);
        while let Some(at) = next {
            if share < cost || track.is_long() {
                track.push(at, None);
                break;
            }
            share -= cost;
            self.work -= cost;
            track.push(at, Some(history.holds(node, catalogue, at)));
            next = history.next_change(node, catalogue, at);
        }
        track
    }

    /// The states of what only this user's history decides.
    fn leaf(&mut self, instants: NodeInstants<'_>, holds: impl Fn(&Self, Millis) -> bool) -> Track {
        let mut track = Track::always(self.now, Some(holds(self, self.now)));
        // An equal share for each node would leave small rules with too little, so what is left is halved.
        let mut share = self.work / 2;
        let cost = self.history.events().len() + 1;
        for at in instants.behind(self.history, self.now) {
            if share < cost || track.is_long() {
                track.push(at, None);
                break;
            }
            share -= cost;
            self.work -= cost;
            track.push(at, Some(holds(self, at)));
        }
        track
    }
}

/// Notes the operand of a test, and its condition.
fn tell_test(explained: &mut Explained<'_>, test: &Test, operand: Operand<'_>, shown: text::ValueFormat) {
    let (positive, negative) = operator_names(&test.condition);
    explained.operator = Some(if test.negated { negative.unwrap_or(positive) } else { positive });
    explained.expected = condition_value(&test.condition, shown.takes());
    explained.missing = test.is_missing(operand);
    explained.value = text::value_of(operand, shown);
}

//! The computations of one worker: measures, predicates over them, and the rules made of those. Equal parts are shared.
//!
//! A predicate is a leaf with everything that uses it. Of each measure the predicates on numbers stand sorted by the
//! places at which they change, so that a change of the number from *v0* to *v1* touches only those in between.

mod flips;
mod levels;
mod measures;
mod rules;
mod slab;

use std::sync::Arc;

use audience_rules::ast::{Millis, Sample, SegmentId, Test};
use audience_rules::record::EventRef;
use hashbrown::{HashMap, HashSet};

use crate::measure::{Listeners, MeasureId};
use crate::program::{Leaf, MeasureKey, Program, RankProgram};
use crate::reading::Reading;

pub use measures::MeasureEntry;
pub use slab::Slab;

/// A predicate's number within one worker.
pub type PredicateId = u32;
/// A rule's number within one worker.
pub type RuleId = u32;
/// A rank's number within one worker.
pub type RankId = u32;
/// A bitmap of users within one worker.
pub type BitmapId = u32;

/// Events below `sequence` that were accepted and happened up to `clock` are brought by a backfill, the others as their
/// time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Boundary {
    /// Sequence number.
    pub sequence: u64,
    /// Milliseconds.
    pub clock: Millis,
}

impl Boundary {
    /// Returns whether a backfill brings the event.
    pub fn is_before(&self, event: &EventRef<'_>) -> bool {
        event.sequence() < self.sequence && event.timestamp().max(event.accepted_at()) <= self.clock
    }
}

/// The kind of a predicate, with what it compares.
#[derive(Clone, Debug)]
pub enum PredicateKind {
    /// A test of a measure.
    Measured(MeasureId, Arc<Test>),
    /// A check that a measure has a value that the test is about.
    Valued(MeasureId, Arc<Test>),
    /// Membership in a segment.
    Segment(SegmentId),
    /// Being inside a rank.
    Rank(RankId),
    /// Being in a share.
    Sample(Sample),
}

impl PredicateKind {
    /// The measure that it asks.
    pub fn measure(&self) -> Option<MeasureId> {
        match self {
            PredicateKind::Measured(measure, _) | PredicateKind::Valued(measure, _) => Some(*measure),
            PredicateKind::Segment(_) | PredicateKind::Rank(_) | PredicateKind::Sample(_) => None,
        }
    }

    /// The answer where its measure says this at `now`; no for what asks no measure.
    pub fn holds_of(&self, reading: &Reading, now: Millis) -> bool {
        match self {
            PredicateKind::Measured(_, test) => reading.holds(test, now),
            PredicateKind::Valued(_, test) => reading.is_value_to(test),
            PredicateKind::Segment(_) | PredicateKind::Rank(_) | PredicateKind::Sample(_) => false,
        }
    }
}

/// A leaf with everything that uses it.
pub struct Predicate {
    leaf: Leaf,
    /// Its kind.
    pub kind: PredicateKind,
    /// (rule, index of the leaf in it)
    pub uses: Vec<(RuleId, u16)>,
    /// True if passing one of its places changes it for certain.
    has_one_threshold: bool,
}

/// The role of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleRole {
    /// It is the running version of a segment.
    Published(SegmentId),
    /// It is being prepared.
    Shadow,
    /// It says who is ranked.
    Among(RankId),
}

/// A rule.
pub struct Rule {
    /// The program.
    pub program: Arc<Program>,
    /// Its leaves.
    pub predicates: Vec<PredicateId>,
    /// The users that fulfil it.
    pub members: BitmapId,
    /// Its role.
    pub role: RuleRole,
    /// Users below this slot are in `members` where they fulfil it; the others are yet to be looked at.
    pub scanned: u32,
    /// Greater than that of every segment it refers to.
    pub level: u32,
}

/// A rank.
pub struct RankEntry {
    /// The program.
    pub program: Arc<RankProgram>,
    /// The measure that orders.
    pub by: MeasureId,
    /// The rule of who is ranked; all known users if absent.
    pub among: Option<RuleId>,
    /// The users inside.
    pub inside: BitmapId,
    /// 1 where it depends on no other rank.
    pub depth: u32,
    /// As of a rule.
    pub scanned: u32,
    /// The predicate on it.
    pub predicate: PredicateId,
}

/// The computations of one worker.
pub struct Registry {
    /// Measures.
    pub measures: Slab<MeasureEntry>,
    by_key: HashMap<MeasureKey, MeasureId>,
    /// Predicates.
    pub predicates: Slab<Predicate>,
    by_leaf: HashMap<Leaf, PredicateId>,
    /// The predicates on segments. A map of its own, since a key of `by_leaf` would be a clone of an id that all
    /// workers share: they would wait for one another's count of it.
    by_segment: HashMap<SegmentId, PredicateId>,
    /// Rules.
    pub rules: Slab<Rule>,
    /// Ranks.
    pub ranks: Slab<RankEntry>,
    /// The measures that events feed.
    pub listeners: Listeners,
    /// True if some measure may change by time alone.
    pub is_temporal: bool,
    /// True if some measure is a question.
    pub has_questions: bool,
    /// Measures that were dropped since the rows were last swept of their cells.
    pub dropped: HashSet<MeasureId>,
    default_rules: Option<Vec<RuleId>>,
}

impl Default for Registry {
    fn default() -> Self {
        Registry {
            measures: Slab::new(),
            by_key: HashMap::new(),
            predicates: Slab::new(),
            by_leaf: HashMap::new(),
            by_segment: HashMap::new(),
            rules: Slab::new(),
            ranks: Slab::new(),
            listeners: Listeners::default(),
            is_temporal: false,
            has_questions: false,
            dropped: HashSet::new(),
            default_rules: None,
        }
    }
}

impl Registry {
    /// The measure of a key, if it is computed.
    pub fn measure_of(&self, key: &MeasureKey) -> Option<MeasureId> {
        self.by_key.get(key).copied()
    }

    /// The predicate on membership in a segment, if a rule has one.
    pub fn segment_predicate(&self, id: &SegmentId) -> Option<PredicateId> {
        self.by_segment.get(id).copied()
    }

    /// The rules that hold of a user of whom nothing is kept, and those that cannot be told without looking.
    pub fn default_rules(&mut self) -> &[RuleId] {
        if self.default_rules.is_none() {
            let candidates = self.rules.iter().filter(|(_, rule)| {
                let mut needs_look = false;
                let holds = rule.program.expression.evaluate(&mut |index| {
                    let id = rule.predicates[usize::from(index)];
                    match self.predicates.get(id).map(|found| &found.kind) {
                        Some(kind @ (PredicateKind::Measured(measure, _) | PredicateKind::Valued(measure, _))) => {
                            self.measures.get(*measure).is_some_and(|measure| kind.holds_of(&measure.default, 0))
                        }
                        Some(PredicateKind::Rank(_)) | None => false,
                        Some(PredicateKind::Segment(_) | PredicateKind::Sample(_)) => {
                            needs_look = true;
                            false
                        }
                    }
                });
                needs_look |= rule.program.leaves.iter().any(|leaf| matches!(leaf, Leaf::Segment(_) | Leaf::Sample(_)));
                holds || needs_look
            });
            self.default_rules = Some(candidates.map(|(id, _)| id).collect());
        }
        self.default_rules.as_deref().unwrap_or(&[])
    }

    /// Returns whether any rule refers to a segment, or ranks: without that every level is 0.
    pub fn has_references(&self) -> bool {
        let refers =
            |predicate: &Predicate| matches!(predicate.kind, PredicateKind::Segment(_) | PredicateKind::Rank(_));
        self.predicates.iter().any(|(_, predicate)| refers(predicate))
    }
}

#[cfg(test)]
mod tests;

//! A rule made ready to run: its distinct leaves, and how they are joined.

use std::sync::Arc;

use audience_rules::ast::{
    Behaviour, Condition, Cut, Literal, Logic, Measurable, Millis, Moment, Node, Rank, Sample, SegmentId, Sequence,
    Test,
};
use audience_rules::catalogue::Catalogue;
use serde::{Deserialize, Serialize};

use crate::local_span::{condition_by_local_units, order_by_local_units};
use crate::question::{Asks, UserQuestion};

/// The key of a measure. Rules that ask for the same measure share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MeasureKey {
    /// The value at a path of the `identify` traits.
    Trait(Vec<Arc<str>>),
    /// A behaviour measure.
    Behaviour(Arc<Behaviour>),
    /// A sequence, which holds or does not.
    Sequence(Arc<Sequence>),
    /// A question that the naive evaluator answers.
    Asked(Arc<UserQuestion>),
}

/// The smallest condition: true or false of a user at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Leaf {
    /// A test of a measure.
    Measured(MeasureKey, Test),
    /// A check that a measure has a value that the test is about.
    Valued(MeasureKey, Test),
    /// Membership in another segment.
    Segment(SegmentId),
    /// Being among the first of a rank.
    Rank(Arc<RankProgram>),
    /// Being in a share.
    Sample(Sample),
}

/// A rank made ready to run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RankProgram {
    /// The measure that orders.
    pub by: MeasureKey,
    /// Greatest first.
    pub descending: bool,
    /// The number of users that it takes.
    pub cut: Cut,
    /// The rule of who is ranked; all known users if absent.
    pub among: Option<Arc<Program>>,
}

impl RankProgram {
    /// 1 for a rank that depends on no other rank within its own tree.
    pub fn own_depth(&self) -> usize {
        1 + self.among.as_ref().map_or(0, |among| among.ranks().map(|rank| rank.own_depth()).max().unwrap_or(0))
    }
}

/// The boolean expression over the leaves, which are named by their index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Expression {
    /// A leaf.
    Leaf(u16),
    /// All hold.
    All(Vec<Expression>),
    /// Any holds.
    Any(Vec<Expression>),
    /// None holds.
    None(Vec<Expression>),
}

impl Expression {
    /// The value, given each leaf's.
    pub fn evaluate(&self, leaf: &mut impl FnMut(u16) -> bool) -> bool {
        match self {
            Expression::Leaf(index) => leaf(*index),
            Expression::All(parts) => parts.iter().all(|part| part.evaluate(leaf)),
            Expression::Any(parts) => parts.iter().any(|part| part.evaluate(leaf)),
            Expression::None(parts) => !parts.iter().any(|part| part.evaluate(leaf)),
        }
    }
}

/// Rules with up to so many distinct leaves become truth tables.
pub(crate) const TABLE_LEAVES: usize = 6;

/// A rule made ready to run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Program {
    /// Distinct leaves.
    pub leaves: Vec<Leaf>,
    /// The expression over them.
    pub expression: Expression,
    /// The value for each combination of leaves (bit *i* of the index is leaf *i*), where they are few.
    pub table: Option<u64>,
}

impl Program {
    /// Resolves the paths of a rule in the catalogue and collects its leaves.
    pub fn compile(node: &Node, catalogue: &Catalogue) -> Program {
        let mut leaves = Vec::new();
        let expression = build(node, catalogue, &mut leaves);
        Program::of(leaves, expression)
    }

    /// Returns the program of distinct leaves and an expression over them.
    pub fn of(leaves: Vec<Leaf>, expression: Expression) -> Program {
        let table = (leaves.len() <= TABLE_LEAVES).then(|| {
            (0..1u64 << leaves.len())
                .filter(|bits| expression.evaluate(&mut |leaf| bits >> leaf & 1 == 1))
                .fold(0, |table, bits| table | 1 << bits)
        });
        Program { leaves, expression, table }
    }

    /// The measures it needs itself and for its ranks.
    pub fn measures(&self) -> Vec<&MeasureKey> {
        let mut measures = Vec::new();
        for leaf in &self.leaves {
            match leaf {
                Leaf::Measured(key, _) | Leaf::Valued(key, _) => measures.push(key),
                Leaf::Rank(rank) => {
                    measures.push(&rank.by);
                    measures.extend(rank.among.iter().flat_map(|among| among.measures()));
                }
                Leaf::Segment(_) | Leaf::Sample(_) => {}
            }
        }
        measures
    }

    /// The ranks among its leaves.
    pub fn ranks(&self) -> impl Iterator<Item = &Arc<RankProgram>> {
        self.leaves.iter().filter_map(|leaf| match leaf {
            Leaf::Rank(rank) => Some(rank),
            _ => None,
        })
    }

    /// The segments that it, or `among` of its ranks, refers to.
    pub fn segments(&self) -> Vec<&SegmentId> {
        let mut segments = Vec::new();
        for leaf in &self.leaves {
            match leaf {
                Leaf::Segment(id) => segments.push(id),
                Leaf::Rank(rank) => segments.extend(rank.among.iter().flat_map(|among| among.segments())),
                _ => {}
            }
        }
        segments
    }
}

fn build(node: &Node, catalogue: &Catalogue, leaves: &mut Vec<Leaf>) -> Expression {
    let leaf = match node {
        Node::Group { logic, conditions } => {
            let parts = conditions.iter().map(|condition| build(condition, catalogue, leaves)).collect();
            return match logic {
                Logic::And => Expression::All(parts),
                Logic::Or => Expression::Any(parts),
                Logic::Not => Expression::None(parts),
            };
        }
        Node::Trait { .. } | Node::Behaviour { .. } | Node::Sequence(_) | Node::Compare(_) => measured(node, catalogue),
        Node::Segment(id) => Leaf::Segment(id.clone()),
        Node::Rank(rank) => Leaf::Rank(Arc::new(rank_program(rank, catalogue))),
        Node::Sample(sample) => Leaf::Sample(sample.clone()),
    };
    let index = leaves.iter().position(|known| *known == leaf).unwrap_or_else(|| {
        leaves.push(leaf);
        leaves.len() - 1
    });
    // A rule has at most 256 nodes.
    Expression::Leaf(index as u16)
}

/// The leaf of a condition on this user.
fn measured(node: &Node, catalogue: &Catalogue) -> Leaf {
    let asked = || UserQuestion { node: node.clone(), asks: Asks::Holds, platform: catalogue.timezone };
    if let Some((behaviour, test)) = condition_by_local_units(node, catalogue) {
        return Leaf::Measured(MeasureKey::Behaviour(behaviour), test);
    }
    if let Some((question, test)) = UserQuestion::measured(node, catalogue) {
        return Leaf::Measured(MeasureKey::Asked(Arc::new(question)), test);
    }
    if let Some(question) = UserQuestion::whether(node, catalogue) {
        return Leaf::Measured(MeasureKey::Asked(Arc::new(question)), holds_test());
    }
    match node.resolved(catalogue) {
        Node::Trait { field, test } => Leaf::Measured(key_of_trait(&field), test),
        Node::Behaviour { behaviour, test } => Leaf::Measured(MeasureKey::Behaviour(behaviour), test),
        Node::Sequence(sequence) => Leaf::Measured(MeasureKey::Sequence(sequence), holds_test()),
        _ => Leaf::Measured(MeasureKey::Asked(Arc::new(asked())), holds_test()),
    }
}

fn rank_program(rank: &Rank, catalogue: &Catalogue) -> RankProgram {
    let by = match (order_by_local_units(&rank.by, catalogue), UserQuestion::value(&rank.by, catalogue)) {
        (Some(behaviour), _) => MeasureKey::Behaviour(behaviour),
        (None, Some(question)) => MeasureKey::Asked(Arc::new(question)),
        (None, None) => match rank.by.resolved(catalogue) {
            Measurable::Field(field) => key_of_trait(&field),
            Measurable::Behaviour(behaviour) => MeasureKey::Behaviour(behaviour),
        },
    };
    let among = rank.among.as_ref().map(|node| Arc::new(Program::compile(node, catalogue)));
    RankProgram { by, descending: rank.descending, cut: rank.cut, among }
}

fn key_of_trait(field: &str) -> MeasureKey {
    MeasureKey::Trait(field.split('.').map(Arc::from).collect())
}

/// The test of the leaf of a sequence or a question.
fn holds_test() -> Test {
    Test { negated: false, condition: Condition::Equals(Literal::Bool(true)) }
}

/// Adds to a time value, each of these is an instant at which a test of it may change by time alone.
pub fn relative_offsets(test: &Test, is_since: bool) -> Vec<Millis> {
    let numbers: Vec<Millis> = match &test.condition {
        Condition::Before(Moment::Ago(duration)) | Condition::After(Moment::Ago(duration)) => vec![*duration],
        Condition::Equals(literal) | Condition::Compare(_, literal) if is_since => whole(literal).into_iter().collect(),
        Condition::Between(low, high) if is_since => whole(low).into_iter().chain(whole(high)).collect(),
        _ => Vec::new(),
    };
    numbers.into_iter().flat_map(|offset| [offset, offset + 1]).collect()
}

fn whole(literal: &Literal) -> Option<Millis> {
    match literal {
        Literal::Number(number) => Millis::try_from(number.units() / audience_rules::decimal::UNITS_PER_ONE).ok(),
        _ => None,
    }
}

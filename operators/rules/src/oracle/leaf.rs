//! Conditions that one user's history alone decides.

use super::EventHistory;
use crate::ast::{Condition, Millis, Node};
use crate::catalogue::Catalogue;

impl EventHistory<'_> {
    /// Returns whether a condition on a trait, a measure, a sequence or two values holds at `now`; false for any other node.
    pub fn holds(&self, node: &Node, catalogue: &Catalogue, now: Millis) -> bool {
        match node {
            Node::Trait { field, test } => self.passes(test, self.field(field, catalogue, now), now),
            Node::Behaviour { behaviour, test } => self.passes(test, self.measure(behaviour, now), now),
            Node::Sequence(sequence) => self.sequence(sequence, now),
            Node::Compare(compare) => self.compares(compare, catalogue, now),
            Node::Group { .. } | Node::Segment(_) | Node::Rank(_) | Node::Sample(_) => false,
        }
    }

    /// Returns whether there is a value that such a condition is about, or it asks for just that.
    pub fn has_value(&self, node: &Node, catalogue: &Catalogue, now: Millis) -> bool {
        let (operand, test) = match node {
            Node::Trait { field, test } => (self.field(field, catalogue, now), test),
            Node::Behaviour { behaviour, test } => (self.measure(behaviour, now), test),
            Node::Compare(compare) => return self.compares_values(compare, catalogue, now),
            _ => return true,
        };
        test.condition == Condition::Exists || !test.is_missing(operand)
    }
}

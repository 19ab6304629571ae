//! The users that fulfil rules only because a value is missing.

use super::moment::OracleUsers;
use super::{EventHistory, WorldAt};
use crate::ast::Node;
use crate::three_valued::join;

impl<'a> WorldAt<'a> {
    /// The users for whom a condition holds and would not be certain if missing values were unknown: a condition on a missing
    /// value is neither true nor false then, unless it asks just for that. Segments and ranks are taken as they are.
    pub fn satisfying_by_missing(&self, node: &Node) -> OracleUsers {
        let satisfying = self.satisfying(node);
        self.known_where(|user, history| satisfying.contains(user) && self.by_value(node, user, history).is_none())
    }

    /// Returns whether the condition holds for a user; `None` where that is unknown.
    fn by_value(&self, node: &Node, user: &str, history: &EventHistory<'a>) -> Option<bool> {
        match node {
            Node::Group { logic, conditions } => {
                join(*logic, conditions.iter().map(|condition| self.by_value(condition, user, history)))
            }
            Node::Trait { .. } | Node::Behaviour { .. } | Node::Compare(_) => {
                let catalogue = &self.world.catalogue;
                let is_known = history.has_value(node, catalogue, self.now);
                is_known.then(|| history.holds(node, catalogue, self.now))
            }
            Node::Segment(_) | Node::Rank(_) | Node::Sequence(_) | Node::Sample(_) => {
                Some(self.satisfying(node).contains(user))
            }
        }
    }
}

//! Objects: their known members, and the key that says what a node is.

use std::sync::Arc;

use super::{Parser, kind_of};
use crate::fault::code;
use crate::value::Value;

/// The members of an object.
#[derive(Clone, Copy)]
pub(super) struct NodeObject<'v>(&'v Value);

impl<'v> NodeObject<'v> {
    pub(super) fn get(self, key: &str) -> Option<&'v Value> {
        self.0.get(key)
    }

    pub(super) fn has(self, key: &str) -> bool {
        self.get(key).is_some()
    }

    fn keys(self) -> impl Iterator<Item = &'v str> {
        let members: &[(Arc<str>, Value)] = match self.0 {
            Value::Object(members) => members,
            _ => &[],
        };
        members.iter().map(|(key, _)| &**key)
    }
}

/// A kind of node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeKind {
    Group,
    Criteria,
    Trait,
    Behaviour,
    Sequence,
    Segment,
    Rank,
    Sample,
    Compare,
}

impl NodeKind {
    /// All that a node can be anywhere; the root can be [`NodeKind::Criteria`], too.
    const ALL: [NodeKind; 8] = [
        NodeKind::Group,
        NodeKind::Trait,
        NodeKind::Behaviour,
        NodeKind::Sequence,
        NodeKind::Segment,
        NodeKind::Rank,
        NodeKind::Sample,
        NodeKind::Compare,
    ];

    /// The known keys, the discriminating one first.
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            NodeKind::Group => &["conditions", "logic"],
            NodeKind::Criteria => &["criteria", "logic"],
            NodeKind::Trait => &["field", "operator", "value", "zone", "ignoreCase"],
            NodeKind::Behaviour => {
                &["event", "where", "measure", "operator", "value", "within", "each", "unless", "zone", "ignoreCase"]
            }
            NodeKind::Sequence => &["sequence", "within", "same"],
            NodeKind::Segment => &["segment"],
            NodeKind::Rank => &["rank", "top", "percent", "among"],
            NodeKind::Sample => &["sample"],
            NodeKind::Compare => &["left", "operator", "right"],
        }
    }

    fn is_of(self, object: NodeObject<'_>) -> bool {
        object.has(self.keys()[0])
    }
}

impl Parser<'_> {
    pub(super) fn object<'v>(&mut self, json: &'v Value, what: &str) -> Option<NodeObject<'v>> {
        match json {
            Value::Object(_) => Some(NodeObject(json)),
            _ => self.fault(code::WRONG_TYPE, format!("{what} must be an object, not {}", kind_of(json))),
        }
    }

    /// Returns the kind of the node, and notes its unknown keys. If the kind cannot be told, no key is unknown; if there are
    /// several kinds, those keys are unknown that none of them has.
    pub(super) fn kind(&mut self, object: NodeObject<'_>, is_root: bool) -> Option<NodeKind> {
        let all = NodeKind::ALL.into_iter().chain(is_root.then_some(NodeKind::Criteria));
        let kinds: Vec<NodeKind> = all.filter(|kind| kind.is_of(object)).collect();
        let names = |kinds: &[NodeKind]| {
            let names: Vec<&str> = kinds.iter().map(|kind| kind.keys()[0]).collect();
            names.join(", ")
        };
        let known: Vec<&str> = kinds.iter().flat_map(|kind| kind.keys()).copied().collect();
        match kinds[..] {
            [] => {
                let hint = if object.has("criteria") { " (`criteria` only at the top level)" } else { "" };
                let message = format!("a node has exactly one of {}{hint}", names(&NodeKind::ALL));
                self.fault(code::NO_DISCRIMINATOR, message)
            }
            [kind] => {
                self.known_keys(object, &known);
                Some(kind)
            }
            _ => {
                self.known_keys(object, &known);
                let message = format!("a node has one of {}, not several", names(&kinds));
                self.fault(code::SEVERAL_DISCRIMINATORS, message)
            }
        }
    }

    /// Notes every key that is not known.
    pub(super) fn known_keys(&mut self, object: NodeObject<'_>, known: &[&str]) {
        for key in object.keys().filter(|key| !known.contains(key)) {
            let _: Option<()> =
                self.fault_at(key, code::UNKNOWN_KEY, format!("no such key here; known are {}", known.join(", ")));
        }
    }

    /// A member that must be there.
    pub(super) fn required<'v>(&mut self, object: NodeObject<'v>, key: &str) -> Option<&'v Value> {
        match object.get(key) {
            Some(json) => Some(json),
            None => self.fault(code::MISSING_MEMBER, format!("`{key}` is missing")),
        }
    }

    /// A member that must be there, read at its place.
    pub(super) fn member<T>(
        &mut self,
        object: NodeObject<'_>,
        key: &str,
        read: impl FnOnce(&mut Self, &Value) -> Option<T>,
    ) -> Option<T> {
        let json = self.required(object, key)?;
        self.at(key, |parser| read(parser, json))
    }

    /// A member that may be left out, read at its place; the outer `None` where it is faulty.
    pub(super) fn optional<T>(
        &mut self,
        object: NodeObject<'_>,
        key: &str,
        read: impl FnOnce(&mut Self, &Value) -> Option<T>,
    ) -> Option<Option<T>> {
        match object.get(key) {
            Some(json) => self.at(key, |parser| read(parser, json)).map(Some),
            None => Some(None),
        }
    }
}

//! A rule in JSON → a checked tree, or every fault with its JSON pointer.
//!
//! The tree is canonical: aliases, defaults and older forms are resolved, sets are sorted. Parsing recurses by level and
//! levels are bounded, so no input can exhaust the stack.

mod compare;
mod computed;
mod events;
mod node;
mod object;
mod operator;
mod windows;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::ast::{Behaviour, Measure, Node, SegmentId};
use crate::fault::{Fault, code, in_document_order, push_index, push_key};
use crate::value::Value;

pub use computed::parse_behaviour;
pub(crate) use operator::operator_name;

/// The most nodes that a rule may have; filters and steps count.
pub const MOST_NODES: usize = 256;
/// The most levels that a rule may have; the root is 1, a filter or a step is one below its node.
pub const MOST_LEVELS: usize = 16;

/// Knows the computed traits.
pub trait TraitLookup {
    /// Returns the behaviour of the computed trait of that name; `None` if there is none.
    fn behaviour(&self, name: &str) -> Option<&Behaviour>;
}

/// No computed traits at all.
pub struct NoTraits;

impl TraitLookup for NoTraits {
    fn behaviour(&self, _: &str) -> Option<&Behaviour> {
        None
    }
}

/// Reads a rule, or gives every fault in document order. Whether the segments that it refers to exist is for
/// [`Catalogue::check_rules`](crate::catalogue::Catalogue::check_rules).
pub fn parse_rules(json: &Value, traits: &dyn TraitLookup) -> Result<Node, Vec<Fault>> {
    let parsed = parse(json, traits);
    match parsed.node {
        Some(node) if parsed.faults.is_empty() => Ok(node),
        _ => Err(in_document_order(parsed.faults)),
    }
}

/// A rule as far as it could be read.
pub(crate) struct Parsed {
    /// The tree, where nothing was so wrong that there is none.
    pub node: Option<Node>,
    /// The faults, in no particular order.
    pub faults: Vec<Fault>,
    /// The segments referred to, each with the pointer to its reference.
    pub segments: Vec<(String, SegmentId)>,
}

pub(crate) fn parse(json: &Value, traits: &dyn TraitLookup) -> Parsed {
    let mut parser = Parser::new(traits);
    let node = parser.node(json, 1);
    parser.check_size();
    Parsed { node, faults: parser.faults, segments: parser.segments }
}

/// The literals that the value of a measure or of a trait may be tested with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LiteralKind {
    /// All operators and literals.
    Anything,
    /// Operators and literals of numbers.
    Numbers,
    /// Operators of order, with durations.
    Durations,
}

impl LiteralKind {
    pub(crate) fn of(measure: &Measure) -> Self {
        match measure {
            Measure::SinceFirst | Measure::SinceLast => LiteralKind::Durations,
            measure if measure.is_number() => LiteralKind::Numbers,
            _ => LiteralKind::Anything,
        }
    }

    pub(crate) fn of_field(field: &str, traits: &dyn TraitLookup) -> Self {
        traits.behaviour(field).map_or(LiteralKind::Anything, |behaviour| LiteralKind::of(&behaviour.measure))
    }
}

/// Reads one document. Every method that gives `None` has noted why.
struct Parser<'t> {
    traits: &'t dyn TraitLookup,
    faults: Vec<Fault>,
    /// To where the parser stands.
    pointer: String,
    nodes: usize,
    large_patterns: usize,
    /// True inside a rank, where all users have one zone.
    is_in_rank: bool,
    /// True where paths may lead into the object of a list.
    has_item: bool,
    segments: Vec<(String, SegmentId)>,
}

impl<'t> Parser<'t> {
    fn new(traits: &'t dyn TraitLookup) -> Self {
        Parser {
            traits,
            faults: Vec::new(),
            pointer: String::new(),
            nodes: 0,
            large_patterns: 0,
            is_in_rank: false,
            has_item: false,
            segments: Vec::new(),
        }
    }

    /// Does something at a member.
    fn at<T>(&mut self, key: &str, act: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.pointer.len();
        push_key(&mut self.pointer, key);
        let result = act(self);
        self.pointer.truncate(length);
        result
    }

    /// Does something at every item, whatever came of those before; `None` where any gave `None`.
    fn each<T>(&mut self, items: &[Value], mut act: impl FnMut(&mut Self, &Value) -> Option<T>) -> Option<Vec<T>> {
        let mut results = Vec::with_capacity(items.len().min(MOST_NODES));
        for (index, item) in items.iter().enumerate() {
            let length = self.pointer.len();
            push_index(&mut self.pointer, index);
            results.extend(act(self, item));
            self.pointer.truncate(length);
        }
        (results.len() == items.len()).then_some(results)
    }

    /// Notes a fault where the parser stands.
    fn fault<T>(&mut self, code: &'static str, message: impl Into<String>) -> Option<T> {
        let message = with_subject(&self.pointer, message.into());
        self.faults.push(Fault { pointer: self.pointer.clone(), code, message });
        None
    }

    /// Notes a fault at a member.
    fn fault_at<T>(&mut self, key: &str, code: &'static str, message: impl Into<String>) -> Option<T> {
        self.at(key, |parser| parser.fault(code, message))
    }

    /// Counts a node (a filter, a step) and checks its level.
    fn enter(&mut self, level: usize) -> Option<()> {
        self.nodes += 1;
        if level > MOST_LEVELS {
            return self
                .fault(code::TOO_DEEP, format!("deeper than {MOST_LEVELS} levels; flatten the groups around it"));
        }
        Some(())
    }

    /// Notes where there are too many nodes; to be called at the end, where the parser stands at the root.
    fn check_size(&mut self) {
        if self.nodes > MOST_NODES {
            let message = format!(
                "{} nodes (filters and steps count), at most {MOST_NODES}; move parts into segments of their own",
                self.nodes
            );
            self.faults.push(Fault::whole(code::TOO_MANY_NODES, message));
        }
    }

    /// A string that is not empty.
    fn name(&mut self, json: &Value, what: &str) -> Option<Arc<str>> {
        match json {
            Value::Text(text) if text.is_empty() => self.fault(code::EMPTY, format!("{what} must not be empty")),
            Value::Text(text) => Some(text.clone()),
            _ => self.fault(code::WRONG_TYPE, format!("{what} must be a string, not {}", kind_of(json))),
        }
    }
}

/// A message as a sentence: one that begins with "must" gets the member at the pointer as its subject.
fn with_subject(pointer: &str, message: String) -> String {
    if !message.starts_with("must ") {
        return message;
    }
    match pointer.rsplit_once('/') {
        None => format!("the rule {message}"),
        Some((before, last)) => match (last.parse::<usize>(), before.rsplit_once('/')) {
            (Ok(index), Some((_, list))) => format!("item {} of `{list}` {message}", index + 1),
            _ => format!("`{last}` {message}"),
        },
    }
}

/// Returns the kind of a JSON value, for messages.
fn kind_of(json: &Value) -> &'static str {
    match json {
        Value::Null => "null (or a number beyond ±10^18)",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::Text(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

//! Computed traits: named behaviour measures.

use std::sync::Arc;

use super::events::{Fn, OLDER_FUNCTIONS};
use super::object::NodeObject;
use super::{LiteralKind, NoTraits, Parser, kind_of};
use crate::ast::{Behaviour, Measure};
use crate::fault::{Fault, code, in_document_order};
use crate::value::Value;

/// Reads a computed trait `{name, event, where?, measure?, within?, each?, unless?}`, or the older
/// `{name, aggregate, event, property?, where?, within?}`; gives every fault in document order.
pub fn parse_behaviour(json: &Value) -> Result<(Arc<str>, Behaviour), Vec<Fault>> {
    let mut parser = Parser::new(&NoTraits);
    let parsed = parser.computed_trait(json);
    parser.check_size();
    match parsed {
        Some(parsed) if parser.faults.is_empty() => Ok(parsed),
        _ => Err(in_document_order(parser.faults)),
    }
}

impl Parser<'_> {
    fn computed_trait(&mut self, json: &Value) -> Option<(Arc<str>, Behaviour)> {
        self.enter(1)?;
        let object = self.object(json, "a computed trait")?;
        let is_older = object.has("aggregate") || object.has("property");
        let name = self.member(object, "name", |parser, json| {
            let name = parser.name(json, "a computed trait's name")?;
            if name.contains('.') {
                return parser.fault(code::BAD_NAME, "a computed trait's name has no dots");
            }
            Some(name)
        });
        let behaviour = if !is_older {
            self.known_keys(object, &["name", "event", "where", "measure", "within", "each", "unless"]);
            self.behaviour(object, 1).0
        } else if object.has("measure") {
            self.known_keys(object, &["name", "event", "where", "measure", "within", "aggregate", "property"]);
            let message = "`measure` or the older `aggregate` and `property`, not both";
            self.fault(code::SEVERAL_DISCRIMINATORS, message)
        } else {
            self.known_keys(object, &["name", "event", "where", "within", "aggregate", "property"]);
            let measure = self.aggregate(object);
            self.behaviour_of(object, measure, 1).0
        };
        Some((name?, behaviour?))
    }

    fn aggregate(&mut self, object: NodeObject<'_>) -> (Option<Measure>, Option<LiteralKind>) {
        const COUNT: Fn = Fn::Alone(&Measure::Count);
        let function = self.member(object, "aggregate", |parser, json| {
            let Value::Text(text) = json else {
                return parser.fault(code::WRONG_TYPE, format!("must be a string, not {}", kind_of(json)));
            };
            let known = || [("count", COUNT)].into_iter().chain(OLDER_FUNCTIONS);
            match known().find(|(name, _)| *name == &**text) {
                Some((_, function)) => Some(function),
                None => {
                    let names: Vec<&str> = known().map(|(name, _)| name).collect();
                    parser.fault(code::UNKNOWN_WORD, format!("must be one of {}", names.join(", ")))
                }
            }
        });
        match function {
            Some(function) => (self.apply(function, object, "property"), Some(function.takes())),
            None => (None, None),
        }
    }
}

//! Comparisons of two values.

use std::sync::Arc;

use super::events::MEASURE_KEYS;
use super::object::NodeObject;
use super::{Parser, kind_of, operator_name};
use crate::ast::{Compare, Comparison, Measurable, Node};
use crate::fault::code;
use crate::value::Value;

/// The operators of a comparison: what they compare by (`None`: eq), and whether negated.
const OPERATORS: [(&str, Option<Comparison>, bool); 6] = [
    ("eq", None, false),
    ("ne", None, true),
    ("gt", Some(Comparison::Greater), false),
    ("gte", Some(Comparison::GreaterOrEqual), false),
    ("lt", Some(Comparison::Less), false),
    ("lte", Some(Comparison::LessOrEqual), false),
];

impl Parser<'_> {
    pub(super) fn compare(&mut self, object: NodeObject<'_>, level: usize) -> Option<Node> {
        let left = self.member(object, "left", |parser, json| parser.operand(json, level + 1));
        let operator = self.member(object, "operator", |parser, json| {
            let Value::Text(text) = json else {
                return parser.fault(code::WRONG_TYPE, format!("an operator is a string, not {}", kind_of(json)));
            };
            let name = operator_name(text);
            match OPERATORS.iter().find(|(known, ..)| Some(*known) == name) {
                Some((_, comparison, negated)) => Some((*comparison, *negated)),
                None if name.is_some() => {
                    parser.fault(code::DOES_NOT_FIT, "two values are compared by eq, ne, gt, gte, lt or lte")
                }
                None => parser.fault(code::UNKNOWN_OPERATOR, "no such operator; allowed are eq, ne, gt, gte, lt, lte"),
            }
        });
        let right = self.member(object, "right", |parser, json| parser.operand(json, level + 1));
        let (comparison, negated) = operator?;
        Some(Node::Compare(Arc::new(Compare { left: left?, comparison, negated, right: right? })))
    }

    fn operand(&mut self, json: &Value, level: usize) -> Option<Measurable> {
        self.enter(level)?;
        let object = self.object(json, "a side of a comparison")?;
        match (object.has("field"), object.has("event")) {
            (true, false) => {
                self.known_keys(object, &["field"]);
                self.member(object, "field", |parser, json| parser.field(json)).map(Measurable::Field)
            }
            (false, true) => {
                self.known_keys(object, MEASURE_KEYS);
                let (behaviour, _) = self.behaviour(object, level);
                behaviour.map(|behaviour| Measurable::Behaviour(Arc::new(behaviour)))
            }
            (true, true) => self.fault(code::SEVERAL_DISCRIMINATORS, "a side has one of field, event, not both"),
            (false, false) => self.fault(code::NO_DISCRIMINATOR, "a side of a comparison has `field` or `event`"),
        }
    }
}

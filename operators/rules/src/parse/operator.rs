//! Operators and their values.

use std::sync::Arc;

use super::object::NodeObject;
use super::{LiteralKind, MOST_NODES, Parser, kind_of};
use crate::ast::{Comparison, Condition, Literal, MOST_PATTERN_BYTES, Millis, Moment, Pattern, Test};
use crate::decimal::Decimal;
use crate::fault::code;
use crate::time::{LONGEST, parse_duration, parse_time};
use crate::value::Value;

/// The most literals in a list.
const MOST_LITERALS: usize = 1000;
/// The most characters in a regular expression.
const MOST_PATTERN_CHARACTERS: usize = 1000;
/// One that compiles to more than this is large (`\w{30}` is: Unicode has many letters).
const LARGE_PATTERN_BYTES: usize = 1 << 20;
/// The most large regular expressions in one rule: bounds the time and memory that checking it can take.
const MOST_LARGE_PATTERNS: usize = 16;

/// An operator without its negation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Equals,
    Compare(Comparison),
    Between,
    In,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Exists,
    Before,
    After,
}

/// Every operator: its name, what it does, and whether negated.
static OPERATORS: [(&str, Verb, bool); 19] = [
    ("eq", Verb::Equals, false),
    ("ne", Verb::Equals, true),
    ("gt", Verb::Compare(Comparison::Greater), false),
    ("gte", Verb::Compare(Comparison::GreaterOrEqual), false),
    ("lt", Verb::Compare(Comparison::Less), false),
    ("lte", Verb::Compare(Comparison::LessOrEqual), false),
    ("between", Verb::Between, false),
    ("not_between", Verb::Between, true),
    ("in", Verb::In, false),
    ("not_in", Verb::In, true),
    ("contains", Verb::Contains, false),
    ("not_contains", Verb::Contains, true),
    ("starts_with", Verb::StartsWith, false),
    ("ends_with", Verb::EndsWith, false),
    ("matches", Verb::Matches, false),
    ("exists", Verb::Exists, false),
    ("not_exists", Verb::Exists, true),
    ("before", Verb::Before, false),
    ("after", Verb::After, false),
];

const ALIASES: [(&str, &str); 15] = [
    ("equals", "eq"),
    ("=", "eq"),
    ("==", "eq"),
    ("not_equals", "ne"),
    ("!=", "ne"),
    (">", "gt"),
    (">=", "gte"),
    ("<", "lt"),
    ("<=", "lte"),
    ("greaterThan", "gt"),
    ("greaterThanOrEqual", "gte"),
    ("lessThan", "lt"),
    ("lessThanOrEqual", "lte"),
    ("nin", "not_in"),
    ("regex", "matches"),
];

/// The canonical name of an operator.
pub(crate) fn operator_name(text: &str) -> Option<&'static str> {
    known_operator(text).map(|(name, ..)| *name)
}

fn known_operator(text: &str) -> Option<&'static (&'static str, Verb, bool)> {
    let name = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(text)).map_or(text, |(_, name)| name);
    OPERATORS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))
}

impl LiteralKind {
    fn allows(self, verb: Verb) -> bool {
        match verb {
            Verb::Equals | Verb::Compare(_) | Verb::Between | Verb::Exists => true,
            Verb::In => self != LiteralKind::Durations,
            _ => self == LiteralKind::Anything,
        }
    }

    fn operators(self) -> String {
        let allowed: Vec<&str> =
            OPERATORS.iter().filter(|(_, verb, _)| self.allows(*verb)).map(|(name, ..)| *name).collect();
        allowed.join(", ")
    }
}

impl Parser<'_> {
    /// The `operator` and `value` of a node.
    pub(super) fn test(&mut self, object: NodeObject<'_>, takes: LiteralKind) -> Option<Test> {
        let (verb, negated) = self.member(object, "operator", |parser, json| parser.operator(json, takes))?;
        let condition = if verb == Verb::Exists {
            if object.has("value") {
                let message = "`exists` and `not_exists` take no value; leave it out";
                return self.fault_at("value", code::UNEXPECTED_MEMBER, message);
            }
            Condition::Exists
        } else {
            self.member(object, "value", |parser, json| parser.condition(verb, json, takes))?
        };
        Some(Test { negated, condition })
    }

    fn operator(&mut self, json: &Value, takes: LiteralKind) -> Option<(Verb, bool)> {
        let Value::Text(text) = json else {
            return self.fault(code::WRONG_TYPE, format!("an operator is a string, not {}", kind_of(json)));
        };
        let Some((name, verb, negated)) = known_operator(text) else {
            return self.fault(code::UNKNOWN_OPERATOR, format!("no such operator; allowed are {}", takes.operators()));
        };
        if !takes.allows(*verb) {
            let what = if takes == LiteralKind::Durations { "a duration" } else { "a measure that is a number" };
            let message = format!("`{name}` does not fit {what}; allowed are {}", takes.operators());
            return self.fault(code::DOES_NOT_FIT, message);
        }
        Some((*verb, *negated))
    }

    /// The positive condition that an operator and its value make.
    fn condition(&mut self, verb: Verb, json: &Value, takes: LiteralKind) -> Option<Condition> {
        Some(match verb {
            Verb::Equals => Condition::Equals(self.literal(json, takes, true)?),
            Verb::Compare(comparison) => Condition::Compare(comparison, self.literal(json, takes, false)?),
            Verb::Between => self.interval(json, takes)?,
            Verb::In => Condition::In(self.literals(json, takes)?),
            Verb::Contains => Condition::Contains(self.literal(json, takes, true)?),
            Verb::StartsWith => Condition::StartsWith(self.text(json)?),
            Verb::EndsWith => Condition::EndsWith(self.text(json)?),
            Verb::Matches => Condition::Matches(self.pattern(json)?),
            Verb::Exists => Condition::Exists,
            Verb::Before => Condition::Before(self.moment(json)?),
            Verb::After => Condition::After(self.moment(json)?),
        })
    }

    fn literal(&mut self, json: &Value, takes: LiteralKind, booleans: bool) -> Option<Literal> {
        let what = match takes {
            LiteralKind::Numbers => "a number",
            LiteralKind::Durations => "a duration such as \"30d\"",
            LiteralKind::Anything if booleans => "a string, number or boolean",
            LiteralKind::Anything => "a string or number",
        };
        match (takes, json) {
            (_, Value::Null) => {
                let message = format!("null, or a number beyond ±10^18, is no literal; must be {what}");
                self.fault(code::WRONG_TYPE, message)
            }
            (LiteralKind::Durations, Value::Text(_)) => {
                self.duration(json).map(|millis| Literal::Number(Decimal::from_integer(millis)))
            }
            (LiteralKind::Anything | LiteralKind::Numbers, Value::Number(number)) => Some(Literal::Number(*number)),
            (LiteralKind::Anything, Value::Text(text)) => Some(Literal::Text(text.clone())),
            (LiteralKind::Anything, Value::Bool(value)) if booleans => Some(Literal::Bool(*value)),
            _ => self.fault(code::WRONG_TYPE, format!("must be {what}, not {}", kind_of(json))),
        }
    }

    fn interval(&mut self, json: &Value, takes: LiteralKind) -> Option<Condition> {
        let Value::Array(items) = json else {
            return self.fault(code::WRONG_TYPE, format!("must be [low, high], not {}", kind_of(json)));
        };
        let ends = self.each(items, |parser, item| parser.literal(item, takes, false));
        if items.len() != 2 {
            return self.fault(code::OUT_OF_RANGE, format!("must be [low, high], not a list of {}", items.len()));
        }
        let [low, high] = <[Literal; 2]>::try_from(ends?).ok()?;
        match (&low, &high) {
            (Literal::Text(_), Literal::Text(_)) | (Literal::Number(_), Literal::Number(_)) if low <= high => {
                Some(Condition::Between(low, high))
            }
            (Literal::Text(_), Literal::Text(_)) | (Literal::Number(_), Literal::Number(_)) => {
                self.fault(code::OUT_OF_RANGE, "low must not be above high; swap them")
            }
            _ => self.fault(code::WRONG_TYPE, "low and high must be both numbers or both strings"),
        }
    }

    /// A list of literals as a set.
    fn literals(&mut self, json: &Value, takes: LiteralKind) -> Option<Vec<Literal>> {
        let Value::Array(items) = json else {
            return self.fault(code::WRONG_TYPE, format!("must be a list, not {}", kind_of(json)));
        };
        if items.is_empty() {
            return self.fault(code::EMPTY, "the list must not be empty");
        }
        let literals = self.each(items, |parser, item| parser.literal(item, takes, true));
        if items.len() > MOST_LITERALS {
            return self.fault(code::OUT_OF_RANGE, format!("at most {MOST_LITERALS} values, not {}", items.len()));
        }
        let mut literals = literals?;
        literals.sort();
        literals.dedup();
        Some(literals)
    }

    fn text(&mut self, json: &Value) -> Option<Arc<str>> {
        match json {
            Value::Text(text) => Some(text.clone()),
            _ => self.fault(code::WRONG_TYPE, format!("must be a string, not {}", kind_of(json))),
        }
    }

    fn pattern(&mut self, json: &Value) -> Option<Pattern> {
        let source = self.text(json)?;
        let length = source.chars().count();
        if length > MOST_PATTERN_CHARACTERS {
            let message = format!("a regular expression of {length} characters; at most {MOST_PATTERN_CHARACTERS}");
            return self.fault(code::OUT_OF_RANGE, message);
        }
        if self.nodes > MOST_NODES {
            // The rule is refused anyway; compiling thousands of patterns would only cost time.
            return None;
        }
        let mut compiled = Pattern::compile(&source, LARGE_PATTERN_BYTES);
        if let Err(regex::Error::CompiledTooBig(_)) = compiled {
            self.large_patterns += 1;
            if self.large_patterns > MOST_LARGE_PATTERNS {
                let message = format!("more than {MOST_LARGE_PATTERNS} large regular expressions; repeat less in them");
                return self.fault(code::BAD_REGEX, message);
            }
            compiled = Pattern::compile(&source, MOST_PATTERN_BYTES);
        }
        match compiled {
            Ok(pattern) => Some(pattern),
            Err(error) => self.fault(code::BAD_REGEX, format!("no usable regular expression: {error}")),
        }
    }

    fn moment(&mut self, json: &Value) -> Option<Moment> {
        if let Value::Text(text) = json
            && let Some(duration) = parse_duration(text)
        {
            return Some(Moment::Ago(duration));
        }
        match parse_time(json) {
            Some(time) => Some(Moment::At(time)),
            None => self.fault(
                code::BAD_TIME,
                "must be a time from 1970 to 2200 (RFC 3339 with an offset such as \"2026-01-31T10:00:00Z\", or epoch \
                 milliseconds) or a duration such as \"14d\", meaning that long before now",
            ),
        }
    }

    pub(super) fn duration(&mut self, json: &Value) -> Option<Millis> {
        let Value::Text(text) = json else {
            let message = format!("must be a duration such as \"30d\", not {}", kind_of(json));
            return self.fault(code::WRONG_TYPE, message);
        };
        match parse_duration(text) {
            Some(duration) => Some(duration),
            None => self.fault(
                code::BAD_DURATION,
                format!(
                    "no duration; write a positive whole number and one of s, m, h, d, w, such as \"30d\", at most {}",
                    crate::time::format_duration(LONGEST)
                ),
            ),
        }
    }

    pub(super) fn time(&mut self, json: &Value) -> Option<Millis> {
        match parse_time(json) {
            Some(time) => Some(time),
            None => self.fault(
                code::BAD_TIME,
                "must be a time from 1970 to 2200: RFC 3339 with an offset such as \"2026-01-31T10:00:00Z\", or epoch \
                 milliseconds",
            ),
        }
    }
}

//! Operators and their values.

use std::sync::Arc;

use super::object::NodeObject;
use super::{LiteralKind, MOST_NODES, Parser, kind_of};
use crate::ast::{
    CaselessTest, Comparison, Condition, Literal, MOST_PATTERN_BYTES, Millis, Moment, Pattern, Test, TextPlace, Zone,
};
use crate::caseless::fold;
use crate::decimal::Decimal;
use crate::fault::code;
use crate::time::{Duration, LONGEST, WrittenTime, parse_duration};
use crate::value::Value;
use crate::zone::ZoneId;

/// The most days between today and an anniversary.
const MOST_DAYS: i64 = 366;
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
    Anniversary,
}

impl Verb {
    fn has_zone(self) -> bool {
        matches!(self, Verb::Before | Verb::After)
    }

    fn has_case(self) -> bool {
        matches!(self, Verb::Equals | Verb::In | Verb::Contains | Verb::StartsWith | Verb::EndsWith | Verb::Matches)
    }
}

/// Every operator: its name, what it does, and whether negated.
static OPERATORS: [(&str, Verb, bool); 20] = [
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
    ("anniversary", Verb::Anniversary, false),
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
    /// The `operator` and `value` of a node, with its `zone` and `ignoreCase`.
    pub(super) fn test(&mut self, object: NodeObject<'_>, takes: LiteralKind) -> Option<Test> {
        let (verb, negated) = self.member(object, "operator", |parser, json| parser.operator(json, takes))?;
        let zone = self.test_zone(object, verb);
        let ignores_case = self.ignores_case(object, verb, takes);
        let condition = if verb == Verb::Exists {
            if object.has("value") {
                let message = "`exists` and `not_exists` take no value; leave it out";
                return self.fault_at("value", code::UNEXPECTED_MEMBER, message);
            }
            Some(Condition::Exists)
        } else {
            let zone = zone.flatten();
            self.member(object, "value", |parser, json| parser.condition(verb, json, takes, zone))
        };
        let (_, condition) = (zone?, condition?);
        let condition = if ignores_case? { self.caseless(condition)? } else { condition };
        Some(Test { negated, condition })
    }

    fn test_zone(&mut self, object: NodeObject<'_>, verb: Verb) -> Option<Option<Zone>> {
        if object.has("zone") && !verb.has_zone() {
            let message = "a zone stands beside `before` and `after` only, and in windows, measures and anniversaries";
            return self.fault_at("zone", code::UNEXPECTED_MEMBER, message);
        }
        self.optional(object, "zone", |parser, json| parser.zone(json))
    }

    fn ignores_case(&mut self, object: NodeObject<'_>, verb: Verb, takes: LiteralKind) -> Option<bool> {
        if object.has("ignoreCase") && (takes != LiteralKind::Anything || !verb.has_case()) {
            let message =
                "`ignoreCase` stands beside tests of texts only: eq, in, contains, starts_with, ends_with, matches";
            return self.fault_at("ignoreCase", code::UNEXPECTED_MEMBER, message);
        }
        let ignores_case = self.optional(object, "ignoreCase", |parser, json| match json {
            Value::Bool(ignores_case) => Some(*ignores_case),
            _ => parser.fault(code::WRONG_TYPE, format!("must be true or false, not {}", kind_of(json))),
        })?;
        Some(ignores_case.unwrap_or(false))
    }

    /// The condition without case; itself where it asks for no text.
    fn caseless(&mut self, written: Condition) -> Option<Condition> {
        let folded_text = |text: &Arc<str>| -> Arc<str> { fold(text).into() };
        let folded = |literal: &Literal| match literal {
            Literal::Text(text) => Literal::Text(folded_text(text)),
            literal => literal.clone(),
        };
        let folded = match &written {
            Condition::Equals(literal) => Condition::Equals(folded(literal)),
            Condition::Contains(literal) => Condition::Contains(folded(literal)),
            Condition::In(literals) => Condition::In(literals.iter().map(folded).collect()),
            Condition::StartsWith(text) => Condition::StartsWith(folded_text(text)),
            Condition::EndsWith(text) => Condition::EndsWith(folded_text(text)),
            Condition::AnyPart(place, parts) => {
                let mut parts: Vec<Arc<str>> = parts.iter().map(folded_text).collect();
                parts.sort();
                parts.dedup();
                Condition::AnyPart(*place, parts)
            }
            Condition::Matches(pattern) => {
                let source = format!("(?i){}", pattern.source());
                Condition::Matches(self.at("value", |parser| parser.compiled(&source))?)
            }
            other => other.clone(),
        };
        let has_text = match &written {
            Condition::Equals(literal) | Condition::Contains(literal) => matches!(literal, Literal::Text(_)),
            Condition::In(literals) => literals.iter().any(|literal| matches!(literal, Literal::Text(_))),
            _ => true,
        };
        Some(if has_text { Condition::IgnoringCase(Arc::new(CaselessTest { written, folded })) } else { written })
    }

    /// The name of a zone, or `"user"`.
    pub(super) fn zone(&mut self, json: &Value) -> Option<Zone> {
        let Value::Text(text) = json else {
            let message = format!("must be a time zone such as \"Europe/Berlin\", or \"user\", not {}", kind_of(json));
            return self.fault(code::WRONG_TYPE, message);
        };
        if &**text == "user" {
            if self.is_in_rank {
                return self
                    .fault(code::BAD_ZONE, "a rank compares users, so it has one zone for all: \"user\" is none");
            }
            return Some(Zone::User);
        }
        match ZoneId::named(text) {
            Some(zone) => Some(Zone::Named(zone)),
            None => self.fault(
                code::BAD_ZONE,
                "no time zone; write a name of the tz database exactly, such as \"Europe/Berlin\", or \"user\"",
            ),
        }
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
    fn condition(&mut self, verb: Verb, json: &Value, takes: LiteralKind, zone: Option<Zone>) -> Option<Condition> {
        let is_list = matches!(json, Value::Array(_));
        Some(match verb {
            Verb::Equals => Condition::Equals(self.literal(json, takes, true)?),
            Verb::Compare(comparison) => Condition::Compare(comparison, self.literal(json, takes, false)?),
            Verb::Between => self.interval(json, takes)?,
            Verb::In => Condition::In(self.literals(json, takes)?),
            Verb::Contains if is_list => Condition::AnyPart(TextPlace::Anywhere, self.parts(json)?),
            Verb::StartsWith if is_list => Condition::AnyPart(TextPlace::Start, self.parts(json)?),
            Verb::EndsWith if is_list => Condition::AnyPart(TextPlace::End, self.parts(json)?),
            Verb::Contains => Condition::Contains(self.literal(json, takes, true)?),
            Verb::StartsWith => Condition::StartsWith(self.text(json)?),
            Verb::EndsWith => Condition::EndsWith(self.text(json)?),
            Verb::Matches => Condition::Matches(self.pattern(json)?),
            Verb::Exists => Condition::Exists,
            Verb::Before => Condition::Before(self.moment(json, zone)?),
            Verb::After => Condition::After(self.moment(json, zone)?),
            Verb::Anniversary => self.anniversary(json)?,
        })
    }

    /// A list of texts as a set.
    fn parts(&mut self, json: &Value) -> Option<Vec<Arc<str>>> {
        let items = self.some_items(json, "texts")?;
        let parts = self.each(items, |parser, item| parser.text(item));
        if items.len() > MOST_LITERALS {
            return self.fault(code::OUT_OF_RANGE, format!("at most {MOST_LITERALS} values, not {}", items.len()));
        }
        let mut parts = parts?;
        parts.sort();
        parts.dedup();
        Some(parts)
    }

    fn anniversary(&mut self, json: &Value) -> Option<Condition> {
        let object = self.object(json, "the value of `anniversary`")?;
        self.known_keys(object, &["from", "to", "zone"]);
        let mut day = |key| {
            let day = self.optional(object, key, |parser, json| parser.whole(json, -MOST_DAYS, MOST_DAYS));
            day.map(|day| day.and_then(|day| i16::try_from(day).ok()).unwrap_or(0))
        };
        let (from, to) = (day("from"), day("to"));
        let zone = self.optional(object, "zone", |parser, json| parser.zone(json));
        let (from, to, zone) = (from?, to?, zone?.unwrap_or(Zone::Platform));
        if from > to {
            return self.fault(code::OUT_OF_RANGE, "`from` must not be above `to`, which is 0 where it is left out");
        }
        Some(Condition::Anniversary { from, to, zone })
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
        self.compiled(&source)
    }

    fn compiled(&mut self, source: &str) -> Option<Pattern> {
        if self.nodes > MOST_NODES {
            // The rule is refused anyway; compiling thousands of patterns would only cost time.
            return None;
        }
        let mut compiled = Pattern::compile(source, LARGE_PATTERN_BYTES);
        if let Err(regex::Error::CompiledTooBig(_)) = compiled {
            self.large_patterns += 1;
            if self.large_patterns > MOST_LARGE_PATTERNS {
                let message = format!("more than {MOST_LARGE_PATTERNS} large regular expressions; repeat less in them");
                return self.fault(code::BAD_REGEX, message);
            }
            compiled = Pattern::compile(source, MOST_PATTERN_BYTES);
        }
        match compiled {
            Ok(pattern) => Some(pattern),
            Err(error) => self.fault(code::BAD_REGEX, format!("no usable regular expression: {error}")),
        }
    }

    fn moment(&mut self, json: &Value, zone: Option<Zone>) -> Option<Moment> {
        if let Value::Text(text) = json
            && let Some(duration) = distance(text)
        {
            return Some(match (duration, zone) {
                (Duration::Millis(millis), None) => Moment::Ago(millis),
                _ => Moment::Moved(duration, zone.unwrap_or(Zone::Platform)),
            });
        }
        match (WrittenTime::of(json), zone) {
            (Some(WrittenTime::Instant(instant)), None) => Some(Moment::At(instant)),
            (Some(time), zone) => Some(Moment::Written(time, zone.unwrap_or(Zone::Platform))),
            (None, _) => self.fault(
                code::BAD_TIME,
                "must be a time from 1900 to 2199 (such as \"2026-01-31T10:00:00Z\", \"2026-01-31 10:00:00\", \
                 \"2026-01-31\", or epoch milliseconds), \"now\", or a duration of at most 150 years: \"14d\" or \
                 \"-14d\" ago, \"+14d\" ahead",
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

    /// A duration that may be of months.
    pub(super) fn window_duration(&mut self, json: &Value) -> Option<Duration> {
        let Value::Text(text) = json else {
            let message = format!("must be a duration such as \"30d\", not {}", kind_of(json));
            return self.fault(code::WRONG_TYPE, message);
        };
        match Duration::parse(text, Duration::WINDOW) {
            Some(duration) => Some(duration),
            None => self.fault(
                code::BAD_DURATION,
                "no duration; write a positive whole number and one of s, m, h, d, w, mo, y, such as \"30d\", at most ten years",
            ),
        }
    }

    pub(super) fn time(&mut self, json: &Value) -> Option<WrittenTime> {
        match WrittenTime::of(json) {
            Some(time) => Some(time),
            None => self.fault(
                code::BAD_TIME,
                "must be a time from 1900 to 2199: such as \"2026-01-31T10:00:00Z\", \"2026-01-31 10:00:00\" or \
                 \"2026-01-31\", or epoch milliseconds",
            ),
        }
    }
}

/// `now`, so long ago (`30d`, `-30d`) or so long ahead (`+7d`), which is negative.
fn distance(text: &str) -> Option<Duration> {
    if text == "now" {
        return Some(Duration::ZERO);
    }
    if let Some(ahead) = text.strip_prefix('+') {
        return Some(match Duration::parse(ahead, Duration::LIFETIME)? {
            Duration::Millis(millis) => Duration::Millis(-millis),
            Duration::Months(months) => Duration::Months(-months),
        });
    }
    Duration::parse(text.strip_prefix('-').unwrap_or(text), Duration::LIFETIME)
}

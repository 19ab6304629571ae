//! A checked tree → JSON in the documented language, with canonical names: parsing it gives the tree again.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::ast::{
    Behaviour, Comparison, Condition, Cut, EventPath, EventTypes, Filter, Function, Literal, Logic, Measure, Millis,
    Moment, Node, Rank, RankBy, Sequence, SequenceStep, Test, Window,
};
use crate::decimal::{Decimal, UNITS_PER_ONE};
use crate::parse::{LiteralKind, NoTraits, TraitLookup};
use crate::time::{format_duration, format_time};
use crate::value::Value;

/// The rule as compact JSON, where it tests no computed trait that is a duration: see [`node_to_value`].
pub fn node_to_json(node: &Node) -> String {
    node_to_json_with(node, &NoTraits)
}

/// The rule as compact JSON; see [`node_to_value`] for `traits`.
pub fn node_to_json_with(node: &Node, traits: &dyn TraitLookup) -> String {
    value_to_json(&node_to_value(node, traits))
}

/// The rule as a JSON value. The computed traits tell which fields are compared with durations, which are written as such
/// (`"30d"`); they must be those that the rule was read with.
pub fn node_to_value(node: &Node, traits: &dyn TraitLookup) -> Value {
    match node {
        Node::Group { logic, conditions } => {
            group(*logic, conditions.iter().map(|node| node_to_value(node, traits)).collect())
        }
        Node::Trait { field, test } => {
            tested(vec![("field", Value::Text(field.clone()))], test, LiteralKind::of_field(field, traits))
        }
        Node::Behaviour { behaviour, test } => {
            tested(behaviour_members(behaviour), test, LiteralKind::of(&behaviour.measure))
        }
        Node::Sequence(sequence) => sequence_to_value(sequence),
        Node::Segment(id) => object(vec![("segment", Value::Text(id.clone()))]),
        Node::Rank(rank) => rank_to_value(rank, traits),
        Node::Sample(sample) => object(vec![(
            "sample",
            object(vec![
                ("salt", Value::Text(sample.salt.clone())),
                ("from", whole(sample.from)),
                ("to", whole(sample.to)),
            ]),
        )]),
    }
}

/// The computed trait as compact JSON.
pub fn behaviour_to_json(name: &str, behaviour: &Behaviour) -> String {
    let mut members = behaviour_members(behaviour);
    members.push(("name", text(name)));
    value_to_json(&object(members))
}

/// Any value as compact JSON.
pub fn value_to_json(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, &mut out);
    out
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => {
            // Writing to a string cannot fail.
            let _ = write!(out, "{number}");
        }
        Value::Text(text) => write_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write_value(value, out);
            }
            out.push('}');
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\u{0}'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

type JsonMembers = Vec<(&'static str, Value)>;

/// An object; its members may come in any order.
fn object(mut members: JsonMembers) -> Value {
    members.sort_by_key(|(key, _)| *key);
    Value::Object(members.into_iter().map(|(key, value)| (Arc::from(key), value)).collect())
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn texts(items: &[Arc<str>]) -> Value {
    Value::Array(items.iter().cloned().map(Value::Text).collect())
}

fn whole(number: impl Into<i64>) -> Value {
    Value::Number(Decimal::from_integer(number.into()))
}

fn duration(millis: Millis) -> Value {
    text(&format_duration(millis))
}

fn time(millis: Millis) -> Value {
    text(&format_time(millis))
}

fn group(logic: Logic, conditions: Vec<Value>) -> Value {
    object(vec![("logic", text(logic_name(logic))), ("conditions", Value::Array(conditions))])
}

/// An object with a test; where no operator says its negation, a NOT around it does.
fn tested(mut members: JsonMembers, test: &Test, takes: LiteralKind) -> Value {
    let (positive, negative) = operator_names(&test.condition);
    let operator = if test.negated { negative.unwrap_or(positive) } else { positive };
    members.push(("operator", text(operator)));
    members.extend(condition_value(&test.condition, takes).map(|value| ("value", value)));
    let object = object(members);
    if test.negated && negative.is_none() { group(Logic::Not, vec![object]) } else { object }
}

/// Returns the value that the operator compares with, if any.
pub(crate) fn condition_value(condition: &Condition, takes: LiteralKind) -> Option<Value> {
    let literals =
        |literals: &[&Literal]| Value::Array(literals.iter().map(|item| literal_value(item, takes)).collect());
    Some(match condition {
        Condition::Exists => return None,
        Condition::Equals(literal) | Condition::Compare(_, literal) | Condition::Contains(literal) => {
            literal_value(literal, takes)
        }
        Condition::Between(low, high) => literals(&[low, high]),
        Condition::In(list) => literals(&list.iter().collect::<Vec<_>>()),
        Condition::StartsWith(literal) | Condition::EndsWith(literal) => Value::Text(literal.clone()),
        Condition::Matches(pattern) => text(pattern.source()),
        Condition::Before(Moment::At(at)) | Condition::After(Moment::At(at)) => time(*at),
        Condition::Before(Moment::Ago(millis)) | Condition::After(Moment::Ago(millis)) => duration(*millis),
    })
}

fn literal_value(literal: &Literal, takes: LiteralKind) -> Value {
    match literal {
        Literal::Text(text) => Value::Text(text.clone()),
        Literal::Number(number) if takes == LiteralKind::Durations => {
            // Durations are at most ten years, so they fit.
            duration(Millis::try_from(number.units() / UNITS_PER_ONE).unwrap_or(Millis::MAX))
        }
        Literal::Number(number) => Value::Number(*number),
        Literal::Bool(value) => Value::Bool(*value),
    }
}

fn behaviour_members(behaviour: &Behaviour) -> JsonMembers {
    let mut members = vec![("event", events_value(&behaviour.events)), ("measure", measure_value(&behaviour.measure))];
    members.extend(behaviour.filter.as_ref().map(|filter| ("where", where_value(filter))));
    members.extend(behaviour.window.map(|window| ("within", window_value(window))));
    members
}

fn events_value(events: &EventTypes) -> Value {
    match events {
        EventTypes::Any => text("*"),
        EventTypes::Named(names) => match &names[..] {
            [name] => Value::Text(name.clone()),
            names => texts(names),
        },
    }
}

fn measure_value(measure: &Measure) -> Value {
    let (name, path) = match measure {
        Measure::Count => return text("count"),
        Measure::Days => ("days", None),
        Measure::SinceFirst => ("since_first", None),
        Measure::SinceLast => ("since_last", None),
        Measure::Of(function, path) => (function_name(*function), Some(path)),
    };
    let mut members = vec![("fn", text(name))];
    members.extend(path.map(|path| ("of", text(&path_text(path)))));
    object(members)
}

/// A `where`; several filters that must all hold are a list, as there may be no level left for a group.
fn where_value(filter: &Filter) -> Value {
    match filter {
        Filter::Group(Logic::And, filters) if filters.len() > 1 => {
            Value::Array(filters.iter().map(filter_value).collect())
        }
        filter => filter_value(filter),
    }
}

fn filter_value(filter: &Filter) -> Value {
    match filter {
        Filter::Group(logic, filters) => group(*logic, filters.iter().map(filter_value).collect()),
        Filter::Test(path, test) => tested(vec![("field", text(&path_text(path)))], test, LiteralKind::Anything),
    }
}

fn window_value(window: Window) -> Value {
    match window {
        Window::Last(millis) => duration(millis),
        Window::Ago { from, to } => object(vec![("ago", Value::Array(vec![duration(from), duration(to)]))]),
        Window::Fixed { from, to } => {
            let ends = [("from", from), ("to", to)];
            object(ends.into_iter().filter_map(|(key, end)| Some((key, time(end?)))).collect())
        }
    }
}

fn sequence_to_value(sequence: &Sequence) -> Value {
    let step = |step: &SequenceStep| {
        let mut members = vec![("event", events_value(&step.events))];
        members.extend(step.filter.as_ref().map(|filter| ("where", where_value(filter))));
        members.extend(step.max_gap.map(|gap| ("maxGap", duration(gap))));
        object(members)
    };
    let mut members = vec![("sequence", Value::Array(sequence.steps.iter().map(step).collect()))];
    members.extend(sequence.window.map(|window| ("within", window_value(window))));
    object(members)
}

fn rank_to_value(rank: &Rank, traits: &dyn TraitLookup) -> Value {
    let by = match &rank.by {
        RankBy::Field(field) => Value::Text(field.clone()),
        RankBy::Behaviour(behaviour) => object(behaviour_members(behaviour)),
    };
    let order = text(if rank.descending { "desc" } else { "asc" });
    let cut = match rank.cut {
        Cut::Top(count) => ("top", whole(count)),
        Cut::Percent(percent) => ("percent", Value::Number(percent)),
    };
    let mut members = vec![("rank", object(vec![("by", by), ("order", order)])), cut];
    members.extend(rank.among.as_ref().map(|among| ("among", node_to_value(among, traits))));
    object(members)
}

fn logic_name(logic: Logic) -> &'static str {
    match logic {
        Logic::And => "AND",
        Logic::Or => "OR",
        Logic::Not => "NOT",
    }
}

fn function_name(function: Function) -> &'static str {
    match function {
        Function::Sum => "sum",
        Function::Avg => "avg",
        Function::Min => "min",
        Function::Max => "max",
        Function::Distinct => "distinct",
        Function::First => "first",
        Function::Last => "last",
    }
}

/// The operator, and that which is its negation.
pub(crate) fn operator_names(condition: &Condition) -> (&'static str, Option<&'static str>) {
    match condition {
        Condition::Equals(_) => ("eq", Some("ne")),
        Condition::Compare(Comparison::Greater, _) => ("gt", None),
        Condition::Compare(Comparison::GreaterOrEqual, _) => ("gte", None),
        Condition::Compare(Comparison::Less, _) => ("lt", None),
        Condition::Compare(Comparison::LessOrEqual, _) => ("lte", None),
        Condition::Between(..) => ("between", Some("not_between")),
        Condition::In(_) => ("in", Some("not_in")),
        Condition::Contains(_) => ("contains", Some("not_contains")),
        Condition::StartsWith(_) => ("starts_with", None),
        Condition::EndsWith(_) => ("ends_with", None),
        Condition::Matches(_) => ("matches", None),
        Condition::Exists => ("exists", Some("not_exists")),
        Condition::Before(_) => ("before", None),
        Condition::After(_) => ("after", None),
    }
}

/// The path as written; with its prefix where it would otherwise be read as another.
pub(crate) fn path_text(path: &EventPath) -> String {
    match path {
        EventPath::Timestamp => "timestamp".into(),
        EventPath::Context(keys) => format!("context.{}", keys.join(".")),
        EventPath::Properties(keys) => {
            let path = keys.join(".");
            let needs_prefix = path == "timestamp" || path.starts_with("properties.") || path.starts_with("context.");
            if needs_prefix { format!("properties.{path}") } else { path }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{parse_behaviour, parse_rules};
    use crate::testing::json;

    fn round_trip(node: &Node) {
        let text = node_to_json(node);
        assert_eq!(parse_rules(&json(&text), &NoTraits).as_ref(), Ok(node), "{text}");
    }

    #[test]
    fn unparsed_rule_reads_back_in_every_form() {
        for text in [
            r#"{"logic": "not", "conditions": [{"segment": "a\"\\\n\u0001é"}, {"sample": {"salt": "", "from": 0, "to": 9999}}]}"#,
            r#"{"field": "a.b", "operator": "not_between", "value": [-0.000000001, 1000000000000000000]}"#,
            r#"{"field": "a", "operator": "nin", "value": ["1", 1, true, false, 0.5]}"#,
            r#"{"field": "a", "operator": "not_contains", "value": true}"#,
            r#"{"field": "a", "operator": "matches", "value": "^\\d+\"$"}"#,
            r#"{"field": "a", "operator": "before", "value": "2026-01-01T00:00:00.007+01:00"}"#,
            r#"{"field": "a", "operator": "after", "value": "90m"}"#,
            r#"{"event": ["q", "p"], "where": {"conditions": [{"field": "context.a", "operator": "not_exists"}]}, "within": {"to": 7}}"#,
            r#"{"event": "*", "measure": {"fn": "since_first"}, "operator": "between", "value": ["1h", "10w"], "within": {"ago": ["2d", "1d"]}}"#,
            r#"{"event": "p", "measure": {"fn": "avg", "of": "timestamp"}, "operator": "ne", "value": 1.5, "within": "7d"}"#,
            r#"{"sequence": [{"event": "a"}, {"event": "*", "maxGap": "1d", "where": [{"field": "x", "operator": "ends_with", "value": "y"}, {"logic": "or", "conditions": [{"field": "timestamp", "operator": "after", "value": "1s"}]}]}], "within": {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}}"#,
            r#"{"rank": {"by": {"event": "p", "measure": {"fn": "days"}}, "order": "ASC"}, "percent": 12.5, "among": {"event": "p"}}"#,
            r#"{"rank": {"by": "x"}, "top": 1000000}"#,
        ] {
            round_trip(&parse_rules(&json(text), &NoTraits).expect(text));
        }
    }

    #[test]
    fn unparsed_rule_is_no_deeper_than_the_deepest_allowed() {
        let leaf =
            r#"{"event": "p", "where": [{"field": "a", "operator": "exists"}, {"field": "b", "operator": "exists"}]}"#;
        let text = format!("{}{leaf}{}", r#"{"conditions": ["#.repeat(14), "]}".repeat(14));
        round_trip(&parse_rules(&json(&text), &NoTraits).expect("valid"));
    }

    #[test]
    fn unparsed_rule_is_compact_and_canonical() {
        let node = parse_rules(&json(r#"{"event": "p", "operator": ">", "value": 1.50}"#), &NoTraits).expect("valid");
        assert_eq!(node_to_json(&node), r#"{"event":"p","measure":"count","operator":"gt","value":1.5}"#);
        let (name, behaviour) = parse_behaviour(&json(r#"{"name": "t", "event": "*"}"#)).expect("valid");
        assert_eq!(behaviour_to_json(&name, &behaviour), r#"{"event":"*","measure":"count","name":"t"}"#);
    }

    #[test]
    fn unparsed_test_without_an_operator_is_a_group() {
        let condition = Condition::StartsWith("a".into());
        let node = Node::Trait { field: "f".into(), test: Test { negated: true, condition } };
        let expected = r#"{"conditions":[{"field":"f","operator":"starts_with","value":"a"}],"logic":"NOT"}"#;
        assert_eq!(node_to_json(&node), expected);
    }
}

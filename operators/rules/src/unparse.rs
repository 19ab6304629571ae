//! A checked tree → JSON in the documented language, with canonical names: parsing it gives the tree again.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::ast::{
    Behaviour, Compare, Comparison, Condition, Cut, EventPath, EventTypes, Filter, Function, Literal, Logic,
    Measurable, Measure, Millis, Moment, Node, Rank, Sequence, SequenceStep, Test, TextPlace, Unless, Window, Zone,
};
use crate::decimal::{Decimal, UNITS_PER_ONE};
use crate::parse::{LiteralKind, NoTraits, TraitLookup};
use crate::time::{Duration, WrittenTime, format_date, format_duration, format_local, format_time};
use crate::value::Value;
use crate::zone::CalendarUnit;

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
        Node::Compare(compare) => compare_to_value(compare),
    }
}

fn compare_to_value(compare: &Compare) -> Value {
    let operand = |operand: &Measurable| match operand {
        Measurable::Field(field) => object(vec![("field", Value::Text(field.clone()))]),
        Measurable::Behaviour(behaviour) => object(behaviour_members(behaviour)),
    };
    let operator = comparison_name(compare);
    object(vec![("left", operand(&compare.left)), ("operator", text(operator)), ("right", operand(&compare.right))])
}

/// The operator of a comparison.
pub(crate) fn comparison_name(compare: &Compare) -> &'static str {
    match compare.comparison {
        None if compare.negated => "ne",
        None => "eq",
        Some(Comparison::Greater) => "gt",
        Some(Comparison::GreaterOrEqual) => "gte",
        Some(Comparison::Less) => "lt",
        Some(Comparison::LessOrEqual) => "lte",
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

pub(crate) type JsonMembers = Vec<(&'static str, Value)>;

/// An object; its members may come in any order.
pub(crate) fn object(mut members: JsonMembers) -> Value {
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
    match &test.condition {
        Condition::IgnoringCase(_) => members.push(("ignoreCase", Value::Bool(true))),
        Condition::Before(Moment::Written(_, zone) | Moment::Moved(_, zone))
        | Condition::After(Moment::Written(_, zone) | Moment::Moved(_, zone)) => members.extend(zone_member(*zone)),
        _ => {}
    }
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
        Condition::Before(moment) | Condition::After(moment) => match moment {
            Moment::At(at) => time(*at),
            Moment::Written(written, _) => written_time(*written),
            Moment::Ago(millis) => distance(Duration::Millis(*millis)),
            Moment::Moved(duration, _) => distance(*duration),
        },
        Condition::AnyPart(_, parts) => texts(parts),
        Condition::IgnoringCase(test) => return condition_value(&test.written, takes),
        Condition::Anniversary { from, to, zone } => {
            let mut members = vec![("from", whole(*from)), ("to", whole(*to))];
            members.extend(zone_member(*zone));
            object(members)
        }
    })
}

fn zone_member(zone: Zone) -> Option<(&'static str, Value)> {
    match zone {
        Zone::Platform => None,
        Zone::User => Some(("zone", text("user"))),
        Zone::Named(zone) => Some(("zone", text(zone.name()))),
    }
}

fn written_time(written: WrittenTime) -> Value {
    match written {
        WrittenTime::Instant(instant) => time(instant),
        WrittenTime::Local(local) => text(&format_local(local)),
        WrittenTime::Date(local) => text(&format_date(local)),
    }
}

/// `now`, `30d` (ago) or `+7d` (ahead).
pub(crate) fn distance(duration: Duration) -> Value {
    text(&match duration {
        Duration::ZERO => "now".to_owned(),
        Duration::Millis(millis) if millis < 0 => format!("+{}", Duration::Millis(-millis)),
        Duration::Months(months) if months < 0 => format!("+{}", Duration::Months(-months)),
        duration => duration.to_string(),
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

pub(crate) fn behaviour_members(behaviour: &Behaviour) -> JsonMembers {
    let mut members = vec![("event", events_value(&behaviour.events)), ("measure", measure_value(&behaviour.measure))];
    members.extend(behaviour.filter.as_ref().map(|filter| ("where", where_value(filter))));
    members.extend(behaviour.window.map(|window| ("within", window_value(window))));
    members
        .extend(behaviour.each.as_ref().map(|keys| ("each", text(&path_text(&EventPath::Properties(keys.clone()))))));
    members.extend(behaviour.unless.as_ref().map(|unless| ("unless", unless_value(unless))));
    members
}

fn unless_value(unless: &Unless) -> Value {
    let path = |path: &EventPath| text(&path_text(path));
    let same = if unless.own == unless.other {
        path(&unless.own)
    } else {
        Value::Array(vec![path(&unless.own), path(&unless.other)])
    };
    let mut members = vec![("event", events_value(&unless.events)), ("same", same)];
    members.extend(unless.filter.as_ref().map(|filter| ("where", where_value(filter))));
    object(members)
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
    let paths = |paths: &[EventPath]| match paths {
        [path] => path_value(path),
        paths => Value::Array(paths.iter().map(|path| text(&path_text(path))).collect()),
    };
    let alone = |name: &str| object(vec![("fn", text(name))]);
    match measure {
        Measure::Count => text("count"),
        Measure::Days => alone("days"),
        Measure::SinceFirst => alone("since_first"),
        Measure::SinceLast => alone("since_last"),
        Measure::Of(function, path) => object(vec![("fn", text(function_name(*function))), ("of", path_value(path))]),
        Measure::OfProduct(function, of) => object(vec![("fn", text(function_name(*function))), ("of", paths(of))]),
        Measure::Nth(function, of, nth) => {
            object(vec![("fn", text(function_name(*function))), ("of", paths(of)), ("nth", whole(*nth))])
        }
        Measure::Sessions(gap) => object(vec![("fn", text("sessions")), ("gap", duration(*gap))]),
        Measure::Units(unit, zone) => {
            let mut members = vec![("fn", text(units_name(*unit)))];
            members.extend(week_member(*unit));
            members.extend(zone_member(*zone));
            object(members)
        }
    }
}

/// The path of a measure, or the choice of several.
fn path_value(path: &EventPath) -> Value {
    let EventPath::First(choice) = path else { return text(&path_text(path)) };
    let mut members = vec![("firstOf", Value::Array(choice.paths.iter().map(path_value).collect()))];
    let minus = || Value::Array(choice.minus.iter().map(|name| text(name)).collect());
    members.extend((!choice.minus.is_empty()).then(|| ("minus", minus())));
    object(members)
}

/// The name of the measure that counts distinct units.
pub(crate) fn units_name(unit: CalendarUnit) -> &'static str {
    match unit {
        CalendarUnit::Week | CalendarUnit::SundayWeek => "weeks",
        CalendarUnit::Month => "months",
        _ => "days",
    }
}

fn week_member(unit: CalendarUnit) -> Option<(&'static str, Value)> {
    (unit == CalendarUnit::SundayWeek).then(|| ("weekStart", text("sunday")))
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

pub(crate) fn window_value(window: Window) -> Value {
    match window {
        Window::Last(millis) => duration(millis),
        Window::Ago { from, to } => object(vec![("ago", Value::Array(vec![duration(from), duration(to)]))]),
        Window::Fixed { from, to } => {
            let ends = [("from", from), ("to", to)];
            object(ends.into_iter().filter_map(|(key, end)| Some((key, time(end?)))).collect())
        }
        Window::Span { from, to, zone } => {
            let mut members = match to {
                Duration::ZERO => vec![("last", text(&from.to_string()))],
                _ => vec![("ago", Value::Array(vec![text(&from.to_string()), text(&to.to_string())]))],
            };
            members.extend(zone_member(zone));
            object(members)
        }
        Window::Calendar { unit, from, to, zone } => {
            let back = |units: u16| whole(-i64::from(units));
            let mut members = vec![("calendar", text(unit_name(unit))), ("from", back(from)), ("to", back(to))];
            members.extend(week_member(unit));
            members.extend(zone_member(zone));
            object(members)
        }
        Window::Written { from, to, zone } => {
            let ends = [("from", from), ("to", to)];
            let mut members: JsonMembers =
                ends.into_iter().filter_map(|(key, end)| Some((key, written_time(end?)))).collect();
            members.extend(zone_member(zone));
            object(members)
        }
    }
}

/// The name of a unit of the calendar.
pub(crate) fn unit_name(unit: CalendarUnit) -> &'static str {
    match unit {
        CalendarUnit::Day => "day",
        CalendarUnit::Week | CalendarUnit::SundayWeek => "week",
        CalendarUnit::Month => "month",
        CalendarUnit::Quarter => "quarter",
        CalendarUnit::Year => "year",
    }
}

fn sequence_to_value(sequence: &Sequence) -> Value {
    let last = sequence.steps.len().saturating_sub(1);
    let step = |(index, step): (usize, &SequenceStep)| {
        let mut members = vec![("event", events_value(&step.events))];
        members.extend(step.filter.as_ref().map(|filter| ("where", where_value(filter))));
        members.extend(step.max_gap.map(|gap| ("maxGap", duration(gap))));
        if step.absent {
            members = vec![("not", object(members))];
            members.extend(sequence.lasting.filter(|_| index == last).map(|lasting| ("for", duration(lasting))));
        }
        object(members)
    };
    let mut members = vec![("sequence", Value::Array(sequence.steps.iter().enumerate().map(step).collect()))];
    members.extend(sequence.window.map(|window| ("within", window_value(window))));
    let mut same: Vec<Value> = sequence.same.iter().map(|path| text(&path_text(path))).collect();
    members.extend(match same.len() {
        0 => None,
        1 => same.pop().map(|path| ("same", path)),
        _ => Some(("same", Value::Array(same))),
    });
    object(members)
}

fn rank_to_value(rank: &Rank, traits: &dyn TraitLookup) -> Value {
    let by = match &rank.by {
        Measurable::Field(field) => Value::Text(field.clone()),
        Measurable::Behaviour(behaviour) => object(behaviour_members(behaviour)),
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
        Function::Median => "median",
        Function::Mode => "mode",
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
        Condition::AnyPart(TextPlace::Start, _) => ("starts_with", None),
        Condition::AnyPart(TextPlace::End, _) => ("ends_with", None),
        Condition::AnyPart(TextPlace::Anywhere, _) => ("contains", Some("not_contains")),
        Condition::IgnoringCase(test) => operator_names(&test.written),
        Condition::Anniversary { .. } => ("anniversary", None),
        Condition::Before(_) => ("before", None),
        Condition::After(_) => ("after", None),
    }
}

/// The path as written; with its prefix where it would otherwise be read as another.
pub(crate) fn path_text(path: &EventPath) -> String {
    match path {
        EventPath::Timestamp => "timestamp".into(),
        EventPath::Context(keys) => format!("context.{}", keys.join(".")),
        EventPath::Traits(keys) => format!("traits.{}", keys.join(".")),
        EventPath::Item(keys) => format!("item.{}", keys.join(".")),
        EventPath::First(choice) => choice.paths.iter().map(path_text).collect::<Vec<_>>().join(" or "),
        EventPath::Properties(keys) => {
            let path = keys.join(".");
            let prefixes = ["properties.", "context.", "traits.", "item."];
            let needs_prefix = path == "timestamp" || prefixes.iter().any(|prefix| path.starts_with(prefix));
            if needs_prefix { format!("properties.{path}") } else { path }
        }
    }
}

#[cfg(test)]
mod tests;

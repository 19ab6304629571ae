//! Filters of templates.

use serde_json::{Number, Value};

/// Every filter, and how many arguments it takes.
pub const FILTERS: [(&str, usize); 23] = [
    ("append", 1),
    ("capitalize", 0),
    ("ceil", 0),
    ("default", 1),
    ("divided_by", 1),
    ("downcase", 0),
    ("escape", 0),
    ("first", 0),
    ("floor", 0),
    ("join", 1),
    ("last", 0),
    ("minus", 1),
    ("plus", 1),
    ("prepend", 1),
    ("remove", 1),
    ("replace", 2),
    ("round", 1),
    ("size", 0),
    ("split", 1),
    ("strip", 0),
    ("times", 1),
    ("truncate", 1),
    ("upcase", 0),
];

/// Applies a filter. Values that it does not fit give nil, as in Liquid.
pub(super) fn apply(name: &str, value: Value, arguments: &[Value]) -> Value {
    let argument = |index: usize| arguments.get(index).unwrap_or(&Value::Null);
    let words = |index: usize| text_of(argument(index));
    match name {
        "default" => match is_blank(&value) {
            true => argument(0).clone(),
            false => value,
        },
        "append" => (text_of(&value) + &words(0)).into(),
        "prepend" => (words(0) + &text_of(&value)).into(),
        "upcase" => text_of(&value).to_uppercase().into(),
        "downcase" => text_of(&value).to_lowercase().into(),
        "capitalize" => capitalized(&text_of(&value)).into(),
        "strip" => text_of(&value).trim().into(),
        "escape" => escaped(&text_of(&value)).into(),
        "remove" => replaced(&text_of(&value), &words(0), "").into(),
        "replace" => replaced(&text_of(&value), &words(0), &words(1)).into(),
        "truncate" => truncated(&text_of(&value), number_of(argument(0)).unwrap_or(50.0)).into(),
        "split" => split(&text_of(&value), &words(0)),
        "join" => joined(&value, &words(0)),
        "first" => value.as_array().and_then(|list| list.first()).cloned().unwrap_or_default(),
        "last" => value.as_array().and_then(|list| list.last()).cloned().unwrap_or_default(),
        "size" => match &value {
            Value::Array(list) => list.len().into(),
            other => text_of(other).chars().count().into(),
        },
        "ceil" => rounded(&value, f64::ceil),
        "floor" => rounded(&value, f64::floor),
        "round" => to_places(&value, argument(0)),
        "plus" => reckoned(&value, argument(0), |one, other| Some(one + other)),
        "minus" => reckoned(&value, argument(0), |one, other| Some(one - other)),
        "times" => reckoned(&value, argument(0), |one, other| Some(one * other)),
        "divided_by" => divided(&value, argument(0)),
        _ => Value::Null,
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// A value as text.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(text_of).collect(),
        other => other.to_string(),
    }
}

/// A value as a number.
pub(super) fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

/// A number as a value: whole where it is whole.
fn to_value(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

fn reckoned(one: &Value, other: &Value, reckon: impl Fn(f64, f64) -> Option<f64>) -> Value {
    let both = number_of(one).zip(number_of(other));
    both.and_then(|(one, other)| reckon(one, other)).map_or(Value::Null, to_value)
}

/// A division by a whole number of a whole number rounds down, as in Liquid.
fn divided(one: &Value, other: &Value) -> Value {
    let are_whole = one.is_i64() && other.is_i64();
    reckoned(one, other, |one, other| {
        let ratio = one / other;
        (other != 0.0).then_some(if are_whole { ratio.floor() } else { ratio })
    })
}

fn rounded(value: &Value, round: impl Fn(f64) -> f64) -> Value {
    number_of(value).map_or(Value::Null, |number| to_value(round(number)))
}

fn to_places(value: &Value, places: &Value) -> Value {
    let places = number_of(places).unwrap_or(0.0).clamp(0.0, 9.0);
    let scale = 10_f64.powf(places.floor());
    rounded(value, |number| (number * scale).round() / scale)
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn replaced(text: &str, old: &str, new: &str) -> String {
    if old.is_empty() { text.to_owned() } else { text.replace(old, new) }
}

fn truncated(text: &str, most: f64) -> String {
    let most = most.clamp(0.0, 1e6) as usize;
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(3)).chain("...".chars()).collect()
}

fn split(text: &str, at: &str) -> Value {
    let parts: Vec<Value> = match at {
        "" => text.chars().map(|letter| Value::from(letter.to_string())).collect(),
        at => text.split(at).map(Value::from).collect(),
    };
    Value::Array(parts)
}

fn joined(value: &Value, between: &str) -> Value {
    match value {
        Value::Array(list) => list.iter().map(text_of).collect::<Vec<_>>().join(between).into(),
        other => text_of(other).into(),
    }
}

/// A text with entities for the letters that mean something in HTML.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

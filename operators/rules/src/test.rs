//! One test against one value: the only place that knows what the operators mean.
//!
//! A test is two-valued. Its positive condition is false on everything missing (absent, null, what does not cast to the
//! literal's type), and a negative operator is exactly the negation of the positive one.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::ast::{Condition, EventPath, Filter, Literal, Logic, Moment, Test, TextPlace};
use crate::caseless::fold;
use crate::decimal::Decimal;
use crate::record::EventRef;
use crate::scope::LocalNow;
use crate::time::{civil_from_days, days_from_civil, days_in_month, parse_time_in, parse_time_ref};
use crate::value::ValueRef;
use crate::zone::ZoneId;

/// The value that a test is applied to.
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a> {
    /// No value.
    Missing,
    /// A JSON value; null is missing.
    Value(ValueRef<'a>),
    /// A measure's number; a duration is its milliseconds.
    Number(Decimal),
    /// An exact average.
    Ratio {
        /// The sum.
        sum: Decimal,
        /// The number of values; more than 0.
        count: u64,
    },
}

impl<'a> From<Option<ValueRef<'a>>> for Operand<'a> {
    fn from(value: Option<ValueRef<'a>>) -> Self {
        value.map_or(Operand::Missing, Operand::Value)
    }
}

impl Test {
    /// Returns whether the test holds for the operand at an instant, which matters only where the test asks for times.
    pub fn holds(&self, operand: Operand<'_>, now: impl Into<LocalNow>) -> bool {
        let now = now.into();
        let positive = match operand {
            Operand::Missing => false,
            Operand::Value(value) => value_holds(&self.condition, value, &now),
            Operand::Number(number) => scalar_holds(&self.condition, ValueRef::Number(number), &now),
            Operand::Ratio { sum, count } => ratio_holds(&self.condition, sum, count),
        };
        positive != self.negated
    }

    /// As [`holds`](Self::holds), but `None` where the operand is missing and the test does not ask just for that: whatever it
    /// says then, it says because a value is missing.
    pub fn holds_by_value(&self, operand: Operand<'_>, now: impl Into<LocalNow>) -> Option<bool> {
        let asks_for_that = matches!(self.condition, Condition::Exists);
        (asks_for_that || !self.is_missing(operand)).then(|| self.holds(operand, now))
    }

    /// Returns whether the operand is missing to this test: absent, null, or nothing that casts to what it asks for.
    pub fn is_missing(&self, operand: Operand<'_>) -> bool {
        match operand {
            Operand::Missing => true,
            // A trait's number may be put to a test of instants, or of what is no number.
            Operand::Number(number) => !casts(&self.condition, ValueRef::Number(number)),
            Operand::Ratio { .. } => false,
            Operand::Value(ValueRef::Array(mut items)) => {
                !matches!(self.condition, Condition::Exists | Condition::Contains(_))
                    && !items.any(|item| is_scalar(&item) && casts(&self.condition, item))
            }
            Operand::Value(value) => !casts(&self.condition, value),
        }
    }

    /// Returns whether the answer for one and the same operand may change by time alone.
    pub fn is_relative(&self) -> bool {
        match &self.condition {
            Condition::Before(moment) | Condition::After(moment) => {
                matches!(moment, Moment::Ago(_) | Moment::Moved(..))
            }
            Condition::Anniversary { .. } => true,
            _ => false,
        }
    }
}

fn value_holds(condition: &Condition, value: ValueRef<'_>, now: &LocalNow) -> bool {
    match value {
        ValueRef::Null => false,
        ValueRef::Bool(_) | ValueRef::Number(_) | ValueRef::Text(_) => scalar_holds(condition, value, now),
        ValueRef::Object(_) => matches!(condition, Condition::Exists),
        ValueRef::Array(mut items) => match condition {
            Condition::Exists => true,
            Condition::Contains(literal) => items.any(|item| equals(literal, item)),
            Condition::AnyPart(TextPlace::Anywhere, parts) => {
                items.any(|item| text_of(item).is_some_and(|text| is_one_of(parts, &text)))
            }
            Condition::IgnoringCase(test) => {
                items.any(|item| is_scalar(&item) && folded_item_holds(&test.folded, item))
            }
            _ => items.any(|item| is_scalar(&item) && scalar_holds(condition, item, now)),
        },
    }
}

/// Returns whether the value is of the kind that the condition is about, or casts to it.
fn casts(condition: &Condition, value: ValueRef<'_>) -> bool {
    let to = |literal: &Literal| match literal {
        Literal::Text(_) => text_of(value).is_some(),
        Literal::Number(_) => number_of(value).is_some(),
        Literal::Bool(_) => bool_of(value).is_some(),
    };
    match condition {
        Condition::Exists => !value.is_null(),
        Condition::Equals(literal) | Condition::Compare(_, literal) | Condition::Between(literal, _) => to(literal),
        Condition::In(literals) => literals.iter().any(to),
        Condition::Contains(_) | Condition::StartsWith(_) | Condition::EndsWith(_) | Condition::Matches(_) => {
            text_of(value).is_some()
        }
        Condition::AnyPart(..) => text_of(value).is_some(),
        Condition::IgnoringCase(test) => casts(&test.folded, value),
        // Whether a text is a time depends on no zone, but at the ends of the range.
        Condition::Before(_) | Condition::After(_) | Condition::Anniversary { .. } => parse_time_ref(value).is_some(),
    }
}

/// Returns whether a text equals one of these, which are sorted.
fn is_one_of(texts: &[std::sync::Arc<str>], text: &str) -> bool {
    texts.binary_search_by(|known| (**known).cmp(text)).is_ok()
}

/// As [`folded_holds`], of an item of a list, which a part must equal as a whole.
fn folded_item_holds(folded: &Condition, item: ValueRef<'_>) -> bool {
    match folded {
        Condition::Contains(literal) => folded_equals(literal, item),
        Condition::AnyPart(TextPlace::Anywhere, parts) => {
            text_of(item).is_some_and(|text| is_one_of(parts, &fold(&text)))
        }
        folded => folded_holds(folded, item),
    }
}

/// The condition, whose texts are folded, on true, false, a number or a text.
fn folded_holds(folded: &Condition, value: ValueRef<'_>) -> bool {
    match folded {
        Condition::Equals(literal) => folded_equals(literal, value),
        Condition::In(literals) => literals.iter().any(|literal| folded_equals(literal, value)),
        // It ignores case by itself.
        Condition::Matches(pattern) => text_of(value).is_some_and(|text| pattern.is_match(&text)),
        Condition::Contains(literal) if !matches!(literal, Literal::Text(_)) => {
            text_of(value).is_some_and(|text| text.contains(&*literal_text(literal)))
        }
        folded => text_of(value).is_some_and(|text| part_holds(folded, &fold(&text))),
    }
}

fn folded_equals(literal: &Literal, value: ValueRef<'_>) -> bool {
    match literal {
        Literal::Text(literal) => text_of(value).is_some_and(|text| **literal == *fold(&text)),
        literal => equals(literal, value),
    }
}

/// Returns whether a text begins with, ends with or contains what the condition asks for.
fn part_holds(condition: &Condition, text: &str) -> bool {
    match condition {
        Condition::Contains(literal) => text.contains(&*literal_text(literal)),
        Condition::StartsWith(start) => text.starts_with(&**start),
        Condition::EndsWith(end) => text.ends_with(&**end),
        Condition::AnyPart(place, parts) => parts.iter().any(|part| match place {
            TextPlace::Start => text.starts_with(&**part),
            TextPlace::End => text.ends_with(&**part),
            TextPlace::Anywhere => text.contains(&**part),
        }),
        _ => false,
    }
}

fn is_scalar(value: &ValueRef<'_>) -> bool {
    matches!(value, ValueRef::Bool(_) | ValueRef::Number(_) | ValueRef::Text(_))
}

/// The condition on true, false, a number or a text.
fn scalar_holds(condition: &Condition, value: ValueRef<'_>, now: &LocalNow) -> bool {
    match condition {
        Condition::Exists => true,
        Condition::Equals(literal) => equals(literal, value),
        Condition::Compare(comparison, literal) => {
            compare(value, literal).is_some_and(|ordering| comparison.holds(ordering))
        }
        Condition::Between(low, high) => {
            compare(value, low).is_some_and(Ordering::is_ge) && compare(value, high).is_some_and(Ordering::is_le)
        }
        Condition::In(literals) => is_among(literals, value),
        Condition::Matches(pattern) => text_of(value).is_some_and(|text| pattern.is_match(&text)),
        Condition::Contains(_) | Condition::StartsWith(_) | Condition::EndsWith(_) | Condition::AnyPart(..) => {
            text_of(value).is_some_and(|text| part_holds(condition, &text))
        }
        Condition::IgnoringCase(test) => folded_holds(&test.folded, value),
        Condition::Before(moment) => compare_moment(value, *moment, now).is_some_and(Ordering::is_lt),
        Condition::After(moment) => compare_moment(value, *moment, now).is_some_and(Ordering::is_gt),
        Condition::Anniversary { from, to, zone } => {
            let zone = now.zone(*zone);
            parse_time_in(value, zone).is_some_and(|time| {
                let today = zone.day(now.now);
                anniversaries(zone.day(time), today)
                    .any(|day| (i64::from(*from)..=i64::from(*to)).contains(&(day - today)))
            })
        }
    }
}

/// The order of the value's time and a moment; `None` where it is no time.
fn compare_moment(value: ValueRef<'_>, moment: Moment, now: &LocalNow) -> Option<Ordering> {
    let read = |zone: ZoneId| parse_time_in(value, zone);
    Some(match moment {
        Moment::At(at) => read(now.platform)?.cmp(&at),
        Moment::Ago(duration) => read(now.platform)?.cmp(&now.now.saturating_sub(duration)),
        Moment::Written(written, zone) => read(now.zone(zone))?.cmp(&written.instant(now.zone(zone))?),
        Moment::Moved(duration, zone) => {
            let zone = now.zone(zone);
            duration.after(read(zone)?, zone).cmp(&now.now)
        }
    })
}

/// The anniversaries of a day, the day itself being none, in the years around another day, and the first one at least.
pub(crate) fn anniversaries(day: i64, today: i64) -> impl Iterator<Item = i64> {
    let (born, month, day_of_month) = civil_from_days(day);
    let (year, ..) = civil_from_days(today);
    ((year - 2).max(born + 1)..=(year + 2).max(born + 1)).map(move |year| {
        // Of 29 February: the 28th in other years.
        days_from_civil(year, month, day_of_month.min(days_in_month(year, month)))
    })
}

/// Returns whether the value, cast to the literal's type, equals it.
fn equals(literal: &Literal, value: ValueRef<'_>) -> bool {
    match (literal, value) {
        (Literal::Text(literal), ValueRef::Text(text)) => **literal == *text,
        (Literal::Text(literal), value) => text_of(value).is_some_and(|text| **literal == *text),
        (Literal::Number(literal), value) => number_of(value) == Some(*literal),
        (Literal::Bool(literal), value) => bool_of(value) == Some(*literal),
    }
}

/// Compares the value, cast to the literal's type, with it; `None` if it does not cast or has no order.
fn compare(value: ValueRef<'_>, literal: &Literal) -> Option<Ordering> {
    match literal {
        Literal::Text(literal) => text_of(value).map(|text| (*text).cmp(literal)),
        Literal::Number(literal) => number_of(value).map(|number| number.cmp(literal)),
        Literal::Bool(_) => None,
    }
}

/// Returns whether the value equals one of the literals, which are sorted: texts, numbers, booleans.
fn is_among(literals: &[Literal], value: ValueRef<'_>) -> bool {
    const FEW: usize = 8;
    if literals.len() <= FEW {
        return literals.iter().any(|literal| equals(literal, value));
    }
    let as_text = || text_of(value).is_some_and(|text| find(literals, |literal| literal_to_text(literal, &text)));
    let as_number =
        || number_of(value).is_some_and(|number| find(literals, |literal| literal_to_number(literal, number)));
    let as_bool = || bool_of(value).is_some_and(|value| literals.binary_search(&Literal::Bool(value)).is_ok());
    as_text() || as_number() || as_bool()
}

fn find(literals: &[Literal], order: impl FnMut(&Literal) -> Ordering) -> bool {
    literals.binary_search_by(order).is_ok()
}

fn literal_to_text(literal: &Literal, text: &str) -> Ordering {
    match literal {
        Literal::Text(literal) => (**literal).cmp(text),
        Literal::Number(_) | Literal::Bool(_) => Ordering::Greater,
    }
}

fn literal_to_number(literal: &Literal, number: Decimal) -> Ordering {
    match literal {
        Literal::Text(_) => Ordering::Less,
        Literal::Number(literal) => literal.cmp(&number),
        Literal::Bool(_) => Ordering::Greater,
    }
}

/// The condition on an average; it is a number, compared unrounded, so only numbers can be equal to it.
fn ratio_holds(condition: &Condition, sum: Decimal, count: u64) -> bool {
    let to = |literal: &Literal| match literal {
        Literal::Number(number) => Some(compare_ratio(sum.units(), count, number.units())),
        Literal::Text(_) | Literal::Bool(_) => None,
    };
    match condition {
        Condition::Exists => true,
        Condition::Equals(literal) => to(literal).is_some_and(Ordering::is_eq),
        Condition::Compare(comparison, literal) => to(literal).is_some_and(|ordering| comparison.holds(ordering)),
        Condition::Between(low, high) => to(low).is_some_and(Ordering::is_ge) && to(high).is_some_and(Ordering::is_le),
        Condition::In(literals) => literals.iter().any(|literal| to(literal).is_some_and(Ordering::is_eq)),
        _ => false,
    }
}

/// Compares `sum_units / count` with `to_units`, exactly.
pub fn compare_ratio(sum_units: i128, count: u64, to_units: i128) -> Ordering {
    // The floor and the remainder decide, so nothing is multiplied and nothing overflows.
    let count = i128::from(count.max(1));
    let (floor, rest) = (sum_units.div_euclid(count), sum_units.rem_euclid(count));
    floor.cmp(&to_units).then(rest.cmp(&0))
}

/// The value as a number: a number, or the text of one.
pub fn number_of(value: ValueRef<'_>) -> Option<Decimal> {
    match value {
        ValueRef::Number(number) => Some(number),
        ValueRef::Text(text) => Decimal::parse(text).ok(),
        _ => None,
    }
}

/// The value as text: a text, a number's shortest text, `true` or `false`.
pub fn text_of(value: ValueRef<'_>) -> Option<Cow<'_, str>> {
    match value {
        ValueRef::Text(text) => Some(Cow::Borrowed(text)),
        ValueRef::Number(number) => Some(Cow::Owned(number.to_string())),
        ValueRef::Bool(value) => Some(Cow::Borrowed(bool_text(value))),
        _ => None,
    }
}

fn bool_of(value: ValueRef<'_>) -> Option<bool> {
    match value {
        ValueRef::Bool(value) => Some(value),
        ValueRef::Text("true") => Some(true),
        ValueRef::Text("false") => Some(false),
        _ => None,
    }
}

fn bool_text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn literal_text(literal: &Literal) -> Cow<'_, str> {
    match literal {
        Literal::Text(text) => Cow::Borrowed(text),
        Literal::Number(number) => Cow::Owned(number.to_string()),
        Literal::Bool(value) => Cow::Borrowed(bool_text(*value)),
    }
}

/// The value at a path; `None` where it is absent or null.
pub fn event_value<'a>(path: &EventPath, event: &EventRef<'a>) -> Option<ValueRef<'a>> {
    value_in(path, event, None)
}

/// [`event_value`] where an object of a list of the event counts.
pub fn value_in<'a>(path: &EventPath, event: &EventRef<'a>, item: Option<ValueRef<'a>>) -> Option<ValueRef<'a>> {
    let value = match path {
        EventPath::Properties(keys) => event.properties().path(keys)?,
        EventPath::Context(keys) => event.context().path(keys)?,
        EventPath::Timestamp => ValueRef::Number(Decimal::from_integer(event.timestamp())),
        EventPath::Traits(keys) => ValueRef::Object(event.traits()).path(keys)?,
        EventPath::Item(keys) => item?.path(keys)?,
        EventPath::First(choice) => {
            let value = choice.paths.iter().find_map(|path| value_in(path, event, item))?;
            let is_minus = choice.minus.iter().any(|name| **name == *event.event_type());
            if is_minus { ValueRef::Number(Decimal::from_units(-number_of(value)?.units())) } else { value }
        }
    };
    (!value.is_null()).then_some(value)
}

/// Returns whether the filter holds for the event at an instant, which matters only where it asks for times.
pub fn filter_holds(filter: &Filter, event: &EventRef<'_>, now: impl Into<LocalNow>) -> bool {
    filter_holds_in(filter, event, None, &now.into())
}

/// [`filter_holds`] where an object of a list of the event counts.
pub fn filter_holds_in(filter: &Filter, event: &EventRef<'_>, item: Option<ValueRef<'_>>, now: &LocalNow) -> bool {
    let holds = |filter: &Filter| filter_holds_in(filter, event, item, now);
    match filter {
        Filter::Test(path, test) => test.holds(value_in(path, event, item).into(), *now),
        Filter::Group(Logic::And, filters) => filters.iter().all(holds),
        Filter::Group(Logic::Or, filters) => filters.iter().any(holds),
        Filter::Group(Logic::Not, filters) => !filters.iter().any(holds),
    }
}

/// Returns whether the filter's answer for an event may change by time alone.
pub fn filter_is_relative(filter: &Filter) -> bool {
    match filter {
        Filter::Test(_, test) => test.is_relative(),
        Filter::Group(_, filters) => filters.iter().any(filter_is_relative),
    }
}

#[cfg(test)]
mod tests;

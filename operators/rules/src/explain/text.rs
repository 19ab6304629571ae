//! Nodes in a short line for people, and values as they are shown.

use crate::ast::{
    Behaviour, Compare, Comparison, Condition, Cut, EventPath, EventTypes, Filter, Function, Literal, Logic,
    Measurable, Measure, Millis, Moment, Rank, Sample, Sequence, Test, TextPlace, Window, Zone,
};
use crate::catalogue::Catalogue;
use crate::decimal::{Decimal, UNITS_PER_ONE};
use crate::parse::LiteralKind;
use crate::test::{Operand, text_of};
use crate::time::{Duration, WrittenTime, format_date, format_duration, format_local, format_time, parse_time_ref};
use crate::unparse::{path_text, unit_name, units_name};
use crate::value::{Value, ValueRef};

use super::RankPlace;

/// Values of a list and filters that are written out, at most.
const MOST_WRITTEN: usize = 5;
/// Letters of a text that are written out, at most.
const MOST_LETTERS: usize = 60;

/// The format in which a value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueFormat {
    AsIs,
    /// A number of milliseconds.
    Duration,
    /// A number of milliseconds since 1970.
    Time,
    Number,
}

impl ValueFormat {
    /// As the values of this measure are.
    pub(super) fn of(behaviour: &Behaviour) -> Self {
        match &behaviour.measure {
            Measure::SinceFirst | Measure::SinceLast => ValueFormat::Duration,
            Measure::Of(Function::First | Function::Last, EventPath::Timestamp) => ValueFormat::Time,
            measure if measure.is_number() => ValueFormat::Number,
            _ => ValueFormat::AsIs,
        }
    }

    pub(super) fn takes(self) -> LiteralKind {
        match self {
            ValueFormat::Duration => LiteralKind::Durations,
            ValueFormat::Number => LiteralKind::Numbers,
            ValueFormat::AsIs | ValueFormat::Time => LiteralKind::Anything,
        }
    }
}

/// The value as it is shown; `None` where it is missing. Averages are rounded down.
pub(super) fn value_of(operand: Operand<'_>, shown: ValueFormat) -> Option<Value> {
    let number = match operand {
        Operand::Missing | Operand::Value(ValueRef::Null) => return None,
        Operand::Value(value) if shown == ValueFormat::Time => {
            return Some(parse_time_ref(value).map_or_else(|| value.to_value(), |time| text(&format_time(time))));
        }
        Operand::Value(value) => return Some(value.to_value()),
        Operand::Number(number) => number,
        Operand::Ratio { sum, count } => Decimal::from_units(sum.units().div_euclid(i128::from(count.max(1)))),
    };
    let whole = Millis::try_from(number.units() / UNITS_PER_ONE).unwrap_or(Millis::MAX);
    Some(if shown == ValueFormat::Duration { text(&rough_duration(whole)) } else { Value::Number(number) })
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// The two greatest units of a duration: `12d 3h`.
fn rough_duration(millis: Millis) -> String {
    const UNITS: [(Millis, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let Some(first) = UNITS.iter().position(|(unit, _)| millis >= *unit) else { return format!("{millis}ms") };
    let mut rest = millis;
    let mut words = Vec::new();
    for (unit, name) in UNITS.iter().skip(first).take(2) {
        if rest >= *unit {
            words.push(format!("{}{name}", rest / unit));
        }
        rest %= unit;
    }
    words.join(" ")
}

pub(super) fn group(logic: Logic, count: usize) -> String {
    match (logic, count) {
        (Logic::And, 1) => "this holds".into(),
        (Logic::And, count) => format!("all {count} hold"),
        (Logic::Or, count) => format!("any of {count} holds"),
        (Logic::Not, 1) => "this does not hold".into(),
        (Logic::Not, count) => format!("none of {count} holds"),
    }
}

pub(super) fn behaviour_test(behaviour: &Behaviour, test: &Test) -> String {
    format!("{} {}", measured(behaviour), tested(test, ValueFormat::of(behaviour)))
}

pub(super) fn field_test(field: &str, computed: Option<&Behaviour>, test: &Test) -> String {
    format!("{} {}", short(field), tested(test, computed.map_or(ValueFormat::AsIs, ValueFormat::of)))
}

pub(super) fn reference(segment: &str, is_active: bool) -> String {
    let segment = short(segment);
    if is_active { format!("in segment {segment}") } else { format!("in segment {segment}, which is not active") }
}

pub(super) fn sample(sample: &Sample) -> String {
    format!("random share {} to {} of 0 to 9999, salt {}", sample.from, sample.to, quoted(&sample.salt))
}

pub(super) fn sequence(sequence: &Sequence) -> String {
    let steps: Vec<String> = sequence
        .steps
        .iter()
        .map(|step| {
            let gap = step.max_gap.map_or_else(String::new, |gap| format!(" within {}", words_of(gap)));
            let not = if step.absent { "no " } else { "" };
            format!("{not}{}{}{gap}", events(&step.events), filtered(step.filter.as_ref()))
        })
        .collect();
    let lasting = sequence.lasting.map_or_else(String::new, |lasting| format!(" for {}", words_of(lasting)));
    let same: Vec<String> = sequence.same.iter().map(|path| short(&path_text(path))).collect();
    let same = if same.is_empty() { String::new() } else { format!(" with the same {}", same.join(" and ")) };
    format!("{}{lasting}{same}{}", steps.join(", then "), windowed(sequence.window))
}

pub(super) fn comparison(compare: &Compare) -> String {
    let side = |side: &Measurable| match side {
        Measurable::Field(field) => short(field),
        Measurable::Behaviour(behaviour) => measured(behaviour),
    };
    let sign = match compare.comparison {
        None if compare.negated => "≠",
        None => "=",
        Some(Comparison::Greater) => ">",
        Some(Comparison::GreaterOrEqual) => "≥",
        Some(Comparison::Less) => "<",
        Some(Comparison::LessOrEqual) => "≤",
    };
    format!("{} {sign} {}", side(&compare.left), side(&compare.right))
}

pub(super) fn rank(rank: &Rank, place: Option<RankPlace>, catalogue: &Catalogue) -> String {
    let by = match &rank.by {
        Measurable::Field(field) => short(field),
        Measurable::Behaviour(behaviour) => measured(behaviour),
    };
    let first = match rank.cut {
        Cut::Top(count) => format!("{count}"),
        Cut::Percent(percent) => format!("{percent}%"),
    };
    let is_age = match &rank.by {
        Measurable::Field(field) => catalogue
            .traits
            .get(field)
            .is_some_and(|computed| ValueFormat::of(&computed.behaviour) == ValueFormat::Duration),
        Measurable::Behaviour(behaviour) => ValueFormat::of(behaviour) == ValueFormat::Duration,
    };
    let end = match (rank.descending, is_age) {
        (true, false) => "highest",
        (false, false) => "lowest",
        (true, true) => "longest",
        (false, true) => "shortest",
    };
    let among = if rank.among.is_some() { " among those below" } else { "" };
    let place = match place {
        None => String::new(),
        Some(RankPlace { place: Some(place), ranked, .. }) => format!("; place {place} of {ranked}"),
        Some(RankPlace { place: None, ranked, .. }) => format!("; not among the {ranked} ranked"),
    };
    format!("among the {first} with the {end} {by}{among}{place}")
}

fn measured(behaviour: &Behaviour) -> String {
    let mut of = events(&behaviour.events);
    if let Some(keys) = &behaviour.each {
        of = format!("each of {} in {of}", short(&keys.join(".")));
    }
    let what = match &behaviour.measure {
        Measure::Count => format!("{of} count"),
        Measure::Days => format!("days with {of}"),
        Measure::Units(unit, zone) => format!("{} with {of}{}", units_name(*unit), zoned(*zone)),
        Measure::Sessions(gap) => format!("sessions of {of} with pauses of at most {}", words_of(*gap)),
        Measure::SinceFirst => format!("time since the first {of}"),
        Measure::SinceLast => format!("time since the last {of}"),
        Measure::Of(function, path) => function_text(*function, std::slice::from_ref(path), &of),
        Measure::OfProduct(function, paths) => function_text(*function, paths, &of),
        Measure::Nth(Function::First, paths, nth) => format!("{} of {of} number {nth}", product_text(paths)),
        Measure::Nth(_, paths, nth) => format!("{} of {of} number {nth} from the end", product_text(paths)),
    };
    let undone = behaviour.unless.as_ref().map_or_else(String::new, |unless| {
        let by = format!("{}{}", events(&unless.events), filtered(unless.filter.as_ref()));
        format!(" unless {by} has the same {}", short(&path_text(&unless.other)))
    });
    format!("{what}{}{}{undone}", filtered(behaviour.filter.as_ref()), windowed(behaviour.window))
}

fn product_text(paths: &[EventPath]) -> String {
    let one = |path: &EventPath| match path {
        EventPath::Timestamp => "time".to_owned(),
        EventPath::First(choice) => {
            choice.paths.iter().map(|path| short(&path_text(path))).collect::<Vec<_>>().join(" or ")
        }
        path => short(&path_text(path)),
    };
    paths.iter().map(one).collect::<Vec<_>>().join(" × ")
}

fn function_text(function: Function, paths: &[EventPath], of: &str) -> String {
    let path = product_text(paths);
    match function {
        Function::Sum => format!("total {path} of {of}"),
        Function::Avg => format!("average {path} of {of}"),
        Function::Min => format!("least {path} of {of}"),
        Function::Max => format!("greatest {path} of {of}"),
        Function::Distinct => format!("different {path} of {of}"),
        Function::First => format!("{path} of the first {of}"),
        Function::Last => format!("{path} of the last {of}"),
        Function::Median => format!("median {path} of {of}"),
        Function::Mode => format!("most frequent {path} of {of}"),
    }
}

fn zoned(zone: Zone) -> String {
    match zone {
        Zone::Platform => String::new(),
        Zone::User => " in their own time zone".into(),
        Zone::Named(zone) => format!(" in {}", zone.name()),
    }
}

fn written(time: WrittenTime) -> String {
    match time {
        WrittenTime::Instant(instant) => format_time(instant),
        WrittenTime::Local(local) => format_local(local).replace('T', " "),
        WrittenTime::Date(local) => format_date(local),
    }
}

fn events(events: &EventTypes) -> String {
    match events {
        EventTypes::Any => "any event".into(),
        EventTypes::Named(names) => {
            let written: Vec<String> = names.iter().take(MOST_WRITTEN).map(|name| short(name)).collect();
            let more = if names.len() > MOST_WRITTEN { " or others" } else { "" };
            format!("{}{more}", written.join(" or "))
        }
    }
}

fn windowed(window: Option<Window>) -> String {
    match window {
        None => String::new(),
        Some(Window::Last(duration)) => format!(" in the last {}", words_of(duration)),
        Some(Window::Ago { from, to }) => format!(" from {} to {} ago", words_of(from), words_of(to)),
        Some(Window::Fixed { from, to }) => {
            let from = from.map_or_else(String::new, |from| format!(" from {}", format_time(from)));
            let to = to.map_or_else(String::new, |to| format!(" until {}", format_time(to)));
            format!("{from}{to}")
        }
        Some(Window::Span { from, to: Duration::ZERO, zone }) => {
            format!(" in the last {}{}", span_words(from), zoned(zone))
        }
        Some(Window::Span { from, to, zone }) => {
            format!(" from {} to {} ago{}", span_words(from), span_words(to), zoned(zone))
        }
        Some(Window::Calendar { unit, from, to, zone }) => {
            let name = unit_name(unit);
            let back = |units: u16| match units {
                0 => format!("this {name}"),
                1 => format!("the {name} before"),
                units => format!("{units} {name}s before"),
            };
            let span = if from == to { back(from) } else { format!("from {} to {}", back(from), back(to)) };
            format!(" in {span}{}", zoned(zone)).replace(" in from", " from")
        }
        Some(Window::Written { from, to, zone }) => {
            let from = from.map_or_else(String::new, |from| format!(" from {}", written(from)));
            let to = to.map_or_else(String::new, |to| format!(" until {}", written(to)));
            format!("{from}{to}{}", zoned(zone))
        }
    }
}

fn span_words(duration: Duration) -> String {
    match duration {
        Duration::Millis(millis) => words_of(millis),
        Duration::Months(1) => "1 month".into(),
        Duration::Months(12) => "1 year".into(),
        Duration::Months(months) if months % 12 == 0 => format!("{} years", months / 12),
        Duration::Months(months) => format!("{months} months"),
    }
}

fn words_of(duration: Millis) -> String {
    let short = format_duration(duration);
    let (count, unit) = short.split_at(short.len().saturating_sub(1));
    let name = match unit {
        "w" => "week",
        "d" => "day",
        "h" => "hour",
        "m" => "minute",
        _ => "second",
    };
    if count == "1" { format!("1 {name}") } else { format!("{count} {name}s") }
}

fn filtered(filter: Option<&Filter>) -> String {
    filter.map_or_else(String::new, |filter| format!(" where {}", filter_text(filter, 0)))
}

fn filter_text(filter: &Filter, level: usize) -> String {
    let (logic, filters) = match filter {
        Filter::Test(EventPath::Timestamp, test) => return format!("time {}", tested(test, ValueFormat::Time)),
        Filter::Test(path, test) => return format!("{} {}", short(&path_text(path)), tested(test, ValueFormat::AsIs)),
        Filter::Group(logic, filters) => (*logic, filters),
    };
    if level > 1 {
        return "(…)".into();
    }
    let mut written: Vec<String> =
        filters.iter().take(MOST_WRITTEN).map(|filter| filter_text(filter, level + 1)).collect();
    if filters.len() > MOST_WRITTEN {
        written.push("…".into());
    }
    let joined = written.join(if logic == Logic::And { " and " } else { " or " });
    match logic {
        Logic::Not => format!("not ({joined})"),
        _ if level > 0 && filters.len() > 1 => format!("({joined})"),
        _ => joined,
    }
}

fn tested(test: &Test, shown: ValueFormat) -> String {
    let literal = |literal: &Literal| literal_text(literal, shown);
    let not = if test.negated { "not " } else { "" };
    match &test.condition {
        Condition::Equals(value) => format!("{} {}", if test.negated { "≠" } else { "=" }, literal(value)),
        Condition::Compare(comparison, value) => {
            let sign = match comparison {
                Comparison::Greater => ">",
                Comparison::GreaterOrEqual => "≥",
                Comparison::Less => "<",
                Comparison::LessOrEqual => "≤",
            };
            format!("{not}{sign} {}", literal(value))
        }
        Condition::Between(low, high) => format!("{not}between {} and {}", literal(low), literal(high)),
        Condition::In(list) => {
            let mut written: Vec<String> = list.iter().take(MOST_WRITTEN).map(literal).collect();
            if list.len() > MOST_WRITTEN {
                written.push("…".into());
            }
            format!("{not}one of {}", written.join(", "))
        }
        Condition::Contains(value) if test.negated => format!("does not contain {}", literal(value)),
        Condition::Contains(value) => format!("contains {}", literal(value)),
        Condition::StartsWith(start) => format!("{not}starting with {}", quoted(start)),
        Condition::EndsWith(end) => format!("{not}ending with {}", quoted(end)),
        Condition::Matches(pattern) => format!("{not}matching {}", quoted(pattern.source())),
        Condition::Exists => if test.negated { "does not exist" } else { "exists" }.into(),
        Condition::AnyPart(place, parts) => {
            let verb = match place {
                TextPlace::Start => "starting with",
                TextPlace::End => "ending with",
                TextPlace::Anywhere => "containing",
            };
            let mut written: Vec<String> = parts.iter().take(MOST_WRITTEN).map(|part| quoted(part)).collect();
            if parts.len() > MOST_WRITTEN {
                written.push("…".into());
            }
            format!("{not}{verb} {}", written.join(" or "))
        }
        Condition::IgnoringCase(inner) => {
            let written = Test { negated: test.negated, condition: inner.written.clone() };
            format!("{} in any case", tested(&written, shown))
        }
        Condition::Before(moment) => format!("{not}before {}", moment_text(*moment)),
        Condition::After(moment) => format!("{not}after {}", moment_text(*moment)),
        Condition::Anniversary { from: 0, to: 0, zone } => format!("{not}with an anniversary today{}", zoned(*zone)),
        Condition::Anniversary { from, to, zone } => {
            format!("{not}with an anniversary from {from:+} to {to:+} days from today{}", zoned(*zone))
        }
    }
}

fn moment_text(moment: Moment) -> String {
    match moment {
        Moment::At(at) => format_time(at),
        Moment::Ago(duration) => distance_words(Duration::Millis(duration)),
        Moment::Written(time, zone) => format!("{}{}", written(time), zoned(zone)),
        Moment::Moved(duration, zone) => format!("{}{}", distance_words(duration), zoned(zone)),
    }
}

fn distance_words(duration: Duration) -> String {
    match duration {
        Duration::ZERO => "now".into(),
        Duration::Millis(millis) if millis < 0 => format!("{} from now", words_of(-millis)),
        Duration::Months(months) if months < 0 => format!("{} from now", span_words(Duration::Months(-months))),
        duration => format!("{} ago", span_words(duration)),
    }
}

fn literal_text(literal: &Literal, shown: ValueFormat) -> String {
    match literal {
        Literal::Text(text) => quoted(text),
        Literal::Bool(value) => value.to_string(),
        Literal::Number(number) if shown == ValueFormat::Duration => {
            words_of(Millis::try_from(number.units() / UNITS_PER_ONE).unwrap_or(Millis::MAX))
        }
        Literal::Number(number) => text_of(ValueRef::Number(*number)).unwrap_or_default().into_owned(),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", short(text))
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MOST_LETTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

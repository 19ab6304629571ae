//! Measures: what is kept of each user, and which events feed it.

use std::sync::Arc;

use audience_rules::ast::{
    Behaviour, Condition, EventPath, EventTypes, Filter, Function, Literal, Logic, Measure, Millis, Window,
};
use audience_rules::decimal::Decimal;
use audience_rules::record::EventRef;
use audience_rules::test::{event_value, filter_is_relative, number_of, text_of};
use audience_rules::value::ValueRef;
use audience_rules::zone::ZoneId;
use hashbrown::HashMap;

use crate::local_span::{LocalSpan, by_local_units};
use crate::program::MeasureKey;
use crate::question::{SharedRecord, UserQuestion};
use crate::reading::Reading;

/// The type of the events that set traits.
const IDENTIFY: &str = "identify";

/// A measure's number within one worker.
pub(crate) type MeasureId = u32;

/// A function over the events that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// The number of events.
    Count,
    /// Exact sum.
    Sum,
    /// Exact sum and count.
    Average,
    /// Least number.
    Min,
    /// Greatest number.
    Max,
    /// Distinct values.
    Distinct,
    /// Distinct UTC days.
    Days,
    /// Value of the earliest.
    First,
    /// Value of the latest.
    Last,
    /// Timestamp of the earliest.
    FirstInstant,
    /// Timestamp of the latest.
    LastInstant,
    /// Timestamp of the earliest, read as the duration to now.
    SinceFirst,
    /// Timestamp of the latest, read as the duration to now.
    SinceLast,
}

/// The span of time in which an event counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// An event counts for ever once its time has come.
    Lasting,
    /// Only events with a timestamp in [from, to] count.
    Fixed(Millis, Millis),
    /// An event counts from `enter` after its timestamp until before `leave` after it.
    Sliding {
        /// Milliseconds after the timestamp.
        enter: Millis,
        /// Milliseconds after the timestamp.
        leave: Millis,
    },
    /// Whole local units in one zone.
    Local(LocalSpan),
}

impl Span {
    /// `None` for a window that only a question is about.
    fn of(window: Option<Window>) -> Option<Span> {
        Some(match window {
            None => Span::Lasting,
            Some(Window::Last(duration)) => Span::Sliding { enter: 0, leave: duration },
            Some(Window::Ago { from, to }) => Span::Sliding { enter: to, leave: from },
            Some(Window::Fixed { from, to }) => Span::Fixed(from.unwrap_or(Millis::MIN), to.unwrap_or(Millis::MAX)),
            Some(window @ Window::Calendar { .. }) => Span::Local(LocalSpan::of(window)?),
            Some(Window::Span { .. } | Window::Written { .. }) => return None,
        })
    }

    /// Returns the span in which an event of that timestamp counts: from the first instant until before the second.
    pub fn of_event(self, timestamp: Millis) -> Option<(Millis, Millis)> {
        match self {
            Span::Lasting => Some((timestamp, Millis::MAX)),
            Span::Fixed(from, to) => (from <= timestamp && timestamp <= to).then_some((timestamp, Millis::MAX)),
            Span::Sliding { enter, leave } => Some((timestamp + enter, timestamp + leave)),
            Span::Local(span) => Some(span.of_event(timestamp)),
        }
    }

    /// Returns whether events leave it by time alone.
    pub(crate) fn is_sliding(self) -> bool {
        matches!(self, Span::Sliding { .. } | Span::Local(_))
    }

    /// The first instant at which an event of that timestamp counts, if ever.
    pub(crate) fn enters(self, timestamp: Millis) -> Millis {
        self.of_event(timestamp).map_or(Millis::MAX, |(enter, _)| enter)
    }

    /// The first instant at which it does no longer.
    pub(crate) fn leaves(self, timestamp: Millis) -> Millis {
        self.of_event(timestamp).map_or(Millis::MIN, |(_, leave)| leave)
    }
}

/// A measure, made ready to be fed.
#[derive(Clone, Debug)]
pub enum MeasureKind {
    /// An `identify` trait: its path.
    Trait(Vec<Arc<str>>),
    /// A behaviour.
    Behaviour {
        /// The function over the events.
        aggregate: Aggregate,
        /// The path of the value, for aggregates of values.
        path: Option<EventPath>,
        /// The events that count.
        filter: Option<Filter>,
        /// The span in which they count.
        span: Span,
        /// True if the filter itself depends on now.
        relative: bool,
    },
    /// A sequence.
    Sequence {
        /// The steps and the window.
        sequence: Arc<audience_rules::ast::Sequence>,
        /// The span in which events count.
        span: Span,
        /// True if a step's filter depends on now.
        relative: bool,
    },
    /// A question, whose answer is the reading.
    Asked(Arc<UserQuestion>),
}

impl MeasureKind {
    /// The kind of a key.
    pub fn of(key: &MeasureKey) -> MeasureKind {
        match key {
            MeasureKey::Trait(path) => MeasureKind::Trait(path.clone()),
            MeasureKey::Behaviour(behaviour) => {
                let asked = || MeasureKind::Asked(Arc::new(UserQuestion::value_in_utc(behaviour)));
                behaviour_kind(behaviour).unwrap_or_else(asked)
            }
            MeasureKey::Sequence(sequence) => MeasureKind::Sequence {
                span: Span::of(sequence.window).unwrap_or(Span::Lasting),
                relative: sequence.steps.iter().any(|step| step.filter.as_ref().is_some_and(filter_is_relative)),
                sequence: sequence.clone(),
            },
            MeasureKey::Asked(question) => MeasureKind::Asked(question.clone()),
        }
    }

    /// Returns the reading for a user without a cell.
    pub fn default_reading(&self) -> Reading {
        match self {
            MeasureKind::Sequence { .. } => Reading::Held(false),
            MeasureKind::Asked(question) => question.default_answer(),
            MeasureKind::Behaviour {
                aggregate: Aggregate::Count | Aggregate::Sum | Aggregate::Distinct | Aggregate::Days,
                ..
            } => Reading::Number(Decimal::ZERO),
            MeasureKind::Behaviour { .. } | MeasureKind::Trait(_) => Reading::Missing,
        }
    }

    /// Returns whether readings are durations to now.
    pub fn is_since(&self) -> bool {
        match self {
            MeasureKind::Behaviour { aggregate, .. } => {
                matches!(aggregate, Aggregate::SinceFirst | Aggregate::SinceLast)
            }
            MeasureKind::Asked(question) => question.is_age(),
            MeasureKind::Trait(_) | MeasureKind::Sequence { .. } => false,
        }
    }
}

/// `None` for what only a question is about.
fn behaviour_kind(behaviour: &Behaviour) -> Option<MeasureKind> {
    if !behaviour.is_plain() && by_local_units(behaviour, ZoneId::UTC).is_none() {
        return None;
    }
    let (aggregate, path) = match &behaviour.measure {
        Measure::Count => (Aggregate::Count, None),
        Measure::Days => (Aggregate::Days, None),
        Measure::SinceFirst => (Aggregate::SinceFirst, None),
        Measure::SinceLast => (Aggregate::SinceLast, None),
        Measure::Of(Function::First | Function::Min, EventPath::Timestamp) => (Aggregate::FirstInstant, None),
        Measure::Of(Function::Last | Function::Max, EventPath::Timestamp) => (Aggregate::LastInstant, None),
        Measure::Of(function, path) => {
            let aggregate = match function {
                Function::Sum => Aggregate::Sum,
                Function::Avg => Aggregate::Average,
                Function::Min => Aggregate::Min,
                Function::Max => Aggregate::Max,
                Function::Distinct => Aggregate::Distinct,
                Function::First => Aggregate::First,
                Function::Last => Aggregate::Last,
                Function::Median | Function::Mode => return None,
            };
            (aggregate, Some(path.clone()))
        }
        _ => return None,
    };
    let relative = behaviour.filter.as_ref().is_some_and(filter_is_relative);
    let span = Span::of(behaviour.window)?;
    Some(MeasureKind::Behaviour { aggregate, path, filter: behaviour.filter.clone(), span, relative })
}

/// An event about to be applied to a cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AppliedEvent<'a> {
    /// The event.
    pub event: &'a EventRef<'a>,
    /// Its record, if a question keeps it.
    pub record: &'a SharedRecord,
    /// The clock.
    pub now: Millis,
}

/// The contribution of an event to an aggregate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Contribution<'a> {
    /// The occurrence of the event.
    Occurrence,
    /// A number.
    Number(Decimal),
    /// A value, told apart by a 128-bit hash of its canonical form.
    Fingerprint(u128),
    /// A value.
    Value(ValueRef<'a>),
}

/// Returns the event's contribution; `None` if the value is missing.
pub(crate) fn contribution<'a>(
    aggregate: Aggregate,
    path: Option<&EventPath>,
    event: &EventRef<'a>,
) -> Option<Contribution<'a>> {
    let Some(path) = path else { return Some(Contribution::Occurrence) };
    let value = event_value(path, event)?;
    match aggregate {
        Aggregate::Sum | Aggregate::Average | Aggregate::Min | Aggregate::Max => {
            number_of(value).map(Contribution::Number)
        }
        Aggregate::Distinct => Some(Contribution::Fingerprint(fingerprint(value))),
        _ => Some(Contribution::Value(value)),
    }
}

/// A 128-bit hash of a value's canonical form: objects sorted by key, numbers as decimals.
fn fingerprint(value: ValueRef<'_>) -> u128 {
    let mut bytes = Vec::with_capacity(32);
    value.to_value().encode(&mut bytes);
    xxhash_rust::xxh3::xxh3_128(&bytes)
}

/// Measures by the text that they want.
type ByText = HashMap<Arc<str>, Vec<MeasureId>>;

/// The measures that events of one type may feed.
#[derive(Default)]
struct TypeListeners {
    /// Those to be asked for every event.
    all: Vec<MeasureId>,
    /// Those that want a certain text at a path: asked only when it is there.
    keyed: Vec<(EventPath, ByText)>,
}

impl TypeListeners {
    fn add(&mut self, measure: MeasureId, filter: Option<&Filter>) {
        let Some((path, text)) = filter.and_then(wanted_text) else { return self.all.push(measure) };
        let at = self.keyed.iter().position(|(known, _)| known == path).unwrap_or_else(|| {
            self.keyed.push((path.clone(), HashMap::new()));
            self.keyed.len() - 1
        });
        self.keyed[at].1.entry(text.clone()).or_default().push(measure);
    }

    fn remove(&mut self, measure: MeasureId) {
        self.all.retain(|known| *known != measure);
        for (_, by_text) in &mut self.keyed {
            by_text.retain(|_, measures| {
                measures.retain(|known| *known != measure);
                !measures.is_empty()
            });
        }
        self.keyed.retain(|(_, by_text)| !by_text.is_empty());
    }

    fn candidates(&self, event: &EventRef<'_>, out: &mut Vec<MeasureId>) {
        out.extend_from_slice(&self.all);
        for (path, by_text) in &self.keyed {
            match event_value(path, event) {
                Some(ValueRef::Text(text)) => out.extend(by_text.get(text).into_iter().flatten()),
                Some(ValueRef::Array(items)) => {
                    let from = out.len();
                    for item in items {
                        if let Some(text) = text_of(item) {
                            out.extend(by_text.get(&*text).into_iter().flatten());
                        }
                    }
                    out[from..].sort_unstable();
                    let mut kept = from;
                    for at in from..out.len() {
                        if kept == from || out[kept - 1] != out[at] {
                            out[kept] = out[at];
                            kept += 1;
                        }
                    }
                    out.truncate(kept);
                }
                Some(value) => {
                    if let Some(text) = text_of(value) {
                        out.extend(by_text.get(&*text).into_iter().flatten());
                    }
                }
                None => {}
            }
        }
    }
}

/// The path and text without which the filter cannot hold, where there is such a pair.
fn wanted_text(filter: &Filter) -> Option<(&EventPath, &Arc<str>)> {
    match filter {
        Filter::Test(path, test) => match &test.condition {
            Condition::Equals(Literal::Text(text)) if !test.negated => Some((path, text)),
            _ => None,
        },
        Filter::Group(Logic::And, parts) => parts.iter().find_map(wanted_text),
        Filter::Group(..) => None,
    }
}

/// The measures that an event may feed.
#[derive(Default)]
pub struct Listeners {
    any: TypeListeners,
    named: HashMap<Arc<str>, TypeListeners>,
    traits: HashMap<Arc<str>, Vec<MeasureId>>,
}

impl Listeners {
    /// Adds a measure.
    pub fn add(&mut self, measure: MeasureId, key: &MeasureKey) {
        match key {
            MeasureKey::Trait(path) => {
                self.traits.entry(path[0].clone()).or_default().push(measure);
                if path.len() > 1 {
                    // A trait's name may have dots itself.
                    self.traits.entry(path.join(".").into()).or_default().push(measure);
                }
            }
            MeasureKey::Asked(question) => self.add_question(measure, question),
            MeasureKey::Behaviour(behaviour) => self.add_to(&behaviour.events, measure, behaviour.filter.as_ref()),
            MeasureKey::Sequence(sequence) => {
                if sequence.steps.iter().any(|step| step.events == EventTypes::Any) {
                    return self.any.add(measure, None);
                }
                let mut names: Vec<&Arc<str>> = sequence.steps.iter().flat_map(|step| names(&step.events)).collect();
                names.sort_unstable();
                names.dedup();
                for name in names {
                    self.named.entry(name.clone()).or_default().add(measure, None);
                }
            }
        }
    }

    fn add_question(&mut self, measure: MeasureId, question: &UserQuestion) {
        let Some(mut names) = question.event_types() else { return self.any.add(measure, None) };
        let identify: Arc<str> = IDENTIFY.into();
        if !question.traits().is_empty() && !names.contains(&&identify) {
            names.push(&identify);
        }
        for name in names {
            self.named.entry(name.clone()).or_default().add(measure, None);
        }
    }

    fn add_to(&mut self, events: &EventTypes, measure: MeasureId, filter: Option<&Filter>) {
        match events {
            EventTypes::Any => self.any.add(measure, filter),
            EventTypes::Named(names) => {
                for name in names {
                    self.named.entry(name.clone()).or_default().add(measure, filter);
                }
            }
        }
    }

    /// Removes a measure.
    pub fn remove(&mut self, measure: MeasureId) {
        self.any.remove(measure);
        self.named.values_mut().for_each(|listeners| listeners.remove(measure));
        self.traits.retain(|_, measures| {
            measures.retain(|known| *known != measure);
            !measures.is_empty()
        });
    }

    /// Collects the measures that the event may feed as an event; each once.
    pub fn of_event(&self, event: &EventRef<'_>, out: &mut Vec<MeasureId>) {
        self.any.candidates(event, out);
        if let Some(listeners) = self.named.get(event.event_type()) {
            listeners.candidates(event, out);
        }
    }

    /// The measures of the trait of that name.
    pub fn of_trait(&self, name: &str) -> &[MeasureId] {
        self.traits.get(name).map_or(&[], Vec::as_slice)
    }
}

fn names(events: &EventTypes) -> &[Arc<str>] {
    match events {
        EventTypes::Any => &[],
        EventTypes::Named(names) => names,
    }
}

impl MeasureKind {
    /// Returns whether every reading is a number, and every test of it one of numbers.
    pub fn is_plain_number(&self) -> bool {
        matches!(
            self,
            MeasureKind::Behaviour {
                aggregate: Aggregate::Count
                    | Aggregate::Sum
                    | Aggregate::Average
                    | Aggregate::Min
                    | Aggregate::Max
                    | Aggregate::Distinct
                    | Aggregate::Days,
                ..
            }
        )
    }
}

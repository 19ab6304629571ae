//! A rule once read and checked: a tree of nodes with every alias, default and literal resolved.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::decimal::Decimal;
pub(crate) use crate::pattern::MOST_PATTERN_BYTES;
pub use crate::pattern::Pattern;
use crate::time::{Duration, WrittenTime};
use crate::zone::{CalendarUnit, ZoneId};

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// A segment's id.
pub type SegmentId = Arc<str>;

/// A condition over one user's history.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Node {
    /// Conditions joined by `logic`.
    Group {
        /// The operator between the conditions.
        logic: Logic,
        /// One at least.
        conditions: Vec<Node>,
    },
    /// A test of a computed trait or, where the catalogue has none of that name, of an `identify` trait.
    Trait {
        /// The whole path as written.
        field: Arc<str>,
        /// The test.
        test: Test,
    },
    /// A test of a measure over the user's events.
    Behaviour {
        /// The measure.
        behaviour: Arc<Behaviour>,
        /// The test of the measure's value.
        test: Test,
    },
    /// Events in an order.
    Sequence(Arc<Sequence>),
    /// The known users among the members of another segment.
    Segment(SegmentId),
    /// The first users by a measure.
    Rank(Arc<Rank>),
    /// A stable random share of users.
    Sample(Sample),
    /// Two values, one beside the other.
    Compare(Arc<Compare>),
}

/// The zone that a calendar or a time is read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Zone {
    /// The platform's.
    Platform,
    /// The user's `identify` trait `timezone` as it stands now where that names a zone; else the platform's.
    User,
    /// A zone by name.
    Named(ZoneId),
}

/// A comparison of two values.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Compare {
    /// The left side.
    pub left: Measurable,
    /// `None`: eq.
    pub comparison: Option<Comparison>,
    /// ne.
    pub negated: bool,
    /// The right side.
    pub right: Measurable,
}

/// A logical operator over conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Logic {
    /// All hold.
    And,
    /// Any holds.
    Or,
    /// None holds.
    Not,
}

/// A measure over the events that match.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Behaviour {
    /// The event types that count.
    pub events: EventTypes,
    /// A filter on their values.
    pub filter: Option<Filter>,
    /// The measure.
    pub measure: Measure,
    /// Over what time; `None` is all history up to now.
    pub window: Option<Window>,
    /// The keys of a list in `properties` of which each object counts as an event.
    pub each: Option<Vec<Arc<str>>>,
    /// The events that undo those that count.
    pub unless: Option<Arc<Unless>>,
}

/// Events that undo others of the same value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unless {
    /// The types of the events that undo.
    pub events: EventTypes,
    /// A filter on their values.
    pub filter: Option<Filter>,
    /// The value of what counts.
    pub own: EventPath,
    /// The value of what undoes it.
    pub other: EventPath,
}

/// Event types.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventTypes {
    /// `"*"`: every event but an alias.
    Any,
    /// These types; sorted, without repeats, one at least.
    Named(Vec<Arc<str>>),
}

impl EventTypes {
    /// Returns whether events of this type are among them.
    pub fn contains(&self, event_type: &str) -> bool {
        match self {
            EventTypes::Any => true,
            EventTypes::Named(names) => names.iter().any(|name| &**name == event_type),
        }
    }
}

/// A function over matching events.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Measure {
    /// The number of events.
    Count,
    /// On how many distinct days of the platform's zone.
    Days,
    /// Milliseconds from the earliest to now.
    SinceFirst,
    /// Milliseconds from the latest to now.
    SinceLast,
    /// A function of the values at a path.
    Of(Function, EventPath),
    /// In how many distinct units of a zone's calendar.
    Units(CalendarUnit, Zone),
    /// Maximal runs of events with gaps of at most so many milliseconds.
    Sessions(Millis),
    /// A function of the products of the numbers at 2 to 4 paths.
    OfProduct(Function, Vec<EventPath>),
    /// The nth value (2 to 100) from the start ([`Function::First`]) or the end ([`Function::Last`]), at a path or a product of paths.
    Nth(Function, Vec<EventPath>, u8),
}

impl Measure {
    /// All are numbers but durations and values as they are.
    pub fn is_number(&self) -> bool {
        match self {
            Measure::SinceFirst | Measure::SinceLast | Measure::Nth(..) => false,
            Measure::Of(function, _) | Measure::OfProduct(function, _) => function.is_number(),
            Measure::Count | Measure::Days | Measure::Units(..) | Measure::Sessions(_) => true,
        }
    }
}

/// A function of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Function {
    /// Exact sum of numbers; 0 over none.
    Sum,
    /// Exact average of numbers.
    Avg,
    /// Least number.
    Min,
    /// Greatest number.
    Max,
    /// Distinct values; 0 over none.
    Distinct,
    /// Value of the earliest, by timestamp then arrival.
    First,
    /// Value of the latest, by timestamp then arrival.
    Last,
    /// The middle number, or the mean of the two middle ones.
    Median,
    /// The most frequent value; of equally frequent ones the one that came last.
    Mode,
}

impl Function {
    /// Returns whether what it gives is a number.
    pub fn is_number(self) -> bool {
        !matches!(self, Function::First | Function::Last | Function::Mode)
    }
}

/// A path into an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventPath {
    /// Into `properties`, one key a level.
    Properties(Vec<Arc<str>>),
    /// Into `context`.
    Context(Vec<Arc<str>>),
    /// The event's own timestamp.
    Timestamp,
    /// Into the traits that an `identify` event sets.
    Traits(Vec<Arc<str>>),
    /// Into the object of the list that counts; only where `each` is.
    Item(Vec<Arc<str>>),
    /// The first of several paths that has a value; only in a measure.
    First(Arc<PathChoice>),
}

/// Paths that mean the same in events of different senders.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PathChoice {
    /// The paths, in the order in which they are tried; two at least, and none a choice itself.
    pub paths: Vec<EventPath>,
    /// The types of events whose numbers count negative; sorted. What is no number there is missing.
    pub minus: Vec<Arc<str>>,
}

/// A condition over one event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Filter {
    /// Filters joined by logic.
    Group(Logic, Vec<Filter>),
    /// A test of the value at a path.
    Test(EventPath, Test),
}

/// A window over time, relative to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Window {
    /// (now − d, now]
    Last(Millis),
    /// (now − from, now − to], from > to.
    Ago {
        /// The farther end.
        from: Millis,
        /// The nearer end.
        to: Millis,
    },
    /// [from, to], either may be open.
    Fixed {
        /// The start, inclusive.
        from: Option<Millis>,
        /// The end, inclusive.
        to: Option<Millis>,
    },
    /// An event of time e is inside while e + to ≤ now < e + from: with months of the calendar.
    Span {
        /// The farther end.
        from: Duration,
        /// The nearer end; [`Duration::ZERO`] for the last.
        to: Duration,
        /// The calendar's zone.
        zone: Zone,
    },
    /// Whole units of the calendar, counted back from the current one.
    Calendar {
        /// The unit.
        unit: CalendarUnit,
        /// The first unit, so many before the current one.
        from: u16,
        /// The last unit, so many before the current one; at most `from`.
        to: u16,
        /// The calendar's zone.
        zone: Zone,
    },
    /// [from, to], either may be open, as written: a date is its whole day.
    Written {
        /// The start, inclusive.
        from: Option<WrittenTime>,
        /// The end, inclusive.
        to: Option<WrittenTime>,
        /// The zone of times without an offset.
        zone: Zone,
    },
}

/// A test of a value: a positive condition, or exactly its negation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Test {
    /// The negative operators (`ne not_between not_in not_contains not_exists`).
    pub negated: bool,
    /// The positive condition.
    pub condition: Condition,
}

/// A positive condition on a value; false on missing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Condition {
    /// eq
    Equals(Literal),
    /// gt, gte, lt, lte: a text or number literal.
    Compare(Comparison, Literal),
    /// between, inclusive: two texts or two numbers.
    Between(Literal, Literal),
    /// in; sorted, without repeats.
    In(Vec<Literal>),
    /// contains
    Contains(Literal),
    /// starts_with
    StartsWith(Arc<str>),
    /// ends_with
    EndsWith(Arc<str>),
    /// matches
    Matches(Pattern),
    /// exists
    Exists,
    /// before
    Before(Moment),
    /// after
    After(Moment),
    /// starts_with, ends_with or contains any of several; sorted, without repeats.
    AnyPart(TextPlace, Vec<Arc<str>>),
    /// A test of texts that ignores case.
    IgnoringCase(Arc<CaselessTest>),
    /// An anniversary of the value's day falls on a day from today + from to today + to.
    Anniversary {
        /// −366 to 366.
        from: i16,
        /// `from` to 366.
        to: i16,
        /// The zone of the days.
        zone: Zone,
    },
}

/// The place of a part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TextPlace {
    /// starts_with
    Start,
    /// ends_with
    End,
    /// contains
    Anywhere,
}

/// A test that ignores case, as written and with its literals folded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CaselessTest {
    /// As written.
    pub written: Condition,
    /// With text literals folded.
    pub folded: Condition,
}

/// gt, gte, lt or lte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Comparison {
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

impl Comparison {
    /// Returns whether `left OP right`, given how left stands to right.
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterOrEqual => ordering.is_ge(),
            Comparison::Less => ordering.is_lt(),
            Comparison::LessOrEqual => ordering.is_le(),
        }
    }
}

/// A literal; its type decides what the value is cast to. Durations (of since_first and since_last) are numbers of
/// milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Literal {
    /// A string.
    Text(Arc<str>),
    /// A number.
    Number(Decimal),
    /// true or false.
    Bool(bool),
}

/// The instant that `before` and `after` compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Moment {
    /// A fixed instant. Values are read in the platform's zone, as with [`Moment::Ago`].
    At(Millis),
    /// So long before now; ahead of it where negative.
    Ago(Millis),
    /// A time as written; it and values are read in the zone.
    Written(WrittenTime, Zone),
    /// So long before now, or ahead of it where negative: the value moved by so much, against now. Read in the zone.
    Moved(Duration, Zone),
}

/// Events in an order: each step strictly later than the one before, all inside the window.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sequence {
    /// 2 to 10 steps.
    pub steps: Vec<SequenceStep>,
    /// Over what time; `None` is all history up to now. It bounds the steps that must come.
    pub window: Option<Window>,
    /// The chosen events agree in the values at these paths.
    pub same: Vec<EventPath>,
    /// `for`: now is at least so long after the last step that must come.
    pub lasting: Option<Millis>,
}

/// A step of a sequence.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SequenceStep {
    /// The event types.
    pub events: EventTypes,
    /// A filter on their values.
    pub filter: Option<Filter>,
    /// At most so long after the step before.
    pub max_gap: Option<Millis>,
    /// True if no such event may lie between the steps around it or, at the end, after the step before.
    pub absent: bool,
}

/// Users in the order of a measure, and how many of the first are meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rank {
    /// The key that orders them.
    pub by: Measurable,
    /// Greatest first, or least first.
    pub descending: bool,
    /// The number of events.
    pub cut: Cut,
    /// Only users for whom this holds.
    pub among: Option<Node>,
}

/// A value that orders a rank, or stands on a side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Measurable {
    /// A computed trait or an `identify` trait.
    Field(Arc<str>),
    /// A measure.
    Behaviour(Arc<Behaviour>),
}

/// The number of users that a rank takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cut {
    /// N, 1 to 1,000,000.
    Top(u32),
    /// P%, rounded up; above 0, at most 100.
    Percent(Decimal),
}

/// A share of users by hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sample {
    /// Hashed before the user id.
    pub salt: Arc<str>,
    /// First bucket, inclusive.
    pub from: u16,
    /// Last bucket, inclusive, at most 9999.
    pub to: u16,
}

//! Events, filters on them, measures over them and windows.

use std::sync::Arc;

use super::object::{NodeKind, NodeObject};
use super::{LiteralKind, Parser, kind_of};
use crate::ast::{Behaviour, EventPath, EventTypes, Filter, Function, Logic, Measure, PathChoice, Unless, Zone};
use crate::fault::code;
use crate::value::Value;
use crate::zone::CalendarUnit;

/// The members of a measure over events.
pub(super) const MEASURE_KEYS: &[&str] = &["event", "where", "measure", "within", "each", "unless"];
/// The greatest `nth`.
const MOST_NTH: i64 = 100;

/// The most paths of a choice.
const MOST_CHOICES: usize = 8;

/// The values of a measure's `fn`.
#[derive(Clone, Copy)]
pub(super) enum Fn {
    /// Needs a path.
    Of(Function),
    /// Takes none.
    Alone(&'static Measure),
    /// Takes a zone.
    Units(CalendarUnit),
    /// Takes a gap.
    Sessions,
}

impl Fn {
    pub(super) fn takes(self) -> LiteralKind {
        match self {
            Fn::Of(function) if !function.is_number() => LiteralKind::Anything,
            Fn::Of(_) | Fn::Units(_) | Fn::Sessions => LiteralKind::Numbers,
            Fn::Alone(measure) => LiteralKind::of(measure),
        }
    }
}

/// The `fn`s of the older form of computed traits.
pub(super) const OLDER_FUNCTIONS: [(&str, Fn); 10] = [
    ("sum", Fn::Of(Function::Sum)),
    ("avg", Fn::Of(Function::Avg)),
    ("min", Fn::Of(Function::Min)),
    ("max", Fn::Of(Function::Max)),
    ("distinct", Fn::Of(Function::Distinct)),
    ("first", Fn::Of(Function::First)),
    ("last", Fn::Of(Function::Last)),
    ("days", Fn::Alone(&Measure::Days)),
    ("since_first", Fn::Alone(&Measure::SinceFirst)),
    ("since_last", Fn::Alone(&Measure::SinceLast)),
];

/// The others; `days` may have a zone here.
const FUNCTIONS: [(&str, Fn); 6] = [
    ("days", Fn::Units(CalendarUnit::Day)),
    ("weeks", Fn::Units(CalendarUnit::Week)),
    ("months", Fn::Units(CalendarUnit::Month)),
    ("sessions", Fn::Sessions),
    ("median", Fn::Of(Function::Median)),
    ("mode", Fn::Of(Function::Mode)),
];

/// Every `fn`.
fn functions() -> impl Iterator<Item = (&'static str, Fn)> {
    OLDER_FUNCTIONS.into_iter().filter(|(name, _)| *name != "days").chain(FUNCTIONS)
}

impl Parser<'_> {
    /// `event`, `where`, `measure`, `within`, `each` and `unless`, and what the measure takes as far as that can be told.
    pub(super) fn behaviour(
        &mut self,
        object: NodeObject<'_>,
        level: usize,
    ) -> (Option<Behaviour>, Option<LiteralKind>) {
        let outer = std::mem::replace(&mut self.has_item, object.has("each"));
        let measure = match object.get("measure") {
            Some(json) => self.at("measure", |parser| parser.measure(json)),
            None => (Some(Measure::Count), Some(LiteralKind::Numbers)),
        };
        let behaviour = self.behaviour_of(object, measure, level);
        self.has_item = outer;
        behaviour
    }

    /// The members around a measure that are read already.
    pub(super) fn behaviour_of(
        &mut self,
        object: NodeObject<'_>,
        (measure, takes): (Option<Measure>, Option<LiteralKind>),
        level: usize,
    ) -> (Option<Behaviour>, Option<LiteralKind>) {
        let events = self.member(object, "event", |parser, json| parser.events(json));
        let filter = self.optional(object, "where", |parser, json| parser.filter_or_list(json, level + 1));
        let window = self.optional(object, "within", |parser, json| parser.window(json));
        let each = self.optional(object, "each", |parser, json| parser.each_path(json));
        let unless = self.optional(object, "unless", |parser, json| parser.unless(json, level));
        let behaviour = (|| {
            let (each, unless) = (each?, unless?.map(Arc::new));
            Some(Behaviour { events: events?, filter: filter?, measure: measure?, window: window?, each, unless })
        })();
        (behaviour, takes)
    }

    /// A path into `properties`.
    fn each_path(&mut self, json: &Value) -> Option<Vec<Arc<str>>> {
        match (self.path(json)?, json) {
            (EventPath::Properties(keys), _) => Some(keys),
            _ => self.fault(
                code::OUT_OF_RANGE,
                "`each` is a path to a list in the event's properties, such as \"products\"",
            ),
        }
    }

    fn unless(&mut self, json: &Value, level: usize) -> Option<Unless> {
        let object = self.object(json, "`unless`")?;
        self.known_keys(object, &["event", "where", "same"]);
        let has_item = std::mem::replace(&mut self.has_item, false);
        let events = self.member(object, "event", |parser, json| parser.events(json));
        let filter = self.optional(object, "where", |parser, json| parser.filter_or_list(json, level + 1));
        let same = self.member(object, "same", |parser, json| parser.same_pair(json, has_item));
        self.has_item = has_item;
        let (own, other) = same?;
        Some(Unless { events: events?, filter: filter?, own, other })
    }

    /// One path for both, or one for what counts and one for what undoes it.
    fn same_pair(&mut self, json: &Value, has_item: bool) -> Option<(EventPath, EventPath)> {
        let Value::Array(items) = json else {
            if has_item && matches!(json, Value::Text(text) if text.starts_with("item.")) {
                let message = "what undoes has no item; write [\"item.…\", \"…\"], the other's path second";
                return self.fault(code::OUT_OF_RANGE, message);
            }
            return self.path(json).map(|path| (path.clone(), path));
        };
        let mut is_own = true;
        let paths = self.each(items, |parser, item| {
            parser.has_item = has_item && std::mem::replace(&mut is_own, false);
            let path = parser.path(item);
            parser.has_item = false;
            path
        });
        if items.len() != 2 {
            return self.fault(code::OUT_OF_RANGE, format!("must be a path or a list of two, not of {}", items.len()));
        }
        let [own, other] = <[EventPath; 2]>::try_from(paths?).ok()?;
        Some((own, other))
    }

    pub(super) fn events(&mut self, json: &Value) -> Option<EventTypes> {
        match json {
            Value::Text(name) if &**name == "*" => Some(EventTypes::Any),
            Value::Array(_) => {
                let items = self.some_items(json, "event names")?;
                let mut names = self.each(items, |parser, item| match item {
                    Value::Text(name) if &**name == "*" => {
                        parser.fault(code::UNKNOWN_WORD, "\"*\" stands alone: write \"event\": \"*\" for any event")
                    }
                    _ => parser.name(item, "an event's name"),
                })?;
                names.sort();
                names.dedup();
                Some(EventTypes::Named(names))
            }
            Value::Text(_) => self.name(json, "an event's name").map(|name| EventTypes::Named(vec![name])),
            _ => {
                self.fault(code::WRONG_TYPE, format!("must be a name, a list of names or \"*\", not {}", kind_of(json)))
            }
        }
    }

    fn measure(&mut self, json: &Value) -> (Option<Measure>, Option<LiteralKind>) {
        if matches!(json, Value::Text(text) if &**text == "count") {
            return (Some(Measure::Count), Some(LiteralKind::Numbers));
        }
        let Value::Object(_) = json else {
            let message = format!("must be \"count\" or {{fn, of?}}, not {}", kind_of(json));
            return (self.fault(code::WRONG_TYPE, message), None);
        };
        let Some(object) = self.object(json, "a measure") else { return (None, None) };
        self.known_keys(object, &["fn", "of", "nth", "zone", "weekStart", "gap"]);
        let function = self.member(object, "fn", |parser, json| parser.function(json));
        let takes = function.map(Fn::takes);
        let measure = match function {
            Some(function) => self.apply(function, object, "of"),
            None => self.optional(object, "of", |parser, json| parser.paths(json)).and(None),
        };
        (measure, takes)
    }

    fn function(&mut self, json: &Value) -> Option<Fn> {
        let Value::Text(text) = json else {
            return self.fault(code::WRONG_TYPE, format!("must be a string, not {}", kind_of(json)));
        };
        match functions().find(|(name, _)| *name == &**text) {
            Some((_, function)) => Some(function),
            None => {
                let names: Vec<&str> = functions().map(|(name, _)| name).collect();
                let names = names.join(", ");
                self.fault(code::UNKNOWN_WORD, format!("must be one of {names} (or the measure just \"count\")"))
            }
        }
    }

    /// The measure of a function with its members; the path stands under `key`.
    pub(super) fn apply(&mut self, function: Fn, object: NodeObject<'_>, key: &str) -> Option<Measure> {
        let known: &[&str] = match function {
            Fn::Of(Function::First | Function::Last) => &[key, "nth"],
            Fn::Of(_) => &[key],
            Fn::Alone(_) => &[],
            Fn::Units(CalendarUnit::Week) => &["zone", "weekStart"],
            Fn::Units(_) => &["zone"],
            Fn::Sessions => &["gap"],
        };
        let mut fits = true;
        for member in [key, "nth", "zone", "weekStart", "gap"] {
            if object.has(member) && !known.contains(&member) {
                let message = format!("this measure takes no `{member}`; leave it out");
                let _: Option<()> = self.fault_at(member, code::UNEXPECTED_MEMBER, message);
                fits = false;
            }
        }
        let measure = match function {
            Fn::Of(function) => self.function_of(function, object, key),
            Fn::Alone(measure) => Some(measure.clone()),
            Fn::Units(unit) => self.units(unit, object),
            Fn::Sessions => self.member(object, "gap", |parser, json| parser.duration(json)).map(Measure::Sessions),
        };
        measure.filter(|_| fits)
    }

    fn function_of(&mut self, function: Function, object: NodeObject<'_>, key: &str) -> Option<Measure> {
        let paths = self.member(object, key, |parser, json| parser.paths(json));
        let is_edge = matches!(function, Function::First | Function::Last);
        let nth = match object.get("nth").filter(|_| is_edge) {
            Some(json) => {
                self.at("nth", |parser| parser.whole(json, 1, MOST_NTH)).and_then(|nth| u8::try_from(nth).ok())
            }
            None => Some(1),
        };
        let (mut paths, nth) = (paths?, nth?);
        Some(match (nth, paths.len()) {
            (2.., _) => Measure::Nth(function, paths, nth),
            (_, 1) => Measure::Of(function, paths.pop()?),
            _ => Measure::OfProduct(function, paths),
        })
    }

    fn units(&mut self, unit: CalendarUnit, object: NodeObject<'_>) -> Option<Measure> {
        let zone = self.optional(object, "zone", |parser, json| parser.zone(json));
        let is_week = unit == CalendarUnit::Week;
        let unit = if is_week { self.week_of(object) } else { Some(unit) };
        Some(match (unit?, zone?) {
            (CalendarUnit::Day, None) => Measure::Days,
            (unit, zone) => Measure::Units(unit, zone.unwrap_or(Zone::Platform)),
        })
    }

    /// A path into an event, a choice of several, or a list of 2 to 4.
    fn paths(&mut self, json: &Value) -> Option<Vec<EventPath>> {
        if let Value::Object(_) = json {
            return self.path_choice(json).map(|choice| vec![EventPath::First(Arc::new(choice))]);
        }
        let Value::Array(items) = json else { return self.path(json).map(|path| vec![path]) };
        let paths = self.each(items, |parser, item| parser.path(item));
        if !(2..=4).contains(&items.len()) {
            return self.fault(code::OUT_OF_RANGE, format!("a product has 2 to 4 paths, not {}", items.len()));
        }
        paths
    }

    /// `{firstOf: [paths], minus?: events}`
    fn path_choice(&mut self, json: &Value) -> Option<PathChoice> {
        let object = self.object(json, "a choice of paths")?;
        self.known_keys(object, &["firstOf", "minus"]);
        let paths = self.member(object, "firstOf", |parser, json| {
            let items = parser.some_items(json, "paths")?;
            if !(2..=MOST_CHOICES).contains(&items.len()) {
                let message = format!("a choice has 2 to {MOST_CHOICES} paths, not {}", items.len());
                return parser.fault(code::OUT_OF_RANGE, message);
            }
            parser.each(items, |parser, item| parser.path(item))
        });
        let minus = self.optional(object, "minus", |parser, json| match parser.events(json)? {
            EventTypes::Named(names) => Some(names),
            EventTypes::Any => parser.fault(code::WRONG_TYPE, "`minus` names events, not \"*\""),
        });
        Some(PathChoice { paths: paths?, minus: minus?.unwrap_or_default() })
    }

    /// A path into an event.
    pub(super) fn path(&mut self, json: &Value) -> Option<EventPath> {
        let text = self.name(json, "a path")?;
        let keys = |path: &str| path.split('.').map(Arc::from).collect();
        Some(if &*text == "timestamp" {
            EventPath::Timestamp
        } else if let Some(path) = text.strip_prefix("context.") {
            EventPath::Context(keys(path))
        } else if let Some(path) = text.strip_prefix("traits.") {
            EventPath::Traits(keys(path))
        } else if let Some(path) = text.strip_prefix("item.").filter(|_| self.has_item) {
            EventPath::Item(keys(path))
        } else {
            EventPath::Properties(keys(text.strip_prefix("properties.").unwrap_or(&text)))
        })
    }

    /// A `where`: a filter, or a list of them which must all hold.
    pub(super) fn filter_or_list(&mut self, json: &Value, level: usize) -> Option<Filter> {
        let Value::Array(_) = json else { return self.filter(json, level) };
        let items = self.some_items(json, "filters")?;
        let mut filters = self.each(items, |parser, item| parser.filter(item, level))?;
        match filters.pop() {
            Some(only) if filters.is_empty() => Some(only),
            last => {
                filters.extend(last);
                Some(Filter::Group(Logic::And, filters))
            }
        }
    }

    fn filter(&mut self, json: &Value, level: usize) -> Option<Filter> {
        self.enter(level)?;
        let object = self.object(json, "a filter")?;
        match self.filter_kind(object)? {
            NodeKind::Group => {
                let filters = self.member(object, "conditions", |parser, json| {
                    let items = parser.some_items(json, "conditions")?;
                    parser.each(items, |parser, item| parser.filter(item, level + 1))
                });
                let logic = self.logic(object);
                Some(Filter::Group(logic?, filters?))
            }
            _ => {
                let path = self.member(object, "field", |parser, json| parser.path(json));
                let test = self.test(object, LiteralKind::Anything);
                Some(Filter::Test(path?, test?))
            }
        }
    }

    fn filter_kind(&mut self, object: NodeObject<'_>) -> Option<NodeKind> {
        const MESSAGE: &str = "a filter has `field` (with `operator` and `value`) or `conditions`";
        if !object.has("field") && !object.has("conditions") {
            return self.fault(code::NO_DISCRIMINATOR, MESSAGE);
        }
        self.kind(object, false)
    }
}

//! Events, filters on them, measures over them and windows.

use std::sync::Arc;

use super::object::{NodeKind, NodeObject};
use super::{LiteralKind, Parser, kind_of};
use crate::ast::{Behaviour, EventPath, EventTypes, Filter, Function, Logic, Measure, Window};
use crate::fault::code;
use crate::value::Value;

/// The values of a measure's `fn`.
#[derive(Clone, Copy)]
pub(super) enum Fn {
    /// Needs a path.
    Of(Function),
    /// Takes none.
    Alone(&'static Measure),
}

impl Fn {
    pub(super) fn takes(self) -> LiteralKind {
        match self {
            Fn::Of(Function::First | Function::Last) => LiteralKind::Anything,
            Fn::Of(_) => LiteralKind::Numbers,
            Fn::Alone(measure) => LiteralKind::of(measure),
        }
    }
}

/// Every `fn`.
pub(super) const FUNCTIONS: [(&str, Fn); 10] = [
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

impl Parser<'_> {
    /// `event`, `where`, `measure` and `within`, and what the measure takes as far as that can be told.
    pub(super) fn behaviour(
        &mut self,
        object: NodeObject<'_>,
        level: usize,
    ) -> (Option<Behaviour>, Option<LiteralKind>) {
        let measure = match object.get("measure") {
            Some(json) => self.at("measure", |parser| parser.measure(json)),
            None => (Some(Measure::Count), Some(LiteralKind::Numbers)),
        };
        self.behaviour_of(object, measure, level)
    }

    /// `event`, `where` and `within` around a measure already read.
    pub(super) fn behaviour_of(
        &mut self,
        object: NodeObject<'_>,
        (measure, takes): (Option<Measure>, Option<LiteralKind>),
        level: usize,
    ) -> (Option<Behaviour>, Option<LiteralKind>) {
        let events = self.member(object, "event", |parser, json| parser.events(json));
        let filter = self.optional(object, "where", |parser, json| parser.filter_or_list(json, level + 1));
        let window = self.optional(object, "within", |parser, json| parser.window(json));
        let behaviour = (|| Some(Behaviour { events: events?, filter: filter?, measure: measure?, window: window? }))();
        (behaviour, takes)
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
        self.known_keys(object, &["fn", "of"]);
        let function = self.member(object, "fn", |parser, json| parser.function(json));
        let takes = function.map(Fn::takes);
        let measure = match function {
            Some(function) => self.apply(function, object, "of"),
            None => self.optional(object, "of", |parser, json| parser.path(json)).and(None),
        };
        (measure, takes)
    }

    fn function(&mut self, json: &Value) -> Option<Fn> {
        let Value::Text(text) = json else {
            return self.fault(code::WRONG_TYPE, format!("must be a string, not {}", kind_of(json)));
        };
        match FUNCTIONS.iter().find(|(name, _)| *name == &**text) {
            Some((_, function)) => Some(*function),
            None => {
                let names = FUNCTIONS.map(|(name, _)| name).join(", ");
                self.fault(code::UNKNOWN_WORD, format!("must be one of {names} (or the measure just \"count\")"))
            }
        }
    }

    /// The measure of a function and the path under `key`, which some functions need and others do not take.
    pub(super) fn apply(&mut self, function: Fn, object: NodeObject<'_>, key: &str) -> Option<Measure> {
        match function {
            Fn::Of(function) => {
                self.member(object, key, |parser, json| parser.path(json)).map(|path| Measure::Of(function, path))
            }
            Fn::Alone(_) if object.has(key) => {
                self.fault_at(key, code::UNEXPECTED_MEMBER, "this measure is of no path; leave it out")
            }
            Fn::Alone(measure) => Some(measure.clone()),
        }
    }

    /// A path into an event.
    fn path(&mut self, json: &Value) -> Option<EventPath> {
        let text = self.name(json, "a path")?;
        let keys = |path: &str| path.split('.').map(Arc::from).collect();
        Some(if &*text == "timestamp" {
            EventPath::Timestamp
        } else if let Some(path) = text.strip_prefix("context.") {
            EventPath::Context(keys(path))
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

    pub(super) fn window(&mut self, json: &Value) -> Option<Window> {
        if let Value::Text(_) = json {
            return self.duration(json).map(Window::Last);
        }
        let object = self.object(json, "a window (if not a duration such as \"30d\")")?;
        let is_fixed = object.has("from") || object.has("to");
        match (object.has("last"), object.has("ago"), is_fixed) {
            (false, false, false) => {
                self.fault(code::NO_DISCRIMINATOR, "a window is a duration, {last}, {ago: [d1, d2]} or {from?, to?}")
            }
            (true, false, false) => {
                self.known_keys(object, &["last"]);
                self.member(object, "last", |parser, json| parser.duration(json)).map(Window::Last)
            }
            (false, true, false) => {
                self.known_keys(object, &["ago"]);
                self.member(object, "ago", |parser, json| parser.ago(json))
            }
            (false, false, true) => self.fixed(object),
            _ => {
                self.known_keys(object, &["last", "ago", "from", "to"]);
                self.fault(
                    code::SEVERAL_DISCRIMINATORS,
                    "a window is one of {last}, {ago} and {from?, to?}, not several",
                )
            }
        }
    }

    fn ago(&mut self, json: &Value) -> Option<Window> {
        let items = match json {
            Value::Array(items) if items.len() == 2 => items,
            _ => return self.fault(code::WRONG_TYPE, "must be a list of two durations, such as [\"60d\", \"30d\"]"),
        };
        let ends = self.each(items, |parser, item| parser.duration(item))?;
        match ends[..] {
            [from, to] if from > to => Some(Window::Ago { from, to }),
            _ => self.fault(code::OUT_OF_RANGE, "the first duration must be longer than the second"),
        }
    }

    fn fixed(&mut self, object: NodeObject<'_>) -> Option<Window> {
        self.known_keys(object, &["from", "to"]);
        let from = self.optional(object, "from", |parser, json| parser.time(json));
        let to = self.optional(object, "to", |parser, json| parser.time(json));
        let (from, to) = (from?, to?);
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return self.fault(code::OUT_OF_RANGE, "`from` must not be after `to`");
        }
        Some(Window::Fixed { from, to })
    }
}

//! The kinds of nodes.

use std::sync::Arc;

use super::events::MEASURE_KEYS;
use super::object::{NodeKind, NodeObject};
use super::{LiteralKind, Parser, kind_of};
use crate::ast::{
    Comparison, Condition, Cut, EventPath, Literal, Logic, Measurable, Millis, Node, Rank, Sample, Sequence,
    SequenceStep, Test,
};
use crate::decimal::{Decimal, UNITS_PER_ONE};
use crate::fault::code;
use crate::value::Value;

const MOST_RANKED: i64 = 1_000_000;
const LAST_BUCKET: i64 = 9_999;
/// The most paths in which steps agree.
const MOST_SAME: usize = 4;
const STEPS: std::ops::RangeInclusive<usize> = 2..=10;

impl Parser<'_> {
    pub(super) fn node(&mut self, json: &Value, level: usize) -> Option<Node> {
        self.enter(level)?;
        let object = self.object(json, "a node")?;
        match self.kind(object, level == 1)? {
            kind @ (NodeKind::Group | NodeKind::Criteria) => self.group(object, kind, level),
            NodeKind::Trait => self.trait_node(object),
            NodeKind::Behaviour => self.behaviour_node(object, level),
            NodeKind::Sequence => self.sequence(object, level),
            NodeKind::Segment => self.segment(object),
            NodeKind::Rank => self.rank(object, level),
            NodeKind::Sample => self.sample(object),
            NodeKind::Compare => self.compare(object, level),
        }
    }

    fn group(&mut self, object: NodeObject<'_>, kind: NodeKind, level: usize) -> Option<Node> {
        let conditions = self.member(object, kind.keys()[0], |parser, json| {
            let items = parser.some_items(json, "conditions")?;
            parser.each(items, |parser, item| parser.node(item, level + 1))
        });
        let logic = self.logic(object);
        Some(Node::Group { logic: logic?, conditions: conditions? })
    }

    /// The items of a list that is not empty.
    pub(super) fn some_items<'v>(&mut self, json: &'v Value, what: &str) -> Option<&'v [Value]> {
        match json {
            Value::Array(items) if items.is_empty() => self.fault(code::EMPTY, format!("{what}: one at least")),
            Value::Array(items) => Some(items),
            _ => self.fault(code::WRONG_TYPE, format!("{what}: must be a list, not {}", kind_of(json))),
        }
    }

    pub(super) fn logic(&mut self, object: NodeObject<'_>) -> Option<Logic> {
        let logic = self.optional(object, "logic", |parser, json| match json {
            Value::Text(text) if text.eq_ignore_ascii_case("AND") => Some(Logic::And),
            Value::Text(text) if text.eq_ignore_ascii_case("OR") => Some(Logic::Or),
            Value::Text(text) if text.eq_ignore_ascii_case("NOT") => Some(Logic::Not),
            Value::Text(_) => parser.fault(code::UNKNOWN_WORD, "must be AND, OR or NOT"),
            _ => parser.fault(code::WRONG_TYPE, format!("must be AND, OR or NOT, not {}", kind_of(json))),
        });
        Some(logic?.unwrap_or(Logic::And))
    }

    fn trait_node(&mut self, object: NodeObject<'_>) -> Option<Node> {
        let field = self.member(object, "field", |parser, json| parser.field(json));
        let takes = field.as_deref().map_or(LiteralKind::Anything, |field| LiteralKind::of_field(field, self.traits));
        let test = self.test(object, takes);
        Some(Node::Trait { field: field?, test: test? })
    }

    /// The name of a trait. In a rank it may not depend on the user's zone.
    pub(super) fn field(&mut self, json: &Value) -> Option<Arc<str>> {
        let field = self.name(json, "a field")?;
        if self.is_in_rank && self.traits.behaviour(&field).is_some_and(|behaviour| behaviour.zones().user) {
            let message =
                format!("the computed trait `{field}` is measured in each user's zone, and a rank has one for all");
            return self.fault(code::BAD_ZONE, message);
        }
        Some(field)
    }

    fn behaviour_node(&mut self, object: NodeObject<'_>, level: usize) -> Option<Node> {
        let (behaviour, takes) = self.behaviour(object, level);
        let test = if object.has("operator") || object.has("value") {
            self.test(object, takes.unwrap_or(LiteralKind::Anything))
        } else if let Some(key) = ["zone", "ignoreCase"].into_iter().find(|key| object.has(key)) {
            self.fault_at(key, code::UNEXPECTED_MEMBER, format!("`{key}` stands beside an `operator` only"))
        } else if matches!(takes, None | Some(LiteralKind::Numbers)) {
            let one = Literal::Number(Decimal::from_integer(1));
            Some(Test { negated: false, condition: Condition::Compare(Comparison::GreaterOrEqual, one) })
        } else {
            let message = "`operator` is missing; only a measure that is a number may leave it out";
            self.fault(code::MISSING_MEMBER, message)
        };
        Some(Node::Behaviour { behaviour: Arc::new(behaviour?), test: test? })
    }

    fn sequence(&mut self, object: NodeObject<'_>, level: usize) -> Option<Node> {
        let steps = self.member(object, "sequence", |parser, json| {
            let Value::Array(items) = json else {
                return parser.fault(code::WRONG_TYPE, format!("must be a list of steps, not {}", kind_of(json)));
            };
            let mut index = 0;
            let steps = parser.each(items, |parser, item| {
                index += 1;
                parser.step(item, (index == 1, index == items.len()), level + 1)
            });
            if !STEPS.contains(&items.len()) {
                return parser.fault(code::OUT_OF_RANGE, format!("a sequence has 2 to 10 steps, not {}", items.len()));
            }
            steps
        });
        let window = self.optional(object, "within", |parser, json| parser.window(json));
        let same = self.optional(object, "same", |parser, json| parser.same(json));
        let steps = steps?;
        let lasting = steps.last().and_then(|(_, lasting)| *lasting);
        let steps = steps.into_iter().map(|(step, _)| step).collect();
        Some(Node::Sequence(Arc::new(Sequence { steps, window: window?, same: same?.unwrap_or_default(), lasting })))
    }

    /// The paths in which the steps of a sequence agree.
    fn same(&mut self, json: &Value) -> Option<Vec<EventPath>> {
        if let Value::Text(_) = json {
            return self.path(json).map(|path| vec![path]);
        }
        let items = self.some_items(json, "paths")?;
        let paths = self.each(items, |parser, item| parser.path(item));
        if items.len() > MOST_SAME {
            return self.fault(code::OUT_OF_RANGE, format!("at most {MOST_SAME} paths, not {}", items.len()));
        }
        paths
    }

    /// A step, and its `for`. The first has none before it, so its `maxGap` is checked but says nothing.
    fn step(&mut self, json: &Value, place: (bool, bool), level: usize) -> Option<(SequenceStep, Option<Millis>)> {
        let (is_first, is_last) = place;
        self.enter(level)?;
        let object = self.object(json, "a step")?;
        if object.has("not") {
            return self.absent_step(object, is_first, is_last, level);
        }
        self.known_keys(object, &["event", "where", "maxGap"]);
        let events = self.member(object, "event", |parser, json| parser.events(json));
        let filter = self.optional(object, "where", |parser, json| parser.filter_or_list(json, level + 1));
        let max_gap = self.optional(object, "maxGap", |parser, json| parser.duration(json));
        let max_gap = max_gap?.filter(|_| !is_first);
        Some((SequenceStep { events: events?, filter: filter?, max_gap, absent: false }, None))
    }

    /// `{not: {event, where?}, for?}`
    fn absent_step(
        &mut self,
        object: NodeObject<'_>,
        is_first: bool,
        is_last: bool,
        level: usize,
    ) -> Option<(SequenceStep, Option<Millis>)> {
        if object.has("event") {
            return self.fault(code::SEVERAL_DISCRIMINATORS, "a step has one of event, not, not both");
        }
        self.known_keys(object, &["not", "for"]);
        let step = self.member(object, "not", |parser, json| {
            let object = parser.object(json, "an absent step")?;
            parser.known_keys(object, &["event", "where"]);
            let events = parser.member(object, "event", |parser, json| parser.events(json));
            let filter = parser.optional(object, "where", |parser, json| parser.filter_or_list(json, level + 1));
            Some(SequenceStep { events: events?, filter: filter?, max_gap: None, absent: true })
        });
        let lasting = if object.has("for") && !is_last {
            self.fault_at("for", code::UNEXPECTED_MEMBER, "only the very last step may have `for`")
        } else {
            self.optional(object, "for", |parser, json| parser.duration(json))
        };
        if is_first {
            return self.fault(
                code::UNEXPECTED_MEMBER,
                "the first step must come: nothing stands before it to be absent after",
            );
        }
        Some((step?, lasting?))
    }

    fn segment(&mut self, object: NodeObject<'_>) -> Option<Node> {
        self.member(object, "segment", |parser, json| {
            let id = parser.name(json, "a segment's id")?;
            parser.segments.push((parser.pointer.clone(), id.clone()));
            Some(Node::Segment(id))
        })
    }

    fn rank(&mut self, object: NodeObject<'_>, level: usize) -> Option<Node> {
        let outer = std::mem::replace(&mut self.is_in_rank, true);
        let order = self.member(object, "rank", |parser, json| parser.rank_order(json, level));
        let cut = self.cut(object);
        let among = self.optional(object, "among", |parser, json| parser.node(json, level + 1));
        self.is_in_rank = outer;
        let (by, descending) = order?;
        Some(Node::Rank(Arc::new(Rank { by, descending, cut: cut?, among: among? })))
    }

    fn rank_order(&mut self, json: &Value, level: usize) -> Option<(Measurable, bool)> {
        let object = self.object(json, "a rank")?;
        self.known_keys(object, &["by", "order"]);
        let by = self.member(object, "by", |parser, json| match json {
            Value::Text(_) => parser.field(json).map(Measurable::Field),
            Value::Object(_) => {
                let object = parser.object(json, "a measure")?;
                parser.known_keys(object, MEASURE_KEYS);
                let (behaviour, _) = parser.behaviour(object, level);
                behaviour.map(|behaviour| Measurable::Behaviour(Arc::new(behaviour)))
            }
            _ => {
                let message = format!(
                    "must be a field or {{event, where?, measure?, within?, each?, unless?}}, not {}",
                    kind_of(json)
                );
                parser.fault(code::WRONG_TYPE, message)
            }
        });
        let descending = self.optional(object, "order", |parser, json| match json {
            Value::Text(text) if text.eq_ignore_ascii_case("desc") => Some(true),
            Value::Text(text) if text.eq_ignore_ascii_case("asc") => Some(false),
            Value::Text(_) => parser.fault(code::UNKNOWN_WORD, "must be desc or asc"),
            _ => parser.fault(code::WRONG_TYPE, format!("must be desc or asc, not {}", kind_of(json))),
        });
        Some((by?, descending?.unwrap_or(true)))
    }

    fn cut(&mut self, object: NodeObject<'_>) -> Option<Cut> {
        let top = self.optional(object, "top", |parser, json| {
            parser.whole(json, 1, MOST_RANKED).and_then(|top| u32::try_from(top).ok())
        });
        let percent = self.optional(object, "percent", |parser, json| match json {
            Value::Number(percent) if *percent > Decimal::ZERO && *percent <= Decimal::from_integer(100) => {
                Some(*percent)
            }
            Value::Number(_) => parser.fault(code::OUT_OF_RANGE, "must be above 0 and at most 100"),
            _ => {
                parser.fault(code::WRONG_TYPE, format!("must be a number above 0, at most 100, not {}", kind_of(json)))
            }
        });
        match (object.has("top"), object.has("percent")) {
            (true, false) => top?.map(Cut::Top),
            (false, true) => percent?.map(Cut::Percent),
            (true, true) => self.fault(code::SEVERAL_DISCRIMINATORS, "`top` or `percent`, not both"),
            (false, false) => self.fault(code::MISSING_MEMBER, "`top` or `percent` is missing"),
        }
    }

    fn sample(&mut self, object: NodeObject<'_>) -> Option<Node> {
        self.member(object, "sample", |parser, json| {
            let object = parser.object(json, "a sample")?;
            parser.known_keys(object, &["salt", "from", "to"]);
            let salt = parser.member(object, "salt", |parser, json| match json {
                Value::Text(salt) => Some(salt.clone()),
                _ => parser.fault(code::WRONG_TYPE, format!("a salt is a string, not {}", kind_of(json))),
            });
            let bucket = |parser: &mut Self, json: &Value| {
                parser.whole(json, 0, LAST_BUCKET).and_then(|bucket| u16::try_from(bucket).ok())
            };
            let from = parser.member(object, "from", bucket);
            let to = parser.member(object, "to", bucket);
            let (salt, from, to) = (salt, from?, to?);
            if from > to {
                return parser.fault(code::OUT_OF_RANGE, "`from` must not be above `to`");
            }
            Some(Node::Sample(Sample { salt: salt?, from, to }))
        })
    }

    /// A whole number within bounds.
    pub(super) fn whole(&mut self, json: &Value, least: i64, most: i64) -> Option<i64> {
        let Value::Number(number) = json else {
            let message = format!("must be a whole number from {least} to {most}, not {}", kind_of(json));
            return self.fault(code::WRONG_TYPE, message);
        };
        let units = number.units();
        match i64::try_from(units / UNITS_PER_ONE) {
            Ok(whole) if units % UNITS_PER_ONE == 0 && (least..=most).contains(&whole) => Some(whole),
            _ => self.fault(code::OUT_OF_RANGE, format!("must be a whole number from {least} to {most}, not {number}")),
        }
    }
}

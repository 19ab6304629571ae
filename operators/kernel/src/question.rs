//! Questions that the naive evaluator answers for one user, from the events that matter to them: all that the second page of
//! the language says, and what the first says where the platform's zone is not UTC.
//!
//! Law: the answer at *now* is the oracle's. Cost: a user keeps the events that may matter, as they were accepted; an event that
//! matters and an instant at which the answer may change cost a look at all of them. Users whose answer stays are not looked at.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, LazyLock};

use audience_rules::ast::{Behaviour, Condition, EventTypes, Filter, Measurable, Measure, Millis, Node, Test, Window};
use audience_rules::catalogue::Catalogue;
use audience_rules::oracle::{EventHistory, Occurrence, TIMEZONE_TRAIT};
use audience_rules::record::{EventRef, RecordKind};
use audience_rules::scope::LocalNow;
use audience_rules::test::{Operand, filter_holds_in};
use audience_rules::zone::ZoneId;
use serde::{Deserialize, Serialize};

use crate::measure::AppliedEvent;
use crate::reading::Reading;
use crate::window_log::flat;

/// Questions name no computed traits.
static NO_TRAITS: LazyLock<Catalogue> = LazyLock::new(Catalogue::default);

/// A question about one user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UserQuestion {
    /// A condition on a trait, a measure, a sequence or two values, without computed traits.
    pub node: Node,
    /// The thing that is asked of it.
    pub asks: Asks,
    /// The platform's zone where that matters, else UTC.
    pub platform: ZoneId,
}

/// The thing that is asked of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Asks {
    /// The verdict: if it holds, and if there is a value that it is about.
    Holds,
    /// The value itself.
    Value,
}

impl UserQuestion {
    /// Returns whether a condition holds; `None` where that needs no question.
    pub fn whether(node: &Node, catalogue: &Catalogue) -> Option<UserQuestion> {
        UserQuestion::of(node.resolved(catalogue), Asks::Holds, catalogue)
    }

    /// The value of a measure; `None` where that needs no question.
    pub fn value(measurable: &Measurable, catalogue: &Catalogue) -> Option<UserQuestion> {
        match measurable.resolved(catalogue) {
            Measurable::Field(_) => None,
            Measurable::Behaviour(behaviour) => UserQuestion::of(measured(behaviour), Asks::Value, catalogue),
        }
    }

    /// The measure of a condition, with the test of it, where the test needs no zone: conditions that differ in their tests share
    /// what is kept. `None` where the measure needs no question, or the test does.
    pub fn measured(node: &Node, catalogue: &Catalogue) -> Option<(UserQuestion, Test)> {
        let Node::Behaviour { behaviour, test } = node.resolved(catalogue) else { return None };
        let is_plain = test.is_plain() && (catalogue.timezone == ZoneId::UTC || !test.zones().platform);
        let question = UserQuestion::value(&Measurable::Behaviour(behaviour), catalogue)?;
        is_plain.then_some((question, test))
    }

    /// Returns whether its value is a duration to now.
    pub(crate) fn is_age(&self) -> bool {
        match &self.node {
            Node::Behaviour { behaviour, .. } if self.asks == Asks::Value => is_age(behaviour),
            _ => false,
        }
    }

    /// The value of a measure in UTC.
    pub(crate) fn value_in_utc(behaviour: &Arc<Behaviour>) -> UserQuestion {
        UserQuestion { node: measured(behaviour.clone()), asks: Asks::Value, platform: ZoneId::UTC }
    }

    fn of(node: Node, asks: Asks, catalogue: &Catalogue) -> Option<UserQuestion> {
        let platform = if node.zones().platform { catalogue.timezone } else { ZoneId::UTC };
        let is_plain = platform == ZoneId::UTC && node.is_plain();
        (!is_plain).then_some(UserQuestion { node, asks, platform })
    }

    /// Returns whether the condition comes out as wanted of a missing value, and does not ask for just that.
    pub(crate) fn comes_out_of_missing(&self, wanted: bool) -> bool {
        let negated = match &self.node {
            Node::Trait { test, .. } | Node::Behaviour { test, .. } if test.condition != Condition::Exists => {
                test.negated
            }
            Node::Compare(compare) => compare.negated,
            _ => return false,
        };
        self.asks == Asks::Holds && negated == wanted
    }

    /// The answer over a user's events.
    fn answer(&self, history: &EventHistory<'_>, now: Millis) -> Reading {
        match (self.asks, &self.node) {
            (Asks::Holds, node) => Reading::Answered {
                held: history.holds(node, &NO_TRAITS, now),
                has_value: history.has_value(node, &NO_TRAITS, now),
            },
            (Asks::Value, Node::Behaviour { behaviour, .. }) => value_of(history, behaviour, now),
            (Asks::Value, _) => Reading::Missing,
        }
    }

    fn next_change(&self, history: &EventHistory<'_>, now: Millis) -> Millis {
        let next = match (self.asks, &self.node) {
            (Asks::Value, Node::Behaviour { behaviour, .. }) => {
                history.next_value(&Measurable::Behaviour(behaviour.clone()), &NO_TRAITS, now)
            }
            (_, node) => history.next_change(node, &NO_TRAITS, now),
        };
        next.unwrap_or(Millis::MAX)
    }

    /// The answer for a user without events.
    pub(crate) fn default_answer(&self) -> Reading {
        self.answer(&EventHistory::empty().in_zone(self.platform), 0)
    }

    /// The types of the events that may count or undo; `None`: any.
    pub(crate) fn event_types(&self) -> Option<Vec<&Arc<str>>> {
        let mut names = Vec::new();
        for events in self.parts().into_iter().map(|part| part.events) {
            match events {
                EventTypes::Any => return None,
                EventTypes::Named(named) => names.extend(named),
            }
        }
        names.sort_unstable();
        names.dedup();
        Some(names)
    }

    /// The `identify` traits that matter, by their whole paths.
    pub(crate) fn traits(&self) -> Vec<&str> {
        let fields = match &self.node {
            Node::Trait { field, .. } => vec![field],
            Node::Compare(compare) => compare.left.field().into_iter().chain(compare.right.field()).collect(),
            _ => Vec::new(),
        };
        let timezone = self.node.zones().user.then_some(TIMEZONE_TRAIT);
        fields.into_iter().map(|field| &**field).chain(timezone).collect()
    }

    /// The events that may count, and those that may undo them.
    fn parts(&self) -> Vec<Part<'_>> {
        fn of_behaviour<'q>(behaviour: &'q Behaviour, parts: &mut Vec<Part<'q>>) {
            let each = behaviour.each.as_deref();
            parts.push(Part { events: &behaviour.events, filter: behaviour.filter.as_ref(), each });
            if let Some(unless) = &behaviour.unless {
                parts.push(Part { events: &unless.events, filter: unless.filter.as_ref(), each: None });
            }
        }
        let mut parts = Vec::new();
        match &self.node {
            Node::Behaviour { behaviour, .. } => of_behaviour(behaviour, &mut parts),
            Node::Sequence(sequence) => {
                parts.extend(sequence.steps.iter().map(|step| Part {
                    events: &step.events,
                    filter: step.filter.as_ref(),
                    each: None,
                }));
            }
            Node::Compare(compare) => {
                for side in [&compare.left, &compare.right] {
                    if let Measurable::Behaviour(behaviour) = side {
                        of_behaviour(behaviour, &mut parts);
                    }
                }
            }
            _ => {}
        }
        parts
    }

    /// Returns whether an event may matter, now or later.
    pub fn concerns(&self, event: &EventRef<'_>) -> bool {
        let sets = |path: &str| {
            let name = path.split('.').next().unwrap_or(path);
            event.traits().get(path).is_some() || event.traits().get(name).is_some()
        };
        let sets_trait = event.kind() == RecordKind::Identify && self.traits().into_iter().any(sets);
        sets_trait || self.parts().iter().any(|part| part.concerns(event))
    }

    /// The instant from which on an event of that time no longer matters, where that is known for good: its window is past, in a
    /// zone that stays, and it undoes nothing.
    fn gone_at(&self, event: &EventRef<'_>) -> Millis {
        let Node::Behaviour { behaviour, .. } = &self.node else { return Millis::MAX };
        let zones = self.node.zones();
        if zones.user || behaviour.unless.is_some() {
            return Millis::MAX;
        }
        let local = LocalNow { now: 0, platform: self.platform, user: self.platform };
        let at = event.timestamp();
        match behaviour.window {
            Some(Window::Last(duration)) => at.saturating_add(duration),
            Some(Window::Ago { from, .. }) => at.saturating_add(from),
            Some(Window::Span { from, zone, .. }) => from.after(at, local.zone(zone)),
            Some(Window::Calendar { unit, from, zone, .. }) => {
                let zone = local.zone(zone);
                unit.start(unit.of(at, zone) + i64::from(from) + 1, zone)
            }
            Some(Window::Fixed { .. } | Window::Written { .. }) | None => Millis::MAX,
        }
    }
}

fn measured(behaviour: Arc<Behaviour>) -> Node {
    Node::Behaviour { behaviour, test: Test { negated: false, condition: Condition::Exists } }
}

fn is_age(behaviour: &Behaviour) -> bool {
    matches!(behaviour.measure, Measure::SinceFirst | Measure::SinceLast)
}

/// The value as a reading; of an age, the instant since which it is.
fn value_of(history: &EventHistory<'_>, behaviour: &Behaviour, now: Millis) -> Reading {
    let is_age = is_age(behaviour);
    match history.measure(behaviour, now) {
        Operand::Missing => Reading::Missing,
        Operand::Number(age) if is_age => {
            let millis = Millis::try_from(age.units() / audience_rules::decimal::UNITS_PER_ONE);
            Reading::Since(now - millis.unwrap_or_default())
        }
        Operand::Number(number) => Reading::Number(number),
        Operand::Ratio { sum, count } => Reading::Ratio(sum, count),
        Operand::Value(value) => Reading::Flat(flat(value)),
    }
}

/// Events that may count, or undo others.
struct Part<'q> {
    events: &'q EventTypes,
    filter: Option<&'q Filter>,
    each: Option<&'q [Arc<str>]>,
}

impl Part<'_> {
    /// A filter whose answer may change is no reason to pass an event over.
    fn concerns(&self, event: &EventRef<'_>) -> bool {
        if !self.events.contains(event.event_type()) {
            return false;
        }
        let filter = self.filter.filter(|filter| filter.is_fixed());
        let holds = |counted: &Occurrence<'_>| {
            filter.is_none_or(|filter| filter_holds_in(filter, &counted.event, counted.item, &LocalNow::from(0)))
        };
        Occurrence::all_of(*event, self.each).iter().any(holds)
    }
}

/// The record of an event as questions keep it: once for all those of a user that it matters to.
#[derive(Debug, Default)]
pub(crate) struct SharedRecord(OnceCell<Arc<[u8]>>);

impl SharedRecord {
    fn of(&self, event: &EventRef<'_>) -> Arc<[u8]> {
        self.0.get_or_init(|| event.bytes().into()).clone()
    }
}

/// A user's events that matter to a question, and its answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptEvents {
    /// Records in the order of acceptance.
    records: Vec<Arc<[u8]>>,
    /// The answer; `None` where it is to be found again.
    #[serde(skip)]
    answer: Option<Reading>,
    /// The instant at which it may change by time alone.
    #[serde(skip)]
    next: Millis,
    /// The answer from that instant on, if it was found before.
    #[serde(skip)]
    prepared: Option<Box<PreparedAnswer>>,
}

/// The answer from an instant on that is yet to come.
#[derive(Clone, Debug, PartialEq)]
struct PreparedAnswer {
    answer: Reading,
    /// The next instant after that one at which it may change.
    next: Millis,
    /// The places of the records that matter no longer then, the last first.
    gone: Vec<usize>,
}

impl KeptEvents {
    /// Adds an event if it matters; says whether it does.
    pub(crate) fn add(&mut self, question: &UserQuestion, applied: AppliedEvent<'_>) -> bool {
        let AppliedEvent { event, record, now } = applied;
        if !question.concerns(event) || question.gone_at(event) <= now {
            return false;
        }
        let place = |record: &[u8]| EventRef::read(record).map_or(0, |(event, _)| event.sequence());
        let at = self.records.partition_point(|record| place(record) < event.sequence());
        if self.records.len() == self.records.capacity() {
            self.records.reserve_exact(1 + self.records.len() / 4);
        }
        self.records.insert(at, record.of(event));
        (self.answer, self.prepared) = (None, None);
        true
    }

    /// Finds the answer for the instant at which it may change, if that comes until then.
    pub(crate) fn prepare(&mut self, question: &UserQuestion, until: Millis) {
        if self.answer.is_none() || self.next > until || self.prepared.is_some() {
            return;
        }
        let (at, history) = (self.next, self.history(question));
        let is_gone = |(_, event): &(usize, &EventRef<'_>)| question.gone_at(event) <= at;
        let gone = history.events().iter().enumerate().filter(is_gone).map(|(place, _)| place).rev().collect();
        let (answer, next) = (question.answer(&history, at), question.next_change(&history, at));
        self.prepared = Some(Box::new(PreparedAnswer { answer, next, gone }));
    }

    /// Brings the answer to `now`, where it may be another one.
    pub(crate) fn advance(&mut self, question: &UserQuestion, now: Millis) {
        if self.answer.is_some() && now < self.next {
            return;
        }
        if let Some(PreparedAnswer { answer, next, gone }) = self.prepared.take().map(|prepared| *prepared)
            && now < next
        {
            gone.into_iter().for_each(|place| drop(self.records.remove(place)));
            (self.answer, self.next) = (Some(answer), next);
            return;
        }
        self.records.retain(|record| EventRef::read(record).is_some_and(|(event, _)| question.gone_at(&event) > now));
        let history = self.history(question);
        let (answer, next) = (question.answer(&history, now), question.next_change(&history, now));
        (self.answer, self.next) = (Some(answer), next);
    }

    fn history(&self, question: &UserQuestion) -> EventHistory<'_> {
        let mut history = EventHistory::empty().in_zone(question.platform);
        self.records
            .iter()
            .filter_map(|record| EventRef::read(record))
            .for_each(|(event, _)| history.push_counted(event));
        history
    }

    /// The answer at `now`, to which it is best advanced.
    pub(crate) fn reading(&self, question: &UserQuestion, now: Millis) -> Reading {
        self.answer.clone().unwrap_or_else(|| question.answer(&self.history(question), now))
    }

    /// The next instant at which the answer may change by time alone, as of the last [`advance`](Self::advance).
    pub(crate) fn next_change(&self) -> Millis {
        self.next
    }

    /// Returns whether the answer is known, so that it holds until [`next_change`](Self::next_change).
    pub(crate) fn is_answered(&self) -> bool {
        self.answer.is_some()
    }

    /// Returns whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Keeps the records that another question of the user keeps once with it; `known` has those by their places.
    pub(crate) fn share(&mut self, known: &mut BTreeMap<u64, Arc<[u8]>>) {
        for record in &mut self.records {
            let Some((event, _)) = EventRef::read(record) else { continue };
            match known.entry(event.sequence()) {
                Entry::Occupied(entry) => *record = entry.get().clone(),
                Entry::Vacant(entry) => {
                    entry.insert(record.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! The shapes of events and traits, collected from the event log: accepting never waits for it.
//!
//! Nothing of it is stored: a start looks at the newest events again. Where events come faster than they can be looked at,
//! some are passed over. The shapes that are told include every event accepted before, as a look comes first. What an erased
//! user brought is gone with the next look, which then begins anew.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use audience_background::{Stop, clock};
use audience_catalogue::Documents;
use audience_contract::EventLog;
use audience_protocol::{EventShape, EventsOfHour, FieldShape};
use audience_rules::ast::Millis;
use audience_rules::decimal::Decimal;
use audience_rules::fault::Fault;
use audience_rules::json::parse_json;
use audience_rules::record::{EventRef, RecordKind, records};
use audience_rules::seen::{self, SeenData, SeenField, SeenFields};
use audience_rules::time::format_time;
use audience_rules::unparse::value_to_json;
use audience_rules::value::{Value, ValueRef};
use hashbrown::HashMap;
use parking_lot::Mutex;
use serde_json::value::RawValue;

use crate::engine::Engine;

/// Between looks.
pub(crate) const LOOK: Duration = Duration::from_millis(1000);
/// The number of newest events that a start looks at.
const NEWEST: u64 = 100_000;
/// Events of one look, at most; older ones are passed over.
const MOST_OF_A_LOOK: u64 = 50_000;
/// The events of each type and look whose every property is looked at; then one in so many.
const WHOLE: u64 = 100;
const ONE_IN: u64 = 16;

/// Event types and traits that are kept, at most.
const MOST_NAMES: usize = 500;
/// Fields of all events together that are kept, at most.
const MOST_FIELDS: usize = 5_000;
/// Examples of a field.
const MOST_EXAMPLES: usize = 10;
/// Bytes of a name or an example, as text: longer ones are of no use to choose from.
const MOST_BYTES: usize = 100;
/// Levels of objects that paths descend into.
const MOST_LEVELS: usize = 3;
/// Joins the path of a list and that of a member of its objects: `products[].name`.
const LINES: &str = "[].";
/// The hours in which events of a type are counted.
const HOURS: usize = 24;
const HOUR: Millis = 3_600_000;

/// The values that were seen at a path.
#[derive(Debug, Default)]
struct Field {
    /// Values by [`TYPES`].
    counts: [u64; TYPES.len()],
    /// Texts that are a number.
    numbers_in_text: u64,
    latest: Option<Millis>,
    examples: Vec<Value>,
}

const TYPES: [&str; 5] = ["number", "text", "boolean", "list", "object"];

/// The events that were seen of a type.
#[derive(Debug, Default)]
struct Seen {
    count: u64,
    /// Events whose every property was looked at.
    sampled: u64,
    of_look: u64,
    latest: Option<Millis>,
    /// Hours, as multiples of an hour, in which any was accepted, with how many.
    hours: VecDeque<(Millis, u64)>,
    fields: BTreeMap<String, Field>,
}

/// The shapes of events and traits.
#[derive(Debug, Default)]
struct Shapes {
    /// Events below were looked at, or passed over.
    next: Option<u64>,
    events: HashMap<String, Seen>,
    traits: BTreeMap<String, Field>,
    fields: usize,
}

impl Shapes {
    /// Takes in an event.
    fn take(&mut self, event: &EventRef<'_>) {
        let name = event.event_type();
        if name.len() > MOST_BYTES || !event.kind().counts() {
            return;
        }
        let has_room = self.events.len() < MOST_NAMES;
        let seen = match self.events.get_mut(name) {
            Some(seen) => seen,
            None if has_room => self.events.entry(name.to_owned()).or_default(),
            None => return,
        };
        seen.count += 1;
        seen.of_look += 1;
        seen.latest = seen.latest.max(Some(event.timestamp()));
        seen.count_hour(event.accepted_at().div_euclid(HOUR));
        if seen.of_look > WHOLE && seen.of_look % ONE_IN != 0 {
            return;
        }
        seen.sampled += 1;
        let room = MOST_FIELDS.saturating_sub(self.fields);
        let at = event.timestamp();
        self.fields += take_fields((event.properties(), at), "", 0, room, &mut seen.fields);
        if event.kind() == RecordKind::Identify {
            let room = MOST_NAMES.saturating_sub(self.traits.len());
            take_fields((ValueRef::Object(event.traits()), at), "", 0, room, &mut self.traits);
        }
    }

    /// The shapes as rules are held against them; nothing where there are more of them than are kept, since what is not
    /// kept may have been seen.
    fn seen(&self) -> SeenData {
        let is_whole = self.events.len() < MOST_NAMES && self.fields < MOST_FIELDS && self.traits.len() < MOST_NAMES;
        if !is_whole {
            return SeenData::default();
        }
        let events = self.events.iter().map(|(name, seen)| (name.clone(), seen_fields(&seen.fields))).collect();
        SeenData { events, traits: seen_fields(&self.traits), levels: MOST_LEVELS }
    }

    fn begin_look(&mut self) {
        self.events.values_mut().for_each(|seen| seen.of_look = 0);
    }

    /// The shapes at an instant, the most frequent event types first.
    fn told(&self, now: Millis) -> (Vec<EventShape>, Vec<FieldShape>) {
        let mut events: Vec<(&String, &Seen)> = self.events.iter().collect();
        events.sort_by(|(name, seen), (other, more)| more.count.cmp(&seen.count).then_with(|| name.cmp(other)));
        let shapes = events.into_iter().map(|(name, seen)| EventShape {
            name: name.clone(),
            count: seen.count,
            sampled: seen.sampled,
            last_seen_at: seen.latest.map(format_time),
            hours: seen.told_hours(now),
            properties: told_fields(&seen.fields),
        });
        (shapes.collect(), told_fields(&self.traits))
    }
}

impl Seen {
    /// Counts an event of that hour. The hours that events are accepted in only move forward, but for a clock that is set back.
    fn count_hour(&mut self, hour: Millis) {
        match self.hours.back_mut() {
            Some((newest, count)) if *newest >= hour => *count += 1,
            _ => self.hours.push_back((hour, 1)),
        }
        if self.hours.len() > HOURS {
            self.hours.pop_front();
        }
    }

    fn told_hours(&self, now: Millis) -> Vec<EventsOfHour> {
        let oldest = now.div_euclid(HOUR) - HOURS as Millis;
        let recent = self.hours.iter().filter(|(hour, _)| *hour > oldest);
        recent.map(|(hour, count)| EventsOfHour { at: format_time(hour * HOUR), count: *count }).collect()
    }
}

/// Takes in the members of an object of an event of that time, whose paths begin with `path`, at most `room` new ones;
/// gives how many were new.
fn take_fields(
    (value, at): (ValueRef<'_>, Millis),
    path: &str,
    level: usize,
    room: usize,
    fields: &mut BTreeMap<String, Field>,
) -> usize {
    let ValueRef::Object(members) = value else { return 0 };
    let mut new = 0;
    for (key, value) in members {
        let path = format!("{path}{key}");
        // A key with a dot is no path to itself.
        if path.len() > MOST_BYTES || key.contains('.') || value.is_null() {
            continue;
        }
        if !fields.contains_key(&path) {
            if new == room {
                continue;
            }
            new += 1;
        }
        fields.entry(path.clone()).or_default().take(value, at);
        if level + 1 == MOST_LEVELS {
            continue;
        }
        if let ValueRef::Array(items) = value {
            let lines = path + LINES;
            for item in items.take(MOST_EXAMPLES) {
                new += take_fields((item, at), &lines, level + 1, room - new, fields);
            }
        } else {
            new += take_fields((value, at), &(path + "."), level + 1, room - new, fields);
        }
    }
    new
}

impl Field {
    fn take(&mut self, value: ValueRef<'_>, at: Millis) {
        let index = match value {
            ValueRef::Null => return,
            ValueRef::Number(_) => 0,
            ValueRef::Text(_) => 1,
            ValueRef::Bool(_) => 2,
            ValueRef::Array(_) => 3,
            ValueRef::Object(_) => 4,
        };
        self.counts[index] += 1;
        self.latest = self.latest.max(Some(at));
        if let ValueRef::Text(text) = value {
            self.numbers_in_text += u64::from(Decimal::parse(text).is_ok());
        }
        match value {
            // What a list holds is what a rule compares with.
            ValueRef::Array(items) => items.take(MOST_EXAMPLES).for_each(|item| self.take_example(item)),
            value => self.take_example(value),
        }
    }

    fn take_example(&mut self, value: ValueRef<'_>) {
        let is_short = match value {
            ValueRef::Bool(_) | ValueRef::Number(_) => true,
            ValueRef::Text(text) => text.len() <= MOST_BYTES,
            ValueRef::Null | ValueRef::Array(_) | ValueRef::Object(_) => false,
        };
        if is_short && self.examples.len() < MOST_EXAMPLES {
            let value = value.to_value();
            if !self.examples.contains(&value) {
                self.examples.push(value);
            }
        }
    }
}

fn told_fields(fields: &BTreeMap<String, Field>) -> Vec<FieldShape> {
    let found = |field: &Field| TYPES.into_iter().zip(field.counts).filter(|(_, count)| *count > 0);
    let shapes = fields.iter().map(|(name, field)| FieldShape {
        name: name.clone(),
        types: found(field).map(|(name, _)| name).collect(),
        counts: found(field).map(|(_, count)| count).collect(),
        numbers_in_text: field.numbers_in_text,
        last_seen_at: field.latest.map(format_time),
        examples: field
            .examples
            .iter()
            .filter_map(|example| RawValue::from_string(value_to_json(example)).ok())
            .collect(),
    });
    shapes.collect()
}

/// The fields by paths that rules may name: those of objects in lists are none.
fn seen_fields(fields: &BTreeMap<String, Field>) -> SeenFields {
    let seen = fields.iter().filter(|(name, _)| !name.contains(LINES)).map(|(name, field)| {
        let [is_number, is_text, is_boolean, is_list, _] = field.counts.map(|count| count > 0);
        let examples = field.examples.clone();
        (name.clone(), SeenField { is_number, is_text, is_boolean, is_list, examples })
    });
    seen.collect()
}

/// The shapes of all events of a log.
pub(crate) struct EventShapes {
    engine: Arc<Engine>,
    events: Arc<dyn EventLog>,
    shapes: Mutex<Shapes>,
    /// The shapes as of the last look, for edits: they wait for no look, and copy nothing.
    seen: Mutex<Arc<SeenData>>,
}

impl EventShapes {
    /// The shapes of a log that is not looked at yet.
    pub(crate) fn new(engine: Arc<Engine>, events: Arc<dyn EventLog>) -> EventShapes {
        EventShapes { engine, events, shapes: Mutex::default(), seen: Mutex::default() }
    }

    /// Looks at the events that were accepted since the last look. The stop ends a look early.
    pub(crate) fn look(&self, stop: &Stop) -> audience_contract::Result<()> {
        let mut shapes = self.shapes.lock();
        let end = self.events.end();
        let begin = match shapes.next {
            Some(next) => next.max(end.saturating_sub(MOST_OF_A_LOOK)),
            None => end.saturating_sub(NEWEST),
        };
        if begin == end {
            shapes.next = Some(end);
            return Ok(());
        }
        shapes.begin_look();
        let erased: HashMap<String, u64> = self.engine.aliases().read().erased().into_iter().collect();
        let counts_from = |event: &EventRef<'_>| match erased.is_empty() {
            true => 0,
            false => erased.get(event.user()).copied().unwrap_or(0),
        };
        let is_beginning = shapes.next.is_none();
        let mut must_begin_anew = false;
        self.events.scan(begin..end, &mut |run| {
            for event in records(run).filter(|event| (begin..end).contains(&event.sequence())) {
                // Not all that it erases is known before the workers have done it.
                let from = counts_from(&event);
                must_begin_anew |= event.kind() == RecordKind::Erasure && !(is_beginning && from >= event.sequence());
                if event.sequence() >= from {
                    shapes.take(&event);
                }
            }
            if stop.is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        shapes.next = Some(end);
        if must_begin_anew {
            *shapes = Shapes::default();
        }
        *self.seen.lock() = Arc::new(shapes.seen());
        Ok(())
    }

    /// Warnings of rules, or of a trait's definition, that stand at `pointer` in a request, by the last look.
    pub(crate) fn warnings(&self, pointer: &str, rules: &RawValue, documents: &Documents) -> Vec<Fault> {
        let Ok(rules) = parse_json(rules.get().as_bytes()) else { return Vec::new() };
        let seen = self.seen.lock().clone();
        let computed: Vec<&str> = documents.traits.keys().map(|name| &**name).collect();
        let found = seen::warnings(&rules, &seen, &computed).into_iter();
        found.map(|fault| Fault { pointer: format!("{pointer}{}", fault.pointer), ..fault }).collect()
    }

    /// The shapes of events, the most frequent first, and of traits. Looks at the events since the last look first: who
    /// sends an event and then asks finds it.
    ///
    /// # Errors
    ///
    /// The event log cannot be read.
    pub(crate) fn told(&self) -> audience_contract::Result<(Vec<EventShape>, Vec<FieldShape>)> {
        self.look(&Stop::default())?;
        Ok(self.shapes.lock().told(clock::now()))
    }

    /// The `identify` traits that a computed trait of the same name hides, by name.
    pub(crate) fn hidden_traits(&self, documents: &Documents) -> Vec<String> {
        let shapes = self.shapes.lock();
        shapes.traits.keys().filter(|name| documents.traits.contains_key(name.as_str())).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use audience_rules::event::{EventDefaults, decode_event};
    use serde_json::{Value as Json, json};

    use super::*;

    fn shapes(events: impl IntoIterator<Item = String>) -> Shapes {
        let mut shapes = Shapes::default();
        for json in events {
            let mut record = Vec::new();
            decode_event(json.as_bytes(), &EventDefaults { accepted_at: 1000 }, &mut record).expect(&json);
            records(&record).for_each(|event| shapes.take(&event));
        }
        shapes
    }

    fn field(name: &str, types: Json, counts: Json, numbers_in_text: u64, examples: Json) -> Json {
        let last_seen_at = format_time(1000);
        json!({
            "name": name, "types": types, "counts": counts, "numbersInText": numbers_in_text,
            "lastSeenAt": last_seen_at, "examples": examples,
        })
    }

    fn fields(fields: &[FieldShape]) -> Json {
        serde_json::to_value(fields).expect("plain data")
    }

    #[test]
    fn what_was_seen() {
        let texts = [
            r#"{"userId":"a","eventType":"p","properties":{"amount":5,"o":{"b":true,"x.y":1},"tags":["n","m"],"none":null}}"#,
            r#"{"userId":"a","eventType":"p","properties":{"amount":"7","o":{"b":true}}}"#,
            r#"{"userId":"a","eventType":"p","properties":{"amount":"x","lines":[{"sku":1},{"sku":"b","n":[]},7]}}"#,
            r#"{"userId":"a","eventType":"identify","traits":{"plan":"gold"}}"#,
            r#"{"userId":"a","previousId":"b","eventType":"alias"}"#,
        ];
        let shapes = shapes(texts.map(str::to_owned));
        let (events, traits) = shapes.told(1000);
        assert_eq!(
            events.iter().map(|event| (&*event.name, event.count)).collect::<Vec<_>>(),
            [("p", 3), ("identify", 1)]
        );
        assert_eq!(
            fields(&events[0].properties),
            json!([
                field("amount", json!(["number", "text"]), json!([1, 2]), 1, json!([5, "7", "x"])),
                field("lines", json!(["list"]), json!([1]), 0, json!([7])),
                field("lines[].n", json!(["list"]), json!([1]), 0, json!([])),
                field("lines[].sku", json!(["number", "text"]), json!([1, 1]), 0, json!([1, "b"])),
                field("o", json!(["object"]), json!([2]), 0, json!([])),
                field("o.b", json!(["boolean"]), json!([2]), 0, json!([true])),
                field("tags", json!(["list"]), json!([1]), 0, json!(["n", "m"])),
            ])
        );
        assert_eq!(fields(&traits), json!([field("plan", json!(["text"]), json!([1]), 0, json!(["gold"]))]));
        let known: Vec<String> = shapes.seen().events["p"].keys().cloned().collect();
        assert_eq!(known, ["amount", "lines", "o", "o.b", "tags"]);
    }

    #[test]
    fn it_is_bounded() {
        let wide = |event: usize| {
            let members: Vec<String> = (0..100).map(|field| format!(r#""f{field}":"{}""#, "x".repeat(event))).collect();
            format!(r#"{{"userId":"a","eventType":"e{event}","properties":{{{}}}}}"#, members.join(","))
        };
        let shapes = shapes((0..2000).map(|event| if event < 1000 { wide(event) } else { wide(0) }));
        assert_eq!(shapes.events.len(), MOST_NAMES);
        assert_eq!(shapes.fields, MOST_FIELDS);
        let kept: usize = shapes.events.values().map(|seen| seen.fields.len()).sum();
        assert_eq!(kept, MOST_FIELDS);
        let longest = shapes.events.values().flat_map(|seen| seen.fields.values()).flat_map(|field| &field.examples);
        assert!(longest.map(|example| value_to_json(example).len()).max() <= Some(MOST_BYTES + 2));
        let many = (0..100).map(|n| format!(r#"{{"userId":"a","eventType":"p","properties":{{"n":{n}}}}}"#));
        assert_eq!(super::tests::shapes(many).told(0).0[0].properties[0].examples.len(), MOST_EXAMPLES);
    }

    #[test]
    fn hours_are_those_of_the_last_day() {
        let mut seen = Seen::default();
        let accepted: Vec<Millis> = (0..400).map(|nth| nth * HOUR / 7).collect();
        accepted.iter().for_each(|at| seen.count_hour(at.div_euclid(HOUR)));
        let now = accepted[399];
        for now in [now, now + 5 * HOUR, now + 30 * HOUR] {
            // Counted naively: those accepted within the hour that now is in, and the 23 before it.
            let mut naive: BTreeMap<Millis, u64> = BTreeMap::new();
            let this_hour = now.div_euclid(HOUR);
            for hour in accepted.iter().map(|at| at.div_euclid(HOUR)).filter(|hour| this_hour - hour < 24) {
                *naive.entry(hour * HOUR).or_default() += 1;
            }
            let naive: Vec<EventsOfHour> =
                naive.into_iter().map(|(at, count)| EventsOfHour { at: format_time(at), count }).collect();
            assert_eq!(seen.told_hours(now), naive);
        }
    }
}

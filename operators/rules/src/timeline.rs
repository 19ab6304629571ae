//! Timelines: events, edits and clock steps in an order, and the exact members expected in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ast::{Millis, Node};
use crate::catalogue::{Catalogue, Definition, Segment, SegmentStatus};
use crate::event::{EventDecoder, EventDefaults};
use crate::fault::Fault;
use crate::json::{members_of, parse_json};
use crate::oracle::World;
use crate::record::erasure;
use crate::time::parse_time;
use crate::value::Value;
use crate::zone::ZoneId;

/// A line of a timeline.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// The subject of the timeline.
    Case(String),
    /// The clock moves forward to here.
    At(Millis),
    /// An event arrives: its JSON as it stands.
    Event(Vec<u8>),
    /// The user that this id stands for is erased.
    EraseUser(String),
    /// The platform's time zone changes.
    Timezone(String),
    /// A computed trait is created or replaced.
    Trait(Value),
    /// A segment is created or replaced.
    Segment(SegmentLine),
    /// A segment is deleted.
    DeleteSegment(String),
    /// The exact members of these segments, in any order.
    Expect(BTreeMap<String, Vec<String>>),
    /// Rules that are refused.
    Refused {
        /// The segment that they are given to.
        id: String,
        /// The rules.
        rules: Value,
        /// The pointers of their faults.
        pointers: Vec<String>,
    },
}

/// A segment as a timeline states it.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentLine {
    /// Its id.
    pub id: String,
    /// Its name, or its id.
    pub name: String,
    /// Its lifecycle status; active by default.
    pub status: SegmentStatus,
    /// Its members.
    pub definition: SegmentDefinition,
}

/// The members of a segment of a timeline, as a rule or as a list.
#[derive(Clone, Debug, PartialEq)]
pub enum SegmentDefinition {
    /// Rules, not yet checked.
    Dynamic(Value),
    /// A list.
    Static(Vec<String>),
}

/// A fault in a line of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct TimelineFault {
    /// Counted from 1.
    pub line: usize,
    /// For people.
    pub message: String,
}

/// Reads a timeline, one JSON object a line, each line with its number. Empty lines are nothing.
pub fn parse_timeline(text: &str) -> Result<Vec<(usize, Line)>, TimelineFault> {
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    lines.map(|(line, number)| read_line(line, number)).collect()
}

fn read_line(line: &str, number: usize) -> Result<(usize, Line), TimelineFault> {
    let read = || {
        let members = members_of(line.as_bytes()).map_err(|fault| fault.to_string())?;
        let [(kind, json)] = &members[..] else { return Err("a line is an object with exactly one member".into()) };
        if kind == "event" {
            return Ok(Line::Event(json.to_vec()));
        }
        read_statement(kind, parse_json(json).map_err(|fault| fault.to_string())?)
    };
    read().map(|line| (number, line)).map_err(|message| TimelineFault { line: number, message })
}

fn read_statement(kind: &str, value: Value) -> Result<Line, String> {
    Ok(match kind {
        "case" => Line::Case(text(&value)?),
        "at" => Line::At(parse_time(&value).ok_or("`at` is not a time")?),
        "timezone" => Line::Timezone(text(&value)?),
        "eraseUser" => Line::EraseUser(text(&value)?),
        "trait" => Line::Trait(value),
        "segment" => Line::Segment(read_segment(&value)?),
        "deleteSegment" => Line::DeleteSegment(text(&value)?),
        "expect" => {
            let Value::Object(members) = &value else {
                return Err("`expect` is an object of lists of user ids".into());
            };
            let expected = members.iter().map(|(segment, users)| Ok((segment.to_string(), texts(users)?)));
            Line::Expect(expected.collect::<Result<_, String>>()?)
        }
        "refused" => {
            only_known(&value, &["id", "rules", "pointers"])?;
            Line::Refused {
                id: text(member(&value, "id")?)?,
                rules: member(&value, "rules")?.clone(),
                pointers: texts(member(&value, "pointers")?)?,
            }
        }
        other => return Err(format!("`{other}` is no kind of line")),
    })
}

fn read_segment(value: &Value) -> Result<SegmentLine, String> {
    only_known(value, &["id", "name", "description", "type", "status", "rules", "members"])?;
    let id = text(member(value, "id")?)?;
    let name = value.get("name").map_or_else(|| Ok(id.clone()), text)?;
    let word = |key| value.get(key).map(|word| text(word).map(|word| word.to_ascii_uppercase())).transpose();
    let status = match word("status")?.as_deref() {
        None | Some("ACTIVE") => SegmentStatus::Active,
        Some("DRAFT") => SegmentStatus::Draft,
        Some("INACTIVE") => SegmentStatus::Inactive,
        Some("ARCHIVED") => SegmentStatus::Archived,
        Some(other) => return Err(format!("`{other}` is no status")),
    };
    let definition = match (word("type")?.as_deref(), value.get("rules"), value.get("members")) {
        (Some("DYNAMIC") | None, Some(rules), None) => SegmentDefinition::Dynamic(rules.clone()),
        (Some("STATIC") | None, None, Some(members)) => SegmentDefinition::Static(texts(members)?),
        _ => return Err("a segment is DYNAMIC with `rules`, or STATIC with `members`".into()),
    };
    Ok(SegmentLine { id, name, status, definition })
}

fn only_known(value: &Value, keys: &[&str]) -> Result<(), String> {
    let Value::Object(members) = value else { return Err("it must be an object".into()) };
    match members.iter().find(|(key, _)| !keys.contains(&&**key)) {
        Some((unknown, _)) => Err(format!("`{unknown}` is not known here")),
        None => Ok(()),
    }
}

fn member<'v>(value: &'v Value, key: &str) -> Result<&'v Value, String> {
    value.get(key).ok_or_else(|| format!("`{key}` is missing"))
}

/// A string; a number is taken as its text, as in ids.
fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::Text(text) => Ok(text.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err("expected a string".into()),
    }
}

fn texts(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        _ => Err("expected a list of strings".into()),
    }
}

/// A system that timelines are run against.
pub trait Subject {
    /// Moves the clock.
    fn at(&mut self, now: Millis);
    /// Takes an event; without a timestamp it has the clock's.
    fn event(&mut self, json: &[u8]) -> Result<(), String>;
    /// Erases the user that this id stands for.
    fn erase_user(&mut self, id: &str) -> Result<(), String>;
    /// Changes the platform's time zone.
    fn set_timezone(&mut self, name: &str) -> Result<(), String>;
    /// Creates or replaces a computed trait.
    fn put_trait(&mut self, json: &Value) -> Result<(), String>;
    /// Creates or replaces a segment.
    fn put_segment(&mut self, segment: &SegmentLine) -> Result<(), String>;
    /// Deletes a segment.
    fn delete_segment(&mut self, id: &str) -> Result<(), String>;
    /// The members of a segment now; none where there is no such segment.
    fn members(&mut self, segment: &str) -> Vec<String>;
    /// Gives a segment rules that are to be refused; the pointers of their faults. None means that they were taken.
    fn refuse(&mut self, id: &str, rules: &Value) -> Vec<String>;
}

/// Something that happened at a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFailure {
    /// Counted from 1.
    pub line: usize,
    /// For people.
    pub message: String,
}

/// The outcome of a timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimelineOutcome {
    /// Expectations that did not come true.
    pub failures: Vec<LineFailure>,
    /// Events, edits and clock steps that were refused. That changes nothing and, by itself, is no failure: a timeline may state just
    /// that.
    pub refusals: Vec<LineFailure>,
}

/// Runs a timeline to its end.
pub fn run<S: Subject>(lines: &[(usize, Line)], subject: &mut S) -> TimelineOutcome {
    let mut outcome = TimelineOutcome::default();
    let mut clock = 0;
    for (line, statement) in lines {
        let mut fail = |message| outcome.failures.push(LineFailure { line: *line, message });
        let done = match statement {
            Line::Case(_) => Ok(()),
            Line::At(now) if *now < clock => Err("the clock moves forward only".into()),
            Line::At(now) => {
                clock = *now;
                subject.at(clock);
                Ok(())
            }
            Line::Event(json) => subject.event(json),
            Line::EraseUser(id) => subject.erase_user(id),
            Line::Timezone(name) => subject.set_timezone(name),
            Line::Trait(json) => subject.put_trait(json),
            Line::Segment(segment) => subject.put_segment(segment),
            Line::DeleteSegment(id) => subject.delete_segment(id),
            Line::Expect(expected) => {
                for (segment, users) in expected {
                    let difference = compare(users, &subject.members(segment));
                    difference.into_iter().for_each(|text| fail(format!("segment `{segment}`: {text}")));
                }
                Ok(())
            }
            Line::Refused { id, rules, pointers } => {
                let difference = compare(pointers, &subject.refuse(id, rules));
                difference.into_iter().for_each(|text| fail(format!("faults of rules for `{id}`: {text}")));
                Ok(())
            }
        };
        if let Err(message) = done {
            outcome.refusals.push(LineFailure { line: *line, message });
        }
    }
    outcome
}

/// Returns the difference between what was expected and what was found, in any order.
fn compare(expected: &[String], found: &[String]) -> Option<String> {
    let (expected, found): (BTreeSet<_>, BTreeSet<_>) = (expected.iter().collect(), found.iter().collect());
    let missing: Vec<_> = expected.difference(&found).collect();
    let surplus: Vec<_> = found.difference(&expected).collect();
    let is_equal = missing.is_empty() && surplus.is_empty();
    (!is_equal).then(|| format!("expected {expected:?}; missing {missing:?}, unexpected {surplus:?}"))
}

/// The naive evaluator with a clock.
pub struct OracleSubject {
    /// All that it has accepted.
    pub world: World,
    /// The clock.
    pub now: Millis,
    decoder: EventDecoder,
    record: Vec<u8>,
}

impl Default for OracleSubject {
    fn default() -> Self {
        let world = World::new(Catalogue::with_shipped_traits());
        OracleSubject { world, now: 0, decoder: EventDecoder::new(), record: Vec::new() }
    }
}

impl OracleSubject {
    fn check(&self, id: &str, rules: &Value) -> Result<Node, Vec<Fault>> {
        self.world.catalogue.check_rules(id, rules)
    }
}

impl Subject for OracleSubject {
    fn at(&mut self, now: Millis) {
        self.now = now;
    }

    fn event(&mut self, json: &[u8]) -> Result<(), String> {
        self.record.clear();
        let defaults = EventDefaults { accepted_at: self.now };
        self.decoder.decode(json, &defaults, &mut self.record).map_err(|fault| fault.to_string())?;
        self.world.accept(&self.record);
        Ok(())
    }

    fn erase_user(&mut self, id: &str) -> Result<(), String> {
        self.record.clear();
        erasure(id, self.now, &mut self.record);
        self.world.accept(&self.record);
        Ok(())
    }

    fn set_timezone(&mut self, name: &str) -> Result<(), String> {
        let zone = ZoneId::named(name).ok_or_else(|| format!("`{name}` is no time zone"))?;
        self.world.catalogue.timezone = zone;
        self.decoder.set_zone(zone);
        Ok(())
    }

    fn put_trait(&mut self, json: &Value) -> Result<(), String> {
        let computed = self.world.catalogue.check_trait(json).map_err(all)?;
        self.world.catalogue.put_trait(computed);
        Ok(())
    }

    fn put_segment(&mut self, segment: &SegmentLine) -> Result<(), String> {
        let definition = match &segment.definition {
            SegmentDefinition::Dynamic(rules) => {
                Definition::Dynamic(self.check(&segment.id, rules).map_err(all)?.into())
            }
            SegmentDefinition::Static(users) => {
                let users: BTreeSet<Arc<str>> = users.iter().map(|user| user.as_str().into()).collect();
                Definition::Static(users.into())
            }
        };
        let id: Arc<str> = segment.id.as_str().into();
        let version = self.world.catalogue.segments.get(&id).map_or(0, |old| old.version) + 1;
        self.world.catalogue.put_segment(Segment { id, version, status: segment.status, definition });
        Ok(())
    }

    fn delete_segment(&mut self, id: &str) -> Result<(), String> {
        self.world.catalogue.check_delete_segment(id).map_err(|fault| fault.to_string())?;
        let deleted = self.world.catalogue.delete_segment(id);
        deleted.map(|_| ()).ok_or_else(|| format!("there is no segment `{id}`"))
    }

    fn members(&mut self, segment: &str) -> Vec<String> {
        self.world.members(segment, self.now).iter().map(|user| user.to_string()).collect()
    }

    fn refuse(&mut self, id: &str, rules: &Value) -> Vec<String> {
        let faults = self.check(id, rules).err().unwrap_or_default();
        faults.into_iter().map(|fault| fault.pointer).collect()
    }
}

fn all(faults: Vec<Fault>) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str) -> TimelineOutcome {
        run(&parse_timeline(text).expect("a timeline"), &mut OracleSubject::default())
    }

    #[test]
    fn timeline_reports_expectations_that_fail() {
        let text = r#"
            {"case": "a surplus and a missing user"}
            {"at": "2026-01-01T00:00:00Z"}
            {"segment": {"id": "s", "type": "static", "members": ["a", "b", 7]}}
            {"segment": {"id": "r", "rules": {"event": "p"}}}
            {"event": {"userId": "a", "eventType": "p"}}
            {"expect": {"s": ["b", "7", "a"], "r": ["a"], "none": []}}
            {"expect": {"s": ["a", "c"]}}
            {"refused": {"id": "r", "rules": {"event": "p"}, "pointers": ["/event"]}}"#;
        let outcome = outcome(text);
        assert_eq!(outcome.failures.iter().map(|failure| failure.line).collect::<Vec<_>>(), [8, 9]);
        assert!(outcome.failures[0].message.contains(r#"missing ["c"], unexpected ["7", "b"]"#), "{outcome:?}");
        assert_eq!(outcome.refusals, []);
    }

    #[test]
    fn timeline_refusal_changes_nothing() {
        let text = r#"{"at": "2026-01-02T00:00:00Z"}
            {"at": "2026-01-01T00:00:00Z"}
            {"event": {"userId": "a", "eventType": "p", "timestamp": 1e400}}
            {"event": {"userId": "a", "eventType": "p", "timestamp": "2026-13-01T00:00:00Z"}}
            {"trait": {"name": "t", "event": "p", "measure": {"fn": "last", "of": "v"}}}
            {"segment": {"id": "s", "rules": {"field": "t", "operator": "starts_with", "value": "x"}}}
            {"trait": {"name": "t", "event": "p"}}
            {"segment": {"id": "s", "rules": {"field": "t"}}}
            {"segment": {"id": "t", "rules": {"segment": "s"}}}
            {"deleteSegment": "s"}
            {"deleteSegment": "none"}
            {"event": {"userId": "b", "eventType": "p", "properties": {"v": "xy"}}}
            {"expect": {"s": ["b"], "t": ["b"]}}"#;
        let outcome = outcome(text);
        assert_eq!(outcome.failures, []);
        let lines: Vec<usize> = outcome.refusals.iter().map(|refusal| refusal.line).collect();
        assert_eq!(lines, [2, 3, 4, 7, 8, 10, 11]);
    }

    #[test]
    fn timeline_fault_names_its_line() {
        for line in [
            "x",
            "[]",
            "{}",
            r#"{"at": "2026"}"#,
            r#"{"at": 1, "case": ""}"#,
            r#"{"nothing": 1}"#,
            r#"{"expect": []}"#,
            r#"{"expect": {"s": [null]}}"#,
            r#"{"segment": {"id": "s"}}"#,
            r#"{"segment": {"rules": {}}}"#,
            r#"{"segment": {"id": "s", "type": "STATIC", "rules": {}}}"#,
            r#"{"segment": {"id": "s", "rules": {}, "x": 1}}"#,
            r#"{"refused": {"id": "s", "rules": {}}}"#,
            r#"{"segment": {"id": "s", "rules": {}, "status": "on"}}"#,
        ] {
            let text = format!("\n{{\"at\": 5}}\n{line}\n");
            assert_eq!(parse_timeline(&text).expect_err(line).line, 3, "{line}");
        }
    }
}

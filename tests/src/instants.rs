//! When something may change by time alone: every time in a timeline, with every duration in it added.

use std::collections::BTreeSet;

use audience_rules::ast::Millis;
use audience_rules::time::{parse_duration, parse_rfc3339};
use serde_json::Value;

/// Every time and every duration in a timeline.
#[derive(Clone, Debug, Default)]
pub struct Instants {
    times: BTreeSet<Millis>,
    durations: BTreeSet<Millis>,
}

impl Instants {
    /// Notes what a line says; an event without a timestamp happens at `now`.
    pub fn note(&mut self, line: &Value, now: Millis) {
        if line.get("event").is_some() {
            self.times.insert(now);
        }
        self.note_value(line);
    }

    fn note_value(&mut self, value: &Value) {
        match value {
            Value::Number(number) => {
                if let Some(time) = number.as_i64().filter(|time| *time > 1_000_000_000_000) {
                    self.times.insert(time);
                }
            }
            Value::String(text) => {
                self.times.extend(parse_rfc3339(text));
                self.durations.extend(parse_duration(text));
            }
            Value::Array(items) => items.iter().for_each(|item| self.note_value(item)),
            Value::Object(members) => members.values().for_each(|value| self.note_value(value)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// The instants after `from` and up to `to` at which something may change by time alone, and those beside them.
    pub fn within(&self, from: Millis, to: Millis) -> BTreeSet<Millis> {
        let own = self.times.iter().copied();
        let added = self.times.iter().flat_map(|time| self.durations.iter().map(move |duration| time + duration));
        own.chain(added)
            .flat_map(|instant| [instant - 1, instant, instant + 1])
            .filter(|instant| *instant > from && *instant <= to)
            .collect()
    }

    /// All times so far, at least one after a first event.
    pub fn times(&self) -> Vec<Millis> {
        self.times.iter().copied().collect()
    }

    /// All durations so far.
    pub fn durations(&self) -> Vec<Millis> {
        self.durations.iter().copied().collect()
    }
}

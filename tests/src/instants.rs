//! When something may change by time alone: every time in a timeline, with every duration in it added.

use std::collections::BTreeSet;

use audience_rules::ast::Millis;
use audience_rules::time::{DAY, Duration, parse_duration, parse_time_text};
use audience_rules::zone::ZoneId;
use serde_json::Value;

/// Every time and every duration in a timeline.
#[derive(Clone, Debug, Default)]
pub struct Instants {
    times: BTreeSet<Millis>,
    durations: BTreeSet<Millis>,
    /// Durations of the calendar.
    months: BTreeSet<i64>,
    /// Zones that are named; days begin in each.
    zones: BTreeSet<ZoneId>,
}

/// Days whose beginnings are looked at, at most.
const MOST_DAYS: i64 = 40;

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
                self.times.extend(parse_time_text(text, ZoneId::UTC));
                let duration = text.trim_start_matches(['+', '-']);
                self.durations.extend(parse_duration(duration));
                if let Some(Duration::Months(months)) = Duration::parse(duration, Duration::LIFETIME) {
                    self.months.insert(months);
                }
                if let Some(zone) = ZoneId::named(text) {
                    self.zones.insert(zone);
                }
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
        let months = self.times.iter().flat_map(|time| {
            self.months.iter().flat_map(|months| self.zones.iter().map(|zone| zone.add_months(*time, *months)))
        });
        own.chain(added)
            .chain(months)
            .chain(self.days(from, to))
            .flat_map(|instant| [instant - 1, instant, instant + 1])
            .filter(|instant| *instant > from && *instant <= to)
            .collect()
    }

    /// The beginnings of some days in the zones that are named.
    fn days(&self, from: Millis, to: Millis) -> impl Iterator<Item = Millis> {
        let (first, last) = (from.div_euclid(DAY) - 1, to.div_euclid(DAY) + 2);
        let days = first..last.min(first + MOST_DAYS);
        self.zones.iter().flat_map(move |zone| days.clone().map(|day| zone.day_start(day)))
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

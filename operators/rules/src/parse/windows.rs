//! Windows over time.

use super::object::NodeObject;
use super::{Parser, kind_of};
use crate::ast::{Window, Zone};
use crate::fault::code;
use crate::time::{Duration, WrittenTime};
use crate::value::Value;
use crate::zone::{CalendarUnit, ZoneId};

/// The units of the calendar, and how many of each a window reaches back at most.
const UNITS: [(&str, CalendarUnit, i64); 5] = [
    ("day", CalendarUnit::Day, 3650),
    ("week", CalendarUnit::Week, 520),
    ("month", CalendarUnit::Month, 120),
    ("quarter", CalendarUnit::Quarter, 40),
    ("year", CalendarUnit::Year, 10),
];

impl Parser<'_> {
    pub(super) fn window(&mut self, json: &Value) -> Option<Window> {
        if let Value::Text(_) = json {
            return self.window_duration(json).map(|last| span(last, Duration::ZERO, None));
        }
        let object = self.object(json, "a window (if not a duration such as \"30d\")")?;
        let kinds = ["last", "ago", "calendar"];
        let is_fixed = !object.has("calendar") && (object.has("from") || object.has("to"));
        let mut found = kinds.into_iter().filter(|kind| object.has(kind));
        match (found.next(), found.next(), is_fixed) {
            (None, _, false) => self.fault(
                code::NO_DISCRIMINATOR,
                "a window is a duration, {last}, {ago: [d1, d2]}, {calendar, from, to?} or {from?, to?}",
            ),
            (Some("last"), None, false) => {
                self.known_keys(object, &["last", "zone"]);
                let last = self.member(object, "last", |parser, json| parser.window_duration(json));
                let zone = self.optional(object, "zone", |parser, json| parser.zone(json));
                Some(span(last?, Duration::ZERO, zone?))
            }
            (Some("ago"), None, false) => {
                self.known_keys(object, &["ago", "zone"]);
                let ends = self.member(object, "ago", |parser, json| parser.ago(json));
                let zone = self.optional(object, "zone", |parser, json| parser.zone(json));
                let (from, to) = ends?;
                Some(span(from, to, zone?))
            }
            (Some(_), None, false) => self.calendar(object),
            (None, _, true) => self.fixed(object),
            _ => {
                self.known_keys(object, &["last", "ago", "calendar", "from", "to", "weekStart", "zone"]);
                self.fault(
                    code::SEVERAL_DISCRIMINATORS,
                    "a window is one of {last}, {ago}, {calendar, from, to?} and {from?, to?}, not several",
                )
            }
        }
    }

    fn ago(&mut self, json: &Value) -> Option<(Duration, Duration)> {
        let items = match json {
            Value::Array(items) if items.len() == 2 => items,
            _ => return self.fault(code::WRONG_TYPE, "must be a list of two durations, such as [\"60d\", \"30d\"]"),
        };
        let ends = self.each(items, |parser, item| parser.window_duration(item))?;
        match ends[..] {
            [from, to] if from.rough_millis() > to.rough_millis() => Some((from, to)),
            _ => self.fault(code::OUT_OF_RANGE, "the first duration must be longer than the second"),
        }
    }

    fn calendar(&mut self, object: NodeObject<'_>) -> Option<Window> {
        self.known_keys(object, &["calendar", "from", "to", "weekStart", "zone"]);
        let unit = self.member(object, "calendar", |parser, json| match json {
            Value::Text(text) => match UNITS.iter().find(|(name, ..)| *name == &**text) {
                Some((_, unit, most)) => Some((*unit, *most)),
                None => parser.fault(code::UNKNOWN_WORD, "must be day, week, month, quarter or year"),
            },
            _ => parser.fault(code::WRONG_TYPE, format!("must be a string, not {}", kind_of(json))),
        });
        let most = unit.map_or(UNITS[0].2, |(_, most)| most);
        let from = self.member(object, "from", |parser, json| parser.whole(json, -most, 0));
        let to = self.optional(object, "to", |parser, json| parser.whole(json, -most, 0));
        let zone = self.optional(object, "zone", |parser, json| parser.zone(json));
        let unit = match unit {
            Some((CalendarUnit::Week, _)) => self.week_of(object),
            Some((unit, _)) if !object.has("weekStart") => Some(unit),
            _ if object.has("weekStart") => {
                self.fault_at("weekStart", code::UNEXPECTED_MEMBER, "`weekStart` stands beside weeks only")
            }
            _ => None,
        };
        let (unit, from, zone) = (unit?, from?, zone?.unwrap_or(Zone::Platform));
        let to = to?.unwrap_or(from);
        if from > to {
            return self.fault(code::OUT_OF_RANGE, "`from` must not be above `to`");
        }
        let back = |units: i64| u16::try_from(-units).ok();
        Some(Window::Calendar { unit, from: back(from)?, to: back(to)?, zone })
    }

    /// The week that `weekStart` says.
    pub(super) fn week_of(&mut self, object: NodeObject<'_>) -> Option<CalendarUnit> {
        let start = self.optional(object, "weekStart", |parser, json| match json {
            Value::Text(text) if &**text == "monday" => Some(CalendarUnit::Week),
            Value::Text(text) if &**text == "sunday" => Some(CalendarUnit::SundayWeek),
            Value::Text(_) => parser.fault(code::UNKNOWN_WORD, "must be monday or sunday"),
            _ => parser.fault(code::WRONG_TYPE, format!("must be monday or sunday, not {}", kind_of(json))),
        });
        Some(start?.unwrap_or(CalendarUnit::Week))
    }

    fn fixed(&mut self, object: NodeObject<'_>) -> Option<Window> {
        self.known_keys(object, &["from", "to", "zone"]);
        let from = self.optional(object, "from", |parser, json| parser.time(json));
        let to = self.optional(object, "to", |parser, json| parser.time(json));
        let zone = self.optional(object, "zone", |parser, json| parser.zone(json));
        let (from, to, zone) = (from?, to?, zone?.unwrap_or(Zone::Platform));
        let place = if let Zone::Named(zone) = zone { zone } else { ZoneId::UTC };
        let start = from.and_then(|from| from.instant(place));
        let end = to.and_then(|to| to.last_instant(place));
        if let (Some(start), Some(end)) = (start, end)
            && start > end
        {
            return self.fault(code::OUT_OF_RANGE, "`from` must not be after `to`");
        }
        let instant = |time: Option<WrittenTime>| match time {
            None => Some(None),
            Some(WrittenTime::Instant(instant)) => Some(Some(instant)),
            Some(_) => None,
        };
        Some(match (instant(from), instant(to)) {
            (Some(from), Some(to)) => Window::Fixed { from, to },
            _ => Window::Written { from, to, zone },
        })
    }
}

/// A window between two durations; of fixed lengths no zone matters.
fn span(from: Duration, to: Duration, zone: Option<Zone>) -> Window {
    match (from, to) {
        (Duration::Millis(last), Duration::ZERO) => Window::Last(last),
        (Duration::Millis(from), Duration::Millis(to)) => Window::Ago { from, to },
        _ => Window::Span { from, to, zone: zone.unwrap_or(Zone::Platform) },
    }
}

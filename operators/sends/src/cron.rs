//! Recurring instants: five fields of a cron expression, by the clock of a zone.
//!
//! **The law.** A recurrence comes at each local minute that all fields name. A minute that the clock skips comes at the first
//! instant after the gap, once. A minute that the clock shows twice comes the first time. Days of the month and of the week
//! that are both restricted count each for themselves, as in cron: `0 9 1 * MON` is on the first, and on Mondays.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::Millis;

/// The most days that are looked at for an instant: the next 29 February is up to eight years ahead.
const DAYS: u32 = 9 * 366;
/// The longest expression.
const LENGTH: usize = 256;

/// A field: its name, its least and greatest number, and the names of its numbers.
struct CronField {
    name: &'static str,
    least: u8,
    most: u8,
    words: &'static [&'static str],
}

const FIELDS: [CronField; 5] = [
    CronField { name: "minute", least: 0, most: 59, words: &[] },
    CronField { name: "hour", least: 0, most: 23, words: &[] },
    CronField { name: "day of the month", least: 1, most: 31, words: &[] },
    CronField {
        name: "month",
        least: 1,
        most: 12,
        words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    // 7 is Sunday, too.
    CronField { name: "day of the week", least: 0, most: 7, words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

/// A text that is no recurrence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRecurrence {
    /// There are not five fields.
    #[error(
        "a recurrence has five fields: minute, hour, day of the month, month, day of the week; such as `0 9 * * MON`"
    )]
    Fields,
    /// A field has a part that it does not take.
    #[error("the {field} {part:?} is none; write numbers from {least} to {most}, such as `1,3-5`, `*` or `*/2`")]
    Part {
        /// The field.
        field: &'static str,
        /// The part.
        part: String,
        /// The least number.
        least: u8,
        /// The greatest number.
        most: u8,
    },
    /// No day has such a date.
    #[error("no month has such a day")]
    Never,
}

/// A recurrence. Each field is a set of numbers, one bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recurrence {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// True if a day that is in either set is one; else it must be in both.
    is_either_day: bool,
}

impl Recurrence {
    /// Reads five fields.
    pub fn parse(text: &str) -> Result<Recurrence, NoRecurrence> {
        let parts: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts[..] else { return Err(NoRecurrence::Fields) };
        if text.len() > LENGTH {
            return Err(NoRecurrence::Fields);
        }
        let [minutes, hours, days, months, weekdays] = [
            numbers(minute, &FIELDS[0])?,
            numbers(hour, &FIELDS[1])?,
            numbers(day, &FIELDS[2])?,
            numbers(month, &FIELDS[3])?,
            numbers(weekday, &FIELDS[4])?,
        ];
        let weekdays = weekdays | (weekdays >> 7);
        let is_either_day = !day.starts_with('*') && !weekday.starts_with('*');
        let recurrence = Recurrence { minutes, hours, days, months, weekdays, is_either_day };
        if is_either_day || (1..=12).any(|month| has(months, month) && (1..=longest(month)).any(|day| has(days, day))) {
            return Ok(recurrence);
        }
        Err(NoRecurrence::Never)
    }

    /// Returns whether a local minute is one of the recurrence.
    pub fn has_minute(&self, local: DateTime) -> bool {
        self.has_day(local.date()) && has(self.hours, local.hour()) && has(self.minutes, local.minute())
    }

    fn has_day(&self, date: Date) -> bool {
        let by_month = has(self.days, date.day());
        let by_week = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        has(self.months, date.month()) && if self.is_either_day { by_month || by_week } else { by_month && by_week }
    }

    /// The first instant after another one. Cost: the days between.
    pub fn after(&self, at: Millis, zone: &TimeZone) -> Option<Millis> {
        let mut date = local_date(at, zone)?.yesterday().ok()?;
        for _ in 0..DAYS {
            let found = self.instants(date, zone).find(|instant| *instant > at);
            if found.is_some() {
                return found;
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The last instant after one and up to another one (inclusive). Cost: the days between.
    pub fn last(&self, after: Millis, until: Millis, zone: &TimeZone) -> Option<Millis> {
        let first = local_date(after, zone)?.yesterday().ok()?;
        let mut date = local_date(until, zone)?.tomorrow().ok()?;
        while date >= first {
            let found = self.instants(date, zone).filter(|instant| (after + 1..=until).contains(instant)).last();
            if found.is_some() {
                return found;
            }
            date = date.yesterday().ok()?;
        }
        None
    }

    /// The instants of a local day, ascending.
    fn instants<'a>(&'a self, date: Date, zone: &'a TimeZone) -> impl Iterator<Item = Millis> + 'a {
        let hours = (0..24).filter(move |hour| self.has_day(date) && has(self.hours, *hour));
        let times = hours.flat_map(move |hour| {
            let minutes = (0..60).filter(|minute| has(self.minutes, *minute));
            minutes.map(move |minute| Time::constant(hour, minute, 0, 0))
        });
        times.filter_map(move |time| instant_of(date.to_datetime(time), zone))
    }
}

/// The instant at which a clock shows a time first, or the first one after a gap that has it.
fn instant_of(local: DateTime, zone: &TimeZone) -> Option<Millis> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let earlier = ambiguous.earlier().ok()?;
    let instant = match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => zone.following(earlier).next()?.timestamp(),
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => earlier,
    };
    Some(instant.as_millisecond())
}

fn local_date(at: Millis, zone: &TimeZone) -> Option<Date> {
    Some(zone.to_datetime(Timestamp::from_millisecond(at).ok()?).date())
}

fn has(set: u64, number: i8) -> bool {
    u32::try_from(number).is_ok_and(|number| set & (1 << number) != 0)
}

/// The most days that a month has.
fn longest(month: i8) -> i8 {
    match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The numbers of a field: parts with commas between, each `*`, a number or a range, with a step or without.
fn numbers(text: &str, field: &CronField) -> Result<u64, NoRecurrence> {
    let mut set = 0;
    for part in text.split(',') {
        let wrong =
            || NoRecurrence::Part { field: field.name, part: part.to_owned(), least: field.least, most: field.most };
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let step = match step {
            Some(step) => digits(step).filter(|step| *step > 0).ok_or_else(wrong)?,
            None => 1,
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (field.least, field.most),
            Some((from, to)) => (number(from, field).ok_or_else(wrong)?, number(to, field).ok_or_else(wrong)?),
            None => {
                let from = number(range, field).ok_or_else(wrong)?;
                (from, if part.contains('/') { field.most } else { from })
            }
        };
        if from > to {
            return Err(wrong());
        }
        set |= (from..=to).step_by(usize::from(step)).fold(0_u64, |set, number| set | 1 << number);
    }
    Ok(set)
}

fn number(text: &str, field: &CronField) -> Option<u8> {
    let word = field.words.iter().position(|word| word.eq_ignore_ascii_case(text));
    let number = match word {
        Some(place) => u8::try_from(place).ok()? + field.least,
        None => digits(text)?,
    };
    (field.least..=field.most).contains(&number).then_some(number)
}

fn digits(text: &str) -> Option<u8> {
    (text.len() <= 2 && text.bytes().all(|digit| digit.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::zone;

    fn after(text: &str, at: &str, name: &str) -> String {
        let at = at.parse::<Timestamp>().unwrap().as_millisecond();
        let next = Recurrence::parse(text).unwrap().after(at, &zone(name).unwrap()).unwrap();
        Timestamp::from_millisecond(next).unwrap().to_string()
    }

    #[test]
    fn an_hour_stays_the_same_on_the_clock_of_the_place() {
        assert_eq!(after("0 9 * * MON", "2026-03-23T08:00:00Z", "Europe/Berlin"), "2026-03-30T07:00:00Z");
        assert_eq!(after("0 9 * * 1", "2026-03-23T07:59:59.999Z", "Europe/Berlin"), "2026-03-23T08:00:00Z");
        assert_eq!(after("*/20 8-9 * * *", "2026-05-01T09:40:00Z", "UTC"), "2026-05-02T08:00:00Z");
        assert_eq!(after("0 0 29 feb *", "2026-01-01T00:00:00Z", "UTC"), "2028-02-29T00:00:00Z");
        assert_eq!(after("0 0 1 * sun", "2026-05-01T00:00:00Z", "UTC"), "2026-05-03T00:00:00Z", "either day");
        assert_eq!(after("0 0 * * 7", "2026-05-01T00:00:00Z", "UTC"), "2026-05-03T00:00:00Z");
    }

    #[test]
    fn a_skipped_minute_comes_after_the_gap_and_one_shown_twice_comes_once() {
        assert_eq!(after("30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin"), "2026-03-29T01:00:00Z");
        assert_eq!(after("30 2 * * *", "2026-03-29T01:00:00Z", "Europe/Berlin"), "2026-03-30T00:30:00Z");
        assert_eq!(after("30 2 * * *", "2026-10-25T00:00:00Z", "Europe/Berlin"), "2026-10-25T00:30:00Z");
        assert_eq!(after("30 2 * * *", "2026-10-25T00:30:00Z", "Europe/Berlin"), "2026-10-26T01:30:00Z");
    }

    #[test]
    fn texts_that_are_none_are_refused() {
        for text in ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8"] {
            assert!(Recurrence::parse(text).is_err(), "{text}");
        }
        for text in ["5-3 * * * *", "*/0 * * * *", "+1 * * * *", "a * * * *", "1, * * * *", "1-2-3 * * * *", "@daily"] {
            assert!(Recurrence::parse(text).is_err(), "{text}");
        }
        assert_eq!(Recurrence::parse("0 0 31 2,4 *"), Err(NoRecurrence::Never));
        let fault = Recurrence::parse("0 25 * * *").unwrap_err().to_string();
        assert!(fault.contains("hour") && fault.contains("0 to 23"), "{fault}");
    }
}

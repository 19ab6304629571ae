//! Times and durations as they are written: RFC 3339 text, with or without an offset, a date or epoch milliseconds, and `30d`.
//!
//! Times are parsed for every event, so the parser reads bytes once and allocates nothing.

use serde::{Deserialize, Serialize};

use crate::ast::Millis;
use crate::decimal::{Decimal, UNITS_PER_ONE};
use crate::value::{Value, ValueRef};
use crate::zone::ZoneId;

/// The earliest time: the first millisecond of the year 1900.
pub const EARLIEST: Millis = -2_208_988_800_000;
/// The latest time: the last millisecond of the year 2199.
pub const LATEST: Millis = 7_258_118_399_999;
/// The longest duration: ten years of 365 days and three leap days, the most that ten years can have.
pub const LONGEST: Millis = 3653 * DAY;

const SECOND: Millis = 1000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;
/// Milliseconds in a day.
pub const DAY: Millis = 24 * HOUR;
/// Longest first, for writing.
const UNITS: [(u8, Millis); 5] = [(b'w', 7 * DAY), (b'd', DAY), (b'h', HOUR), (b'm', MINUTE), (b's', SECOND)];

/// A time as it is written: an instant, or a local time whose instant depends on the zone that it is read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum WrittenTime {
    /// With an offset, or a number of epoch milliseconds.
    Instant(Millis),
    /// Without an offset: milliseconds as if it were UTC.
    Local(Millis),
    /// A date: the milliseconds of its start as if it were UTC.
    Date(Millis),
}

impl WrittenTime {
    /// The time that a text says, in any range.
    fn of_text(text: &str) -> Option<WrittenTime> {
        let bytes = text.as_bytes();
        let (head, tail) = bytes.split_first_chunk::<10>()?;
        if head[4] != b'-' || head[7] != b'-' {
            return None;
        }
        let year = two_digits(head[0], head[1])? * 100 + two_digits(head[2], head[3])?;
        let (month, day) = (two_digits(head[5], head[6])?, two_digits(head[8], head[9])?);
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
            return None;
        }
        let date = days_from_civil(year, month, day) * DAY;
        if tail.is_empty() {
            return Some(WrittenTime::Date(date));
        }
        let (head, tail) = tail.split_first_chunk::<9>()?;
        if !matches!(head[0], b'T' | b't' | b' ') || head[3] != b':' || head[6] != b':' {
            return None;
        }
        let (hour, minute) = (two_digits(head[1], head[2])?, two_digits(head[4], head[5])?);
        let second = two_digits(head[7], head[8])?;
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let (fraction, zone) = parse_fraction(tail)?;
        let start_of_minute = date + hour * HOUR + minute * MINUTE;
        let since_minute = |is_last_minute: bool| match second {
            60 if is_last_minute => Some(MINUTE - 1),
            60 => None,
            _ => Some(second * SECOND + fraction),
        };
        // UTC has leap seconds only at the end of a day.
        let is_last = |minute: Millis| minute.rem_euclid(DAY) == DAY - MINUTE;
        if zone.is_empty() {
            return Some(WrittenTime::Local(start_of_minute + since_minute(is_last(start_of_minute))?));
        }
        let start_of_minute = start_of_minute - parse_offset(zone)?;
        Some(WrittenTime::Instant(start_of_minute + since_minute(is_last(start_of_minute))?))
    }

    /// The time that a JSON value says, if it lies in the range in UTC.
    pub fn of(value: &Value) -> Option<WrittenTime> {
        let written = match value {
            Value::Text(text) => WrittenTime::of_text(text)?,
            Value::Number(number) => WrittenTime::Instant(from_epoch_millis(*number)?),
            _ => return None,
        };
        written.instant(ZoneId::UTC).map(|_| written)
    }

    /// The instant that it is in a zone; `None` beyond the range of times.
    pub fn instant(self, zone: ZoneId) -> Option<Millis> {
        in_range(match self {
            WrittenTime::Instant(instant) => instant,
            WrittenTime::Local(local) | WrittenTime::Date(local) => zone.instant(local),
        })
    }

    /// The last instant that it means in a zone: of a date, the end of its day.
    pub fn last_instant(self, zone: ZoneId) -> Option<Millis> {
        match self {
            WrittenTime::Date(local) => Some(zone.instant(local + DAY) - 1),
            _ => self.instant(zone),
        }
    }
}

/// The time that a JSON value says in UTC; 1900 to 2199.
pub fn parse_time(value: &Value) -> Option<Millis> {
    match value {
        Value::Text(text) => parse_time_text(text, ZoneId::UTC),
        Value::Number(number) => from_epoch_millis(*number),
        _ => None,
    }
}

/// [`parse_time`] of a value read in place.
pub fn parse_time_ref(value: ValueRef<'_>) -> Option<Millis> {
    parse_time_in(value, ZoneId::UTC)
}

/// The time that a value says in a zone.
pub fn parse_time_in(value: ValueRef<'_>, zone: ZoneId) -> Option<Millis> {
    match value {
        ValueRef::Text(text) => parse_time_text(text, zone),
        ValueRef::Number(number) => from_epoch_millis(number),
        _ => None,
    }
}

/// The time that a text says in a zone.
pub fn parse_time_text(text: &str, zone: ZoneId) -> Option<Millis> {
    WrittenTime::of_text(text)?.instant(zone)
}

/// The time of an RFC 3339 text, which has an offset: `T` and `Z` in either case, any number of fractional digits (cut to
/// milliseconds). A leap second is the last millisecond of its minute.
pub fn parse_rfc3339(text: &str) -> Option<Millis> {
    match WrittenTime::of_text(text)? {
        WrittenTime::Instant(instant) => in_range(instant),
        WrittenTime::Local(_) | WrittenTime::Date(_) => None,
    }
}

fn from_epoch_millis(number: Decimal) -> Option<Millis> {
    // 10^9 = 2^9 · 5^9: the powers of two go first, so that the division is one of words.
    const FIVES: u64 = 5u64.pow(9);
    const _: () = assert!(UNITS_PER_ONE == (FIVES as i128) << 9);
    let units = number.units();
    let magnitude = units.unsigned_abs();
    let shifted = u64::try_from(magnitude >> 9).ok()?;
    if magnitude & 0x1ff != 0 || shifted % FIVES != 0 {
        return None;
    }
    let millis = (shifted / FIVES) as i64;
    in_range(if units < 0 { -millis } else { millis })
}

#[inline]
pub(crate) fn in_range(millis: Millis) -> Option<Millis> {
    (EARLIEST..=LATEST).contains(&millis).then_some(millis)
}

fn two_digits(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens * 10 + ones))
}

/// An optional `.digits` as whole milliseconds, and what follows.
fn parse_fraction(tail: &[u8]) -> Option<(Millis, &[u8])> {
    let [b'.', rest @ ..] = tail else { return Some((0, tail)) };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let digit = |at: usize| if at < length { i64::from(rest[at] - b'0') } else { 0 };
    Some((digit(0) * 100 + digit(1) * 10 + digit(2), &rest[length..]))
}

/// `Z`, `+hh:mm`, `-hh:mm`, or these without the colon, as milliseconds east of UTC.
fn parse_offset(zone: &[u8]) -> Option<Millis> {
    match *zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] | [sign @ (b'+' | b'-'), h1, h2, m1, m2] => {
            let (hours, minutes) = (two_digits(h1, h2)?, two_digits(m1, m2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * HOUR + minutes * MINUTE;
            Some(if sign == b'-' { -offset } else { offset })
        }
        _ => None,
    }
}

pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar; years begin in March, so that the leap day is
/// the last.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The year, month and day so many days from 1970-01-01.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// Writes a time in UTC: `2026-01-31T10:00:00Z`, with `.001` before the `Z` where it is not a whole second.
pub fn format_time(millis: Millis) -> String {
    let (year, month, day) = civil_from_days(millis.div_euclid(DAY));
    let rest = millis.rem_euclid(DAY);
    let (hour, minute, second, fraction) = (rest / HOUR, rest / MINUTE % 60, rest / SECOND % 60, rest % SECOND);
    let whole = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction == 0 { format!("{whole}Z") } else { format!("{whole}.{fraction:03}Z") }
}

/// Reads a duration: a positive whole number and one of `s m h d w`, at most [`LONGEST`].
pub fn parse_duration(text: &str) -> Option<Millis> {
    parse_fixed(text).filter(|millis| *millis <= LONGEST)
}

/// As [`parse_duration`], of any length.
fn parse_fixed(text: &str) -> Option<Millis> {
    let (unit, digits) = text.as_bytes().split_last()?;
    let (_, unit) = UNITS.iter().find(|(letter, _)| letter == unit)?;
    parse_count(digits)?.checked_mul(*unit)
}

/// A positive whole number of at most so many as the longest duration of all has milliseconds.
fn parse_count(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits.iter().try_fold(0i64, |sum, digit| {
        let sum = sum * 10 + i64::from(digit - b'0');
        (sum <= Duration::LIFETIME.rough_millis()).then_some(sum)
    })?;
    (count > 0).then_some(count)
}

/// A duration of fixed length, or of months of the calendar. A negative one lies ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Duration {
    /// Milliseconds.
    Millis(Millis),
    /// Months of the calendar, at the same local time.
    Months(i64),
}

impl Duration {
    /// None at all.
    pub const ZERO: Duration = Duration::Millis(0);
    /// The longest of a window.
    pub const WINDOW: Duration = Duration::Months(120);
    /// The longest that values are compared with.
    pub const LIFETIME: Duration = Duration::Months(1800);

    /// Reads a duration that may be of months (`mo`) or years (`y`), at most as long as `longest`, which is of months.
    pub fn parse(text: &str, longest: Duration) -> Option<Duration> {
        let months = match (text.strip_suffix("mo"), text.strip_suffix('y')) {
            (Some(digits), _) => parse_count(digits.as_bytes())?,
            (_, Some(digits)) => parse_count(digits.as_bytes())?.checked_mul(12)?,
            _ => {
                let millis = parse_fixed(text)?;
                return (millis <= longest.most_millis()).then_some(Duration::Millis(millis));
            }
        };
        (Duration::Months(months) <= longest).then_some(Duration::Months(months))
    }

    /// The most milliseconds that so many years can have.
    fn most_millis(self) -> Millis {
        match self {
            Duration::Millis(millis) => millis,
            // Whole years: 365.25 days each, rounded up.
            Duration::Months(months) => (months / 12 * 1461 + 3).div_euclid(4) * DAY,
        }
    }

    /// Its length, a month being 30.4375 days.
    pub fn rough_millis(self) -> Millis {
        match self {
            Duration::Millis(millis) => millis,
            Duration::Months(months) => months * (DAY * 30 + DAY * 7 / 16),
        }
    }

    /// The instant so much later than another.
    pub fn after(self, instant: Millis, zone: ZoneId) -> Millis {
        match self {
            Duration::Millis(millis) => instant.saturating_add(millis),
            Duration::Months(months) => zone.add_months(instant, months),
        }
    }
}

/// `90d` or `3mo`; [`Duration::parse`] reads it back where it is positive.
impl std::fmt::Display for Duration {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Duration::Millis(millis) => formatter.write_str(&format_duration(*millis)),
            Duration::Months(months) if months % 12 == 0 => write!(formatter, "{}y", months / 12),
            Duration::Months(months) => write!(formatter, "{months}mo"),
        }
    }
}

/// Writes a local time as [`WrittenTime`] reads it: `2026-01-31T10:00:00`.
pub fn format_local(local: Millis) -> String {
    let mut text = format_time(local);
    text.pop();
    text
}

/// Writes the date of a local time.
pub fn format_date(local: Millis) -> String {
    let mut text = format_time(local);
    text.truncate(10);
    text
}

/// Writes a duration in the longest unit that divides it; [`parse_duration`] reads it back where it is whole seconds.
pub fn format_duration(millis: Millis) -> String {
    let whole = UNITS.iter().find(|(_, unit)| millis % unit == 0);
    match whole {
        Some((letter, unit)) => format!("{}{}", millis / unit, char::from(*letter)),
        None => format!("{}s", Decimal::from_units(i128::from(millis) * UNITS_PER_ONE / 1000)),
    }
}

#[cfg(test)]
mod tests;

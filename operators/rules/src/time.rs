//! Times and durations as they are written: RFC 3339 text or epoch milliseconds, and `30d`.
//!
//! Times are parsed for every event, so the parser reads bytes once and allocates nothing.

use crate::ast::Millis;
use crate::decimal::{Decimal, UNITS_PER_ONE};
use crate::value::{Value, ValueRef};

/// The latest time: the last millisecond of the year 2200.
pub const LATEST: Millis = 7_289_654_399_999;
/// The longest duration: ten years of 365 days and three leap days, the most that ten years can have.
pub const LONGEST: Millis = 3653 * DAY;

const SECOND: Millis = 1000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;
/// Milliseconds in a day.
pub const DAY: Millis = 24 * HOUR;
/// Longest first, for writing.
const UNITS: [(u8, Millis); 5] = [(b'w', 7 * DAY), (b'd', DAY), (b'h', HOUR), (b'm', MINUTE), (b's', SECOND)];

/// The time that a JSON value says: RFC 3339 text with an offset, or epoch milliseconds as a whole number; 1970 to 2200.
pub fn parse_time(value: &Value) -> Option<Millis> {
    match value {
        Value::Text(text) => parse_rfc3339(text),
        Value::Number(number) => from_epoch_millis(*number),
        _ => None,
    }
}

/// [`parse_time`] of a value read in place.
pub fn parse_time_ref(value: ValueRef<'_>) -> Option<Millis> {
    match value {
        ValueRef::Text(text) => parse_rfc3339(text),
        ValueRef::Number(number) => from_epoch_millis(number),
        _ => None,
    }
}

fn from_epoch_millis(number: Decimal) -> Option<Millis> {
    // 10^9 = 2^9 · 5^9: the powers of two go first, so that the division is one of words.
    const FIVES: u64 = 5u64.pow(9);
    const _: () = assert!(UNITS_PER_ONE == (FIVES as i128) << 9);
    let units = number.units();
    let shifted = u64::try_from(units >> 9).ok()?;
    if units & 0x1ff != 0 || shifted % FIVES != 0 {
        return None;
    }
    in_range((shifted / FIVES) as i64)
}

fn in_range(millis: Millis) -> Option<Millis> {
    (0..=LATEST).contains(&millis).then_some(millis)
}

/// Reads RFC 3339 text: `T` and `Z` in either case, any number of fractional digits (cut to milliseconds), an offset.
/// A leap second is the last millisecond of its minute.
pub fn parse_rfc3339(text: &str) -> Option<Millis> {
    let (head, tail) = text.as_bytes().split_first_chunk::<19>()?;
    if head[4] != b'-' || head[7] != b'-' || !matches!(head[10], b'T' | b't') || head[13] != b':' || head[16] != b':' {
        return None;
    }
    let year = two_digits(head[0], head[1])? * 100 + two_digits(head[2], head[3])?;
    let month = two_digits(head[5], head[6])?;
    let day = two_digits(head[8], head[9])?;
    let hour = two_digits(head[11], head[12])?;
    let minute = two_digits(head[14], head[15])?;
    let second = two_digits(head[17], head[18])?;
    if !(1..=12).contains(&month)
        || day < 1
        || day > days_in_month(year, month)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let (fraction, zone) = parse_fraction(tail)?;
    let offset = parse_offset(zone)?;
    let start_of_minute = days_from_civil(year, month, day) * DAY + hour * HOUR + minute * MINUTE - offset;
    if second < 60 {
        return in_range(start_of_minute + second * SECOND + fraction);
    }
    // UTC has leap seconds only at the end of a day.
    let last_minute = start_of_minute.rem_euclid(DAY) == DAY - MINUTE;
    if last_minute { in_range(start_of_minute + MINUTE - 1) } else { None }
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

/// `Z`, `+hh:mm` or `-hh:mm` as milliseconds east of UTC.
fn parse_offset(zone: &[u8]) -> Option<Millis> {
    match *zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
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

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar; years begin in March, so that the leap day is
/// the last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The year, month and day so many days from 1970-01-01.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
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
    let (unit, digits) = text.as_bytes().split_last()?;
    let (_, unit) = UNITS.iter().find(|(letter, _)| letter == unit)?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits.iter().try_fold(0i64, |sum, digit| {
        let sum = sum * 10 + i64::from(digit - b'0');
        (sum <= LONGEST).then_some(sum)
    })?;
    let millis = count.checked_mul(*unit)?;
    (1..=LONGEST).contains(&millis).then_some(millis)
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
mod tests {
    use super::*;

    #[test]
    fn time_reads_every_form() {
        let base = parse_rfc3339("2026-01-31T10:00:00Z").expect("a time");
        assert_eq!(base, 1_769_853_600_000);
        for (text, after) in [
            ("2026-01-31t10:00:00z", 0),
            ("2026-01-31T10:00:00-00:00", 0),
            ("2026-01-31T12:00:00+02:00", 0),
            ("2026-01-31T04:15:00-05:45", 0),
            ("2026-02-01T00:30:00.5+14:30", 500),
            ("2026-01-31T10:00:00.001Z", 1),
            ("2026-01-31T10:00:00.0019999999999999999999Z", 1),
            ("2026-01-31T10:00:00.99Z", 990),
        ] {
            assert_eq!(parse_rfc3339(text), Some(base + after), "{text}");
        }
        assert_eq!(parse_rfc3339("2016-12-31T23:59:60.5Z"), parse_rfc3339("2016-12-31T23:59:59.999Z"));
        assert_eq!(parse_rfc3339("2017-01-01T01:59:60+02:00"), parse_rfc3339("2016-12-31T23:59:59.999Z"));
    }

    #[test]
    fn time_refuses_what_is_no_time() {
        for text in [
            "",
            "yesterday",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00,5Z",
            "2026-01-01T00:00:00+0200",
            "2026-01-01T00:00:00+02",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00+00:60",
            "2026-01-01T00:00:00Z ",
            " 2026-01-01T00:00:00Z",
            "20260101T000000Z",
            "+2026-01-01T00:00:00Z",
            "２026-01-01T00:00:00Z",
            "2026-01-01T00:00:00Zé",
            "1969-12-31T23:59:59.999Z",
            "1970-01-01T00:00:00+00:01",
            "2201-01-01T00:00:00Z",
            "2200-12-31T23:59:59-00:01",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
        assert_eq!(parse_rfc3339("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_rfc3339("2200-12-31T23:59:59.9999Z"), Some(LATEST));
    }

    #[test]
    fn time_agrees_with_a_full_calendar() {
        for day in 0..=LATEST / DAY {
            let millis = day * DAY + (day * 7_919) % DAY;
            let theirs = jiff::Timestamp::from_millisecond(millis).expect("in range").to_string();
            assert_eq!(parse_rfc3339(&theirs), Some(millis), "{theirs}");
            let ours = format_time(millis);
            assert_eq!(ours.parse::<jiff::Timestamp>().expect("RFC 3339").as_millisecond(), millis, "{ours}");
            assert_eq!(parse_rfc3339(&ours), Some(millis), "{ours}");
        }
    }

    #[test]
    fn time_reads_json_values() {
        let number = |text: &str| Value::Number(Decimal::parse(text).expect("a number"));
        assert_eq!(parse_time(&number("1767225600000")), Some(1_767_225_600_000));
        assert_eq!(parse_time(&number("1.767225600000e12")), Some(1_767_225_600_000));
        assert_eq!(parse_time(&Value::Text("2026-01-01T00:00:00Z".into())), Some(1_767_225_600_000));
        for value in [number("1.5"), number("-1"), number("1e18"), Value::Text("1767225600000".into()), Value::Null] {
            assert_eq!(parse_time(&value), None, "{value:?}");
            let mut bytes = Vec::new();
            value.encode(&mut bytes);
            assert_eq!(ValueRef::read(&bytes).and_then(|(value, _)| parse_time_ref(value)), None);
        }
        assert_eq!(parse_time(&number(&LATEST.to_string())), Some(LATEST));
        assert_eq!(parse_time(&number(&(LATEST + 1).to_string())), None);
    }

    #[test]
    fn time_formats_as_rfc_3339() {
        assert_eq!(format_time(1_769_853_600_001), "2026-01-31T10:00:00.001Z");
        assert_eq!(format_time(0), "1970-01-01T00:00:00Z");
        assert_eq!(format_time(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(format_time(LATEST), "2200-12-31T23:59:59.999Z");
    }

    #[test]
    fn duration_reads_and_prints_its_units() {
        for (text, millis) in [("1s", 1000), ("90m", 90 * MINUTE), ("24h", DAY), ("30d", 30 * DAY), ("2w", 14 * DAY)] {
            assert_eq!(parse_duration(text), Some(millis), "{text}");
            assert_eq!(parse_duration(&format_duration(millis)), Some(millis), "{text}");
        }
        assert_eq!(format_duration(DAY), "1d");
        assert_eq!(format_duration(90 * MINUTE), "90m");
        assert_eq!(parse_duration("3653d"), Some(LONGEST));
        for text in [
            "",
            "d",
            "0d",
            "-3d",
            "+3d",
            "30",
            "1y",
            "11w3d",
            "1.5d",
            " 1d",
            "1d ",
            "1D",
            "3654d",
            "522w",
            "99999999999999999999999s",
            "1é",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}

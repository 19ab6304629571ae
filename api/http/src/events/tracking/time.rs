//! Times of senders: forms that old libraries write, and clocks that are wrong.

use audience_rules::ast::Millis;
use audience_rules::json::parse_json;
use audience_rules::time::{LATEST, parse_rfc3339};
use audience_rules::value::Value;

/// The units of a decimal in a millisecond of a number of seconds.
const UNITS_PER_MILLI_OF_SECONDS: i128 = 1_000_000;
/// The units of a decimal in a millisecond.
const UNITS_PER_MILLI: i128 = 1_000_000_000;

/// Epoch milliseconds below which a number looks like seconds: they would be before March 1973.
const LEAST_MILLIS: Millis = 100_000_000_000;

/// Reads the time that a JSON text says: any text that is a time, or a number of milliseconds, or of seconds if it is small;
/// numbers may stand in quotation marks, and fractions are cut.
pub(super) fn read(json: &[u8]) -> Option<Millis> {
    match parse_json(json).ok()? {
        Value::Text(text) => of_text(text.trim()).or_else(|| match parse_json(text.trim().as_bytes()) {
            Ok(Value::Number(number)) => of_number(number.units()),
            _ => None,
        }),
        Value::Number(number) => of_number(number.units()),
        _ => None,
    }
}

/// RFC 3339, or without an offset, which is UTC then; a space may stand for the `T`, an offset may lack its colon, and a date
/// alone is the start of its day.
fn of_text(text: &str) -> Option<Millis> {
    let date = text.get(..10)?;
    let (parted, rest) = (text.get(10..11), text.get(11..).unwrap_or_default());
    let is_clock = matches!(parted, Some("T" | "t" | " "));
    let clock = match (is_clock, rest) {
        (false, "") if parted.is_none() => "00:00:00Z".to_owned(),
        (true, rest) => with_offset(rest),
        _ => return None,
    };
    parse_rfc3339(&format!("{date}T{clock}"))
}

/// A time of day with an offset as RFC 3339 has it.
fn with_offset(clock: &str) -> String {
    match clock.rfind(['+', '-', 'Z', 'z']) {
        None => format!("{clock}Z"),
        Some(at) if clock.len() == at + 5 && clock[at + 1..].bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{}:{}", &clock[..at + 3], &clock[at + 3..])
        }
        Some(_) => clock.to_owned(),
    }
}

fn of_number(units: i128) -> Option<Millis> {
    let is_millis = units.abs() >= i128::from(LEAST_MILLIS) * UNITS_PER_MILLI;
    let millis = units.div_euclid(if is_millis { UNITS_PER_MILLI } else { UNITS_PER_MILLI_OF_SECONDS });
    in_range(Millis::try_from(millis).ok()?)
}

fn in_range(millis: Millis) -> Option<Millis> {
    (0..=LATEST).contains(&millis).then_some(millis)
}

/// The time by our clock of an instant by the sender's, and the difference; `sent_at` is the sender's clock when it sent, and
/// `now` ours when that came.
pub(super) fn corrected(timestamp: Millis, sent_at: Millis, now: Millis) -> (Millis, Millis) {
    let correction = now - sent_at;
    in_range(timestamp + correction).map_or((timestamp, 0), |corrected| (corrected, correction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_old_libraries() {
        for (json, millis) in [
            ("1781071200", 1_781_071_200_000),
            ("1781071200.1239", 1_781_071_200_123),
            ("1781071200000.9", 1_781_071_200_000),
            (r#""1781071200""#, 1_781_071_200_000),
            (r#"" 2026-06-10T06:00:00+0000""#, 1_781_071_200_000),
            (r#""2026-06-10 06:00:00""#, 1_781_071_200_000),
            (r#""2026-06-10""#, 1_781_049_600_000),
            (r#""2026-06-10T08:00:00+0200""#, 1_781_071_200_000),
            (r#""2026-06-10T08:00:00.001+02:00""#, 1_781_071_200_001),
            (r#""2026-06-10T06:00:00.5""#, 1_781_071_200_500),
            ("0", 0),
        ] {
            assert_eq!(read(json.as_bytes()), Some(millis), "{json}");
        }
        let long = format!("\"{}\"", "9".repeat(400));
        for json in [
            r#""""#,
            r#""2014-06-05T15:19:30-18000:00""#,
            r#""0001-01-01T00:00:00Z""#,
            r#""2026-06-10 06:00é""#,
            "-1.5",
            "true",
            "{}",
            "1e17",
            &long,
        ] {
            assert_eq!(read(json.as_bytes()), None, "{json}");
        }
    }

    #[test]
    fn corrections() {
        assert_eq!(corrected(1_000, 1_500, 10_000), (9_500, 8_500));
        assert_eq!(corrected(LATEST, 0, 10), (LATEST, 0), "beyond the range nothing is corrected");
    }
}

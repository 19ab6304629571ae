//! Times of senders: forms that old libraries write, and clocks that are wrong.

use audience_rules::ast::Millis;
use audience_rules::json::parse_json;
use audience_rules::time::{EARLIEST, LATEST, parse_time_text};
use audience_rules::value::Value;
use audience_rules::zone::ZoneId;

/// The units of a decimal in a millisecond of a number of seconds.
const UNITS_PER_MILLI_OF_SECONDS: i128 = 1_000_000;
/// The units of a decimal in a millisecond.
const UNITS_PER_MILLI: i128 = 1_000_000_000;

/// Epoch milliseconds below which a number looks like seconds: they would be before March 1973.
const LEAST_MILLIS: Millis = 100_000_000_000;

/// Reads the time that a JSON text says: any text that is a time, in that zone where it has no offset, or a number of
/// milliseconds, or of seconds if it is small; numbers may stand in quotation marks, and fractions are cut.
pub(super) fn read(json: &[u8], zone: ZoneId) -> Option<Millis> {
    match parse_json(json).ok()? {
        Value::Text(text) => parse_time_text(text.trim(), zone).or_else(|| match parse_json(text.trim().as_bytes()) {
            Ok(Value::Number(number)) => of_number(number.units()),
            _ => None,
        }),
        Value::Number(number) => of_number(number.units()),
        _ => None,
    }
}

fn of_number(units: i128) -> Option<Millis> {
    let is_millis = units >= i128::from(LEAST_MILLIS) * UNITS_PER_MILLI;
    let millis = units.div_euclid(if is_millis { UNITS_PER_MILLI } else { UNITS_PER_MILLI_OF_SECONDS });
    in_range(Millis::try_from(millis).ok()?)
}

fn in_range(millis: Millis) -> Option<Millis> {
    (EARLIEST..=LATEST).contains(&millis).then_some(millis)
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
            ("-1.5", -1_500),
            (r#""1900-01-01""#, EARLIEST),
        ] {
            assert_eq!(read(json.as_bytes(), ZoneId::UTC), Some(millis), "{json}");
        }
        let long = format!("\"{}\"", "9".repeat(400));
        for json in [
            r#""""#,
            r#""2014-06-05T15:19:30-18000:00""#,
            r#""0001-01-01T00:00:00Z""#,
            r#""2026-06-10 06:00é""#,
            "-200000000000",
            r#""1899-12-31""#,
            "true",
            "{}",
            "1e17",
            &long,
        ] {
            assert_eq!(read(json.as_bytes(), ZoneId::UTC), None, "{json}");
        }
    }

    #[test]
    fn times_without_an_offset_are_of_the_zone() {
        let zone = ZoneId::named("Europe/Berlin").expect("a zone");
        for json in [r#""2026-06-10T08:00:00""#, r#""2026-06-10T06:00:00Z""#, "1781071200"] {
            assert_eq!(read(json.as_bytes(), zone), Some(1_781_071_200_000), "{json}");
        }
    }

    #[test]
    fn corrections() {
        assert_eq!(corrected(1_000, 1_500, 10_000), (9_500, 8_500));
        assert_eq!(corrected(LATEST, 0, 10), (LATEST, 0), "beyond the range nothing is corrected");
    }
}

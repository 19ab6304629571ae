//! Exact decimals: 9 fractional digits, half-even rounding of input.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Units in one: a decimal is a whole number of these.
pub const UNITS_PER_ONE: i128 = 1_000_000_000;
/// The greatest magnitude that a literal or an event's value may have, in units (10^18).
pub const LIMIT_UNITS: i128 = 1_000_000_000_000_000_000 * UNITS_PER_ONE;

/// An exact decimal with 9 fractional digits.
///
/// Inputs lie within ±10^18; sums of inputs may go beyond and stay exact (10^11 greatest values fit).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Decimal(i128);

impl Decimal {
    /// Zero.
    pub const ZERO: Decimal = Decimal(0);

    /// The decimal of so many units of 10^-9.
    pub const fn from_units(units: i128) -> Self {
        Decimal(units)
    }

    /// The decimal of a whole number.
    pub const fn from_integer(value: i64) -> Self {
        Decimal(value as i128 * UNITS_PER_ONE)
    }

    /// The value in units of 10^-9.
    pub const fn units(self) -> i128 {
        self.0
    }

    /// Reads number text: an optional sign, digits with an optional point, an optional exponent,
    /// nothing around. Rounds half-even to 9 fractional digits first.
    ///
    /// `Err(ParseDecimalError::Range)` when the rounded value lies beyond ±10^18.
    pub fn parse(text: &str) -> Result<Self, ParseDecimalError> {
        let bytes = text.as_bytes();
        if let Some(decimal) = parse_plain(bytes) {
            return Ok(decimal);
        }
        let (negative, rest) = match bytes.first() {
            Some(b'-') => (true, &bytes[1..]),
            Some(b'+') => (false, &bytes[1..]),
            _ => (false, bytes),
        };
        let mantissa_end = rest.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(rest.len());
        let mantissa = &rest[..mantissa_end];
        let point = mantissa.iter().position(|b| *b == b'.');
        let (whole, fraction) = match point {
            Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
            None => (mantissa, &[][..]),
        };
        let digits_only = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        if whole.len() + fraction.len() == 0 || !digits_only(whole) || !digits_only(fraction) {
            return Err(ParseDecimalError::Syntax);
        }
        let exponent = if mantissa_end < rest.len() { parse_exponent(&rest[mantissa_end + 1..])? } else { 0 };
        let magnitude = scale(whole, fraction, exponent)?;
        Ok(Decimal(if negative { -magnitude } else { magnitude }))
    }
}

/// The common case, which needs no wide arithmetic: digits, with an optional point, few enough for a word.
fn parse_plain(bytes: &[u8]) -> Option<Decimal> {
    const SCALES: [i64; 10] = [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    if digits.len() > 18 {
        return None;
    }
    let mut value = 0i64;
    let mut point = None;
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => value = value * 10 + i64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let fraction = point.map_or(0, |at| digits.len() - at - 1);
    if digits.len() == usize::from(point.is_some()) {
        return None;
    }
    let units = i128::from(value) * i128::from(*SCALES.get(fraction)?);
    Some(Decimal(if negative { -units } else { units }))
}

/// The exponent's digits, saturated: an exponent of a million says the same as a greater one.
fn parse_exponent(bytes: &[u8]) -> Result<i64, ParseDecimalError> {
    let (negative, digits) = match bytes.first() {
        Some(b'-') => (true, &bytes[1..]),
        Some(b'+') => (false, &bytes[1..]),
        _ => (false, bytes),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(ParseDecimalError::Syntax);
    }
    let value = digits.iter().fold(0i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(1_000_000_000_000));
    Ok(if negative { -value } else { value })
}

/// `whole.fraction × 10^exponent` in units, rounded half-even.
fn scale(whole: &[u8], fraction: &[u8], exponent: i64) -> Result<i128, ParseDecimalError> {
    let digits = || whole.iter().chain(fraction).map(|digit| digit - b'0');
    let Some(first) = digits().position(|digit| digit != 0) else { return Ok(0) };
    let total = (whole.len() + fraction.len()) as i64;
    // Digits (from the first that is not zero) that lie at or above 10^-9.
    let kept = whole.len() as i64 + exponent.saturating_add(9) - first as i64;
    if kept > 28 {
        return Err(ParseDecimalError::Range);
    }
    if kept < 0 {
        return Ok(0);
    }
    let mut significant = digits().skip(first);
    let mut units: i128 = 0;
    for _ in 0..kept {
        units = units * 10 + i128::from(significant.next().unwrap_or(0));
    }
    let has_more = (total - first as i64) > kept;
    if has_more {
        let next = significant.next().unwrap_or(0);
        let above_half = next > 5 || (next == 5 && significant.any(|digit| digit != 0));
        if above_half || (next == 5 && units % 2 == 1) {
            units += 1;
        }
    }
    if units > LIMIT_UNITS { Err(ParseDecimalError::Range) } else { Ok(units) }
}

/// Why text is not a decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDecimalError {
    /// The text is not of a number's form.
    #[error("not a number")]
    Syntax,
    /// The number lies beyond ±10^18.
    #[error("a number beyond ±10^18")]
    Range,
}

/// The shortest decimal text without exponent.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let (whole, fraction) = (magnitude / UNITS_PER_ONE as u128, magnitude % UNITS_PER_ONE as u128);
        let sign = if self.0 < 0 { "-" } else { "" };
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let text = format!("{fraction:09}");
        write!(f, "{sign}{whole}.{}", text.trim_end_matches('0'))
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str) -> i128 {
        Decimal::parse(text).expect("a number").units()
    }

    #[test]
    fn decimal_rounds_half_even_before_anything_else() {
        assert_eq!(units("5e-10"), 0);
        assert_eq!(units("1.5e-9"), 2);
        assert_eq!(units("-2.5e-09"), -2);
        assert_eq!(units("2.50000000001e-9"), 3);
        assert_eq!(units("0.12345678905"), 123_456_789);
        assert_eq!(units("0.00000000000000000000000000000000000000000001"), 0);
        assert_eq!(units("0.9999999999"), UNITS_PER_ONE);
    }

    #[test]
    fn decimal_reads_every_form_and_refuses_the_rest() {
        assert_eq!(units("1.5e3"), 1500 * UNITS_PER_ONE);
        assert_eq!(units("+01500"), 1500 * UNITS_PER_ONE);
        assert_eq!(units("0e999999999999999999999"), 0);
        assert_eq!(units("1000000000000000000"), LIMIT_UNITS);
        assert_eq!(units("0.001e21"), LIMIT_UNITS);
        for text in ["", "-", ".", "e5", "1e", "1e+", " 1", "1 ", "1_0", "0x1", "NaN", "1.2.3"] {
            assert_eq!(Decimal::parse(text), Err(ParseDecimalError::Syntax), "{text:?}");
        }
        for text in ["1000000000000000000.000000001", "1e19", "-1e400", "1e99999999999999999999"] {
            assert_eq!(Decimal::parse(text), Err(ParseDecimalError::Range), "{text:?}");
        }
        assert_eq!(Decimal::parse(&"9".repeat(400)), Err(ParseDecimalError::Range));
    }

    #[test]
    fn decimal_reads_common_forms_as_it_does_all() {
        let texts = ["0", "7", "-7", "12.5", "-0.000000001", "999999999999999999", ".5", "5.", "-.25", "1.123456789"];
        for text in texts {
            // An exponent of zero changes nothing but the way.
            assert_eq!(Decimal::parse(text), Decimal::parse(&format!("{text}e0")), "{text}");
            assert!(parse_plain(text.as_bytes()).is_some(), "{text}");
        }
        for text in ["", "-", ".", "-.", "1..2", "1.2.3", "+1", "--1", "1e5", "0.1234567891", "1234567890123456789"] {
            assert_eq!(parse_plain(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn decimal_prints_the_shortest_text() {
        for (text, shown) in [("1500.0", "1500"), ("1500.50", "1500.5"), ("-0.000000001", "-0.000000001"), ("-0", "0")]
        {
            assert_eq!(Decimal::parse(text).expect("a number").to_string(), shown);
        }
    }
}

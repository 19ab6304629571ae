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

impl Decimal {
    /// The product of some numbers, exact and then rounded half-even to 9 fractional digits; `None` beyond ±10^18.
    pub fn product(factors: &[Decimal]) -> Option<Decimal> {
        const BASE: u64 = 1_000_000_000;
        // Digits to the base 10^9, the least first. One is a unit of 1, so that each factor brings one digit of fraction.
        let mut digits: Vec<u64> = vec![1];
        for factor in factors {
            let mut rest = factor.units().unsigned_abs();
            let mut product = vec![0u64; digits.len() + 6];
            for shift in 0.. {
                if rest == 0 {
                    break;
                }
                let by = (rest % u128::from(BASE)) as u64;
                rest /= u128::from(BASE);
                let mut carry = 0;
                for (place, digit) in product.iter_mut().enumerate().skip(shift) {
                    let sum = *digit + carry + by * digits.get(place - shift).copied().unwrap_or(0);
                    (*digit, carry) = (sum % BASE, sum / BASE);
                }
            }
            digits = product;
        }
        // The last factor's digit of fraction stays.
        let dropped = factors.len().saturating_sub(1);
        let (below, kept) = digits.split_at_checked(dropped)?;
        let mut units: u128 = 0;
        for digit in kept.iter().rev() {
            units = units.checked_mul(u128::from(BASE))?.checked_add(u128::from(*digit))?;
        }
        if let Some((first, lower)) = below.split_last() {
            let has_more = lower.iter().any(|digit| *digit > 0);
            let is_above = *first > BASE / 2 || *first == BASE / 2 && has_more;
            let is_half = *first == BASE / 2 && !has_more;
            units += u128::from(is_above || is_half && units % 2 == 1);
        }
        let units = i128::try_from(units).ok().filter(|units| *units <= LIMIT_UNITS)?;
        let is_negative = factors.iter().filter(|factor| factor.units() < 0).count() % 2 == 1;
        Some(Decimal(if is_negative { -units } else { units }))
    }
}

/// The digits of a number beyond ±10^18, without exponent and rounded half-even to 9 fractional digits; `None` from 10^100 on, and
/// for what is no number.
pub fn digits_beyond(text: &str) -> Option<String> {
    let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], parse_exponent(&rest.as_bytes()[at + 1..]).ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let first = all.iter().position(|digit| *digit != b'0')?;
    let point = whole.len() as i64 + exponent;
    let whole_digits = point - first as i64;
    if !(1..=100).contains(&whole_digits) || !all.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let kept = whole_digits as usize + 9;
    let mut digits: Vec<u8> = all[first..].iter().copied().chain(std::iter::repeat(b'0')).take(kept).collect();
    let below = all.get(first + kept..).unwrap_or_default();
    let is_odd = digits.last().is_some_and(|digit| digit % 2 == 1);
    let rounds_up = match below.split_first() {
        None => false,
        Some((next, more)) => *next > b'5' || *next == b'5' && (is_odd || more.iter().any(|digit| *digit != b'0')),
    };
    if rounds_up {
        for digit in digits.iter_mut().rev() {
            if *digit != b'9' {
                *digit += 1;
                break;
            }
            *digit = b'0';
        }
        if digits.first() == Some(&b'0') {
            digits.insert(0, b'1');
        }
    }
    let mut text: String = digits.into_iter().map(char::from).collect();
    let fraction = text.split_off(text.len() - 9);
    if text.len() > 100 {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{text}{point}{fraction}"))
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

    #[test]
    fn decimal_product_is_exact_and_then_rounded() {
        let number = |text: &str| Decimal::parse(text).expect("a number");
        for (factors, expected) in [
            (&["19.99", "3"][..], Some("59.97")),
            (&["0.000000003", "0.5"], Some("0.000000002")),
            (&["0.000000001", "0.5"], Some("0")),
            (&["-0.000000003", "0.5"], Some("-0.000000002")),
            (&["1000000000000000000", "2"], None),
            (&["1000000000000000000", "1"], Some("1000000000000000000")),
            (
                &["1000000000000000000", "1000000000000000000", "0.000000001", "0.000000001"],
                Some("1000000000000000000"),
            ),
            (&["2", "3", "0.5"], Some("3")),
            (&["-2", "-3", "-1"], Some("-6")),
            (&["0.5", "0.000000001", "3", "1"], Some("0.000000002")),
        ] {
            let factors: Vec<Decimal> = factors.iter().map(|factor| number(factor)).collect();
            assert_eq!(Decimal::product(&factors), expected.map(number), "{factors:?}");
        }
    }

    #[test]
    fn decimal_digits_beyond_the_range_are_kept_as_text() {
        for (text, expected) in [
            ("1234567890123456789", Some("1234567890123456789")),
            ("-1234567890123456789", Some("-1234567890123456789")),
            ("1e+30", Some("1000000000000000000000000000000")),
            ("1.5E20", Some("150000000000000000000")),
            ("1234567890123456789.50", Some("1234567890123456789.5")),
            ("9999999999999999999.9999999999", Some("10000000000000000000")),
            ("1e100", None),
            ("0.0001e30", Some("100000000000000000000000000")),
        ] {
            assert_eq!(digits_beyond(text).as_deref(), expected, "{text}");
        }
        assert_eq!(digits_beyond("1e99").map(|text| text.len()), Some(100));
    }

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

//! Numbers that are not zero.

use std::str::FromStr;

/// Reads a number that is not zero.
pub(crate) fn positive<N: FromStr>(text: &str) -> Result<N, String> {
    let is_positive = text.parse::<u64>().is_ok_and(|number| number > 0);
    text.parse().ok().filter(|_| is_positive).ok_or_else(|| "write a whole number of at least 1, such as 60".to_owned())
}

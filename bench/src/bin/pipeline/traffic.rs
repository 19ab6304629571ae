//! Rules and events of a shop, each a function of its number: the same kinds as `bench/generate.py` draws.

use std::f64::consts::TAU;
use std::io::Write;

use audience_bench::workload::{CATEGORIES, TYPES, scatter};

/// The measures that a rule can ask for: five counts, a sum and a maximum, and a count and a sum of each category.
const FEATURES: u64 = 7 + 2 * CATEGORIES;
/// The event by which one user enters [`PROBE_RULE`]'s segment, and nothing else happens.
const PROBE: &str = "probe";
/// The segment of those who had a probe.
pub(crate) const PROBE_SEGMENT: &str = "probed";
/// Its rule.
pub(crate) const PROBE_RULE: &str = r#"{"event":"probe"}"#;
/// The prefix of the ids of users who had nothing but a probe.
const PROBE_USER: &str = "probe-";

/// Draws that are a function of a number.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = scatter(self.0);
        self.0
    }

    /// Above 0, at most 1.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -self.unit().ln() * mean
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (TAU * self.unit()).cos()
    }
}

/// How often it is said of a part of the users that four fifths of its events are those of a fifth of it: 0.8% of all users
/// have half of all events.
const LEVELS: usize = 3;

/// The events of so many users, who have uneven shares of them.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// Users; the first so many events are one of each.
    pub users: u64,
}

impl Traffic {
    fn user(&self, number: u64, draws: &mut Draws) -> u64 {
        if number < self.users {
            // 618,033 has no factor in common with a power of ten.
            return (u128::from(number) * 618_033 % u128::from(self.users)) as u64;
        }
        let mut among = self.users;
        for _ in 0..LEVELS {
            let fifth = among / 5;
            if draws.next().is_multiple_of(5) {
                return fifth + draws.next() % (among - fifth);
            }
            among = fifth;
        }
        draws.next() % among
    }

    /// An event of that number at that instant, as JSON, and the id of its user as `key`.
    pub fn write(&self, number: u64, at: i64, key: &mut Vec<u8>, out: &mut Vec<u8>) {
        let mut draws = Draws(scatter(number).rotate_left(17));
        let user = self.user(number, &mut draws);
        let mut share = draws.next() % 1000;
        let kind = TYPES.iter().find(|(_, thousandths)| {
            let is_it = share < *thousandths;
            share = share.wrapping_sub(*thousandths);
            is_it
        });
        let kind = kind.map_or(TYPES[0].0, |(name, _)| name);
        let category = draws.next() % CATEGORIES;
        key.clear();
        out.clear();
        // Writing into memory does not fail.
        let _ = write!(key, "u{user}");
        let _ = write!(
            out,
            r#"{{"userId":"u{user}","eventType":"{kind}","timestamp":{at},"properties":{{"category":"cat{category:02}""#
        );
        if kind == "purchase" {
            let _ = write!(out, r#","amount":{:.2}"#, (3.2 + 0.9 * draws.normal()).exp());
        }
        out.extend_from_slice(b"}}");
    }
}

/// A probe of that number at that instant, as [`Traffic::write`] writes.
pub(crate) fn write_probe(number: u64, at: i64, key: &mut Vec<u8>, out: &mut Vec<u8>) {
    key.clear();
    out.clear();
    let _ = write!(key, "{PROBE_USER}{at}-{number}");
    let _ = write!(out, r#"{{"userId":"{PROBE_USER}{at}-{number}","eventType":"{PROBE}","timestamp":{at}}}"#);
}

/// When the probe was sent that a user's id is of; none where it is of no probe.
pub(crate) fn probe_sent_at(user: &[u8]) -> Option<i64> {
    let rest = user.strip_prefix(PROBE_USER.as_bytes())?;
    std::str::from_utf8(rest).ok()?.split_once('-')?.0.parse().ok()
}

/// A rule of that number: two to four conditions on what a user did in all, the first of them a lower bound.
pub(crate) fn rule(number: u64) -> String {
    let mut draws = Draws(scatter(number).rotate_left(41));
    let count = 2 + draws.next() % 3;
    let leaves: Vec<String> = (0..count).map(|index| leaf(&mut draws, index == 0)).collect();
    if count > 2 && draws.next().is_multiple_of(2) {
        let first = &leaves[0];
        return format!(r#"{{"conditions":[{first},{{"logic":"OR","conditions":[{}]}}]}}"#, leaves[1..].join(","));
    }
    format!(r#"{{"conditions":[{}]}}"#, leaves.join(","))
}

fn leaf(draws: &mut Draws, is_lower_bound: bool) -> String {
    let feature = draws.next() % FEATURES;
    let category =
        |feature: u64| format!(r#","where":[{{"field":"category","operator":"eq","value":"cat{feature:02}"}}]"#);
    let (what, mean) = match feature {
        0..5 => (format!(r#""event":"{}""#, TYPES[feature as usize].0), None),
        5 => (r#""event":"purchase","measure":{"fn":"sum","of":"amount"}"#.to_owned(), Some(300.0)),
        6 => (r#""event":"purchase","measure":{"fn":"max","of":"amount"}"#.to_owned(), Some(120.0)),
        feature if feature < 7 + CATEGORIES => (format!(r#""event":"page_view"{}"#, category(feature - 7)), None),
        feature => {
            let of = category(feature - 7 - CATEGORIES);
            (format!(r#""event":"purchase","measure":{{"fn":"sum","of":"amount"}}{of}"#), Some(300.0))
        }
    };
    let value = match mean {
        Some(mean) => format!("{:.2}", draws.exponential(mean).max(1.0)),
        None => format!("{}", draws.exponential(12.0) as u64 + 1),
    };
    let operator = match draws.next() % 100 {
        0..45 => "gt",
        45..80 => "gte",
        80..90 => "lt",
        _ => "lte",
    };
    let operator = if is_lower_bound { "gte" } else { operator };
    let leaf = format!(r#"{{{what},"operator":"{operator}","value":{value}}}"#);
    if !is_lower_bound && draws.next().is_multiple_of(10) {
        return format!(r#"{{"logic":"NOT","conditions":[{leaf}]}}"#);
    }
    leaf
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json_and_keyed_by_its_user() {
        let traffic = Traffic { users: 1000 };
        let (mut key, mut out, mut seen) = (Vec::new(), Vec::new(), std::collections::BTreeSet::new());
        for number in 0..10_000 {
            traffic.write(number, 5, &mut key, &mut out);
            let event: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(event["userId"].as_str().unwrap().as_bytes(), key);
            assert_eq!(probe_sent_at(&key), None);
            if number < 1000 {
                seen.insert(key.clone());
            }
        }
        assert_eq!(seen.len(), 1000, "the first events are one of each user");
        write_probe(7, 1234, &mut key, &mut out);
        let event: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((event["userId"].as_str().unwrap().as_bytes(), probe_sent_at(&key)), (&*key, Some(1234)));
    }

    #[test]
    fn rules_are_rules() {
        for number in 0..1000 {
            let rule: serde_json::Value = serde_json::from_str(&rule(number)).unwrap();
            assert!(rule["conditions"].as_array().is_some_and(|leaves| leaves.len() >= 2), "{rule}");
        }
    }
}

//! Events that are a function of their number, so that what must come out can be computed without asking anyone.
//!
//! Event *i* below the number of users is the `identify` of a user, each once, with a `score` from 0 to 9,999; every
//! further one is something that a user did. Users take turns, scattered.

use std::io::Write;

/// The acts of users, with the share of each in thousandths.
pub const TYPES: [(&str, u64); 5] =
    [("page_view", 600), ("click", 200), ("add_to_cart", 100), ("purchase", 80), ("login", 20)];
/// Categories of what they do.
pub const CATEGORIES: u64 = 20;
/// Scores are below this.
pub const SCORES: u64 = 10_000;

const DAY_MS: i64 = 86_400_000;

/// Spreads the bits of a number.
pub fn scatter(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The score of a user.
pub fn score(user: u64) -> u64 {
    scatter(user) % SCORES
}

/// An event.
#[derive(Clone, Copy, Debug)]
pub struct WorkloadEvent {
    /// Whose.
    pub user: u64,
    /// The place of its type in [`TYPES`]; `None` is an `identify`.
    pub kind: Option<usize>,
    /// The category.
    pub category: u64,
    /// In hundredths.
    pub amount: u64,
    /// When, milliseconds.
    pub at: i64,
}

/// So many users and events.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Users.
    pub users: u64,
    /// Events that lie in the 30 days up to `now`, evenly; further ones are as of now.
    pub events: u64,
    /// Milliseconds.
    pub now: i64,
}

impl Workload {
    /// An event by its number.
    pub fn event(&self, number: u64) -> WorkloadEvent {
        // 618,033 has no factor in common with a power of ten.
        let user = (u128::from(number) * 618_033 % u128::from(self.users)) as u64;
        let bits = scatter(number);
        let share = bits % 1000;
        let mut below = 0;
        let kind = TYPES.iter().position(|(_, thousandths)| {
            below += thousandths;
            share < below
        });
        let age = self.events.saturating_sub(number) as f64 / self.events as f64;
        WorkloadEvent {
            user,
            kind: kind.filter(|_| number >= self.users),
            category: bits / 1000 % CATEGORIES,
            amount: 100 + (bits >> 32) % 20_000,
            at: self.now - (age * (30 * DAY_MS) as f64) as i64,
        }
    }

    /// Appends an event as JSON; `at` in place of its own time.
    pub fn write(&self, number: u64, at: Option<i64>, out: &mut Vec<u8>) {
        let event = self.event(number);
        let at = at.unwrap_or(event.at);
        let user = event.user;
        // Writing into memory does not fail.
        let _ = match event.kind.map(|kind| TYPES[kind].0) {
            None => write!(
                out,
                r#"{{"userId":"u{user}","eventType":"identify","timestamp":{at},"traits":{{"score":{}}}}}"#,
                score(user)
            ),
            Some(kind) => write!(
                out,
                r#"{{"userId":"u{user}","eventType":"{kind}","timestamp":{at},"properties":{{"category":"cat{:02}","amount":{}.{:02}}}}}"#,
                event.category,
                event.amount / 100,
                event.amount % 100
            ),
        };
    }

    /// Events as a list.
    pub fn batch(&self, numbers: std::ops::Range<u64>, at: Option<i64>, out: &mut Vec<u8>) {
        out.clear();
        out.push(b'[');
        for number in numbers {
            if out.len() > 1 {
                out.push(b',');
            }
            self.write(number, at, out);
        }
        out.push(b']');
    }

    /// How many users have a score of at least each number.
    pub fn scores_at_least(&self) -> Vec<u64> {
        let mut counts = vec![0; SCORES as usize + 1];
        for user in 0..self.users {
            counts[score(user) as usize] += 1;
        }
        for at in (0..SCORES as usize).rev() {
            counts[at] += counts[at + 1];
        }
        counts
    }

    /// How many users have done `kind` in a category, among the first `events`.
    pub fn users_of(&self, kind: usize, category: u64, events: u64) -> u64 {
        let mut seen = vec![false; self.users as usize];
        for number in self.users..events {
            let event = self.event(number);
            if event.kind == Some(kind) && event.category == category {
                seen[event.user as usize] = true;
            }
        }
        seen.iter().filter(|seen| **seen).count() as u64
    }
}

/// Rules of the kinds that people write: totals, counts in windows, categories, and scores.
pub fn rule(number: u64) -> String {
    let bits = scatter(number);
    let category = bits / 7 % (CATEGORIES / 2);
    let behaviour = match number % 5 {
        0 => format!(
            r#"{{"event":"purchase","measure":{{"fn":"sum","of":"amount"}},"operator":"gte","value":{}}}"#,
            100 + bits % 300
        ),
        1 => format!(r#"{{"event":"page_view","operator":"gte","value":{}}}"#, 5 + bits % 5),
        2 => format!(
            r#"{{"event":"purchase","where":[{{"field":"category","operator":"eq","value":"cat{category:02}"}}],"operator":"gte","value":1}}"#
        ),
        3 => format!(r#"{{"event":"add_to_cart","within":"7d","operator":"gte","value":{}}}"#, 1 + bits % 3),
        _ => format!(
            r#"{{"event":"page_view","where":[{{"field":"category","operator":"eq","value":"cat{category:02}"}}],"operator":"gte","value":{}}}"#,
            1 + bits % 3
        ),
    };
    let least = bits / 31 % SCORES;
    format!(r#"{{"logic":"AND","conditions":[{behaviour},{{"field":"score","operator":"gte","value":{least}}}]}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_is_identified_once_and_the_counts_are_right() {
        let workload = Workload { users: 1000, events: 20_000, now: 1_700_000_000_000 };
        let mut users: Vec<u64> = (0..1000).map(|number| workload.event(number).user).collect();
        users.sort_unstable();
        assert_eq!(users, (0..1000).collect::<Vec<_>>());
        let counts = workload.scores_at_least();
        assert_eq!((counts[0], counts[SCORES as usize]), (1000, 0));
        assert!(workload.event(0).at < workload.event(19_999).at && workload.event(20_000).at == workload.now);
        assert!(workload.users_of(0, 3, 20_000) > workload.users_of(0, 3, 2_000));
    }

    #[test]
    fn what_is_written_is_json() {
        let workload = Workload { users: 10, events: 100, now: 1_700_000_000_000 };
        let mut out = Vec::new();
        workload.batch(0..50, None, &mut out);
        let events: Vec<serde_json::Value> = serde_json::from_slice(&out).unwrap();
        assert_eq!((events.len(), events[0]["eventType"].as_str()), (50, Some("identify")));
        for number in 0..10 {
            serde_json::from_str::<serde_json::Value>(&rule(number)).unwrap();
        }
    }
}

//! The instants at which users change by time alone, in buckets of a second.
//!
//! Law: a user stands in it once, at the next instant at which the user may change.
//! Cost: a tick is O(log buckets + users due); changes after a user's next instant cost nothing.

use std::collections::BTreeMap;

use audience_rules::ast::Millis;

/// Milliseconds in a bucket.
const BUCKET_MILLIS: Millis = 1000;

/// The users of a second.
#[derive(Default)]
struct DueUsers {
    users: Vec<u32>,
    /// So many of them, from the first on, are announced.
    announced: usize,
}

/// Users by the second in which they are next due.
#[derive(Default)]
pub(crate) struct Calendar {
    buckets: BTreeMap<Millis, DueUsers>,
}

impl Calendar {
    /// The bucket of an instant.
    pub(crate) fn bucket(at: Millis) -> Millis {
        at.div_euclid(BUCKET_MILLIS)
    }

    /// Enters a user.
    pub(crate) fn add(&mut self, at: Millis, user: u32) {
        self.buckets.entry(Self::bucket(at)).or_default().users.push(user);
    }

    /// Takes out the users of every bucket that begins at or before `limit`.
    pub(crate) fn take(&mut self, limit: Millis, out: &mut Vec<u32>) {
        let last = Self::bucket(limit);
        while let Some(entry) = self.buckets.first_entry() {
            if *entry.key() > last {
                return;
            }
            out.append(&mut entry.remove().users);
        }
    }

    /// Gives users of buckets that begin at or before `until`, the earliest first, at most so many; each entry once.
    pub(crate) fn announce(&mut self, until: Millis, most: usize, out: &mut Vec<u32>) {
        let mut left = most;
        for (_, due) in self.buckets.range_mut(..=Self::bucket(until)) {
            if left == 0 {
                return;
            }
            let new = due.users.get(due.announced..).unwrap_or_default();
            let new = new.get(..left).unwrap_or(new);
            out.extend_from_slice(new);
            due.announced += new.len();
            left -= new.len();
        }
    }

    /// The start of the first bucket that is not empty.
    pub(crate) fn first(&self) -> Option<Millis> {
        self.buckets.first_key_value().map(|(bucket, _)| bucket * BUCKET_MILLIS)
    }
}

#[cfg(test)]
mod tests;

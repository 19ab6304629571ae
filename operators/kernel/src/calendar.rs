//! The instants at which users change by time alone, in buckets of a second.
//!
//! Law: a user stands in it once, at the next instant at which the user may change.
//! Cost: a tick is O(log buckets + users due); changes after a user's next instant cost nothing.

use std::collections::BTreeMap;

use audience_rules::ast::Millis;

/// Milliseconds in a bucket.
const BUCKET_MILLIS: Millis = 1000;

/// Users by the second in which they are next due.
#[derive(Default)]
pub(crate) struct Calendar {
    buckets: BTreeMap<Millis, Vec<u32>>,
}

impl Calendar {
    /// The bucket of an instant.
    pub(crate) fn bucket(at: Millis) -> Millis {
        at.div_euclid(BUCKET_MILLIS)
    }

    /// Enters a user.
    pub(crate) fn add(&mut self, at: Millis, user: u32) {
        self.buckets.entry(Self::bucket(at)).or_default().push(user);
    }

    /// Takes out the users of every bucket that begins at or before `limit`.
    pub(crate) fn take(&mut self, limit: Millis, out: &mut Vec<u32>) {
        let last = Self::bucket(limit);
        while let Some(entry) = self.buckets.first_entry() {
            if *entry.key() > last {
                return;
            }
            out.append(&mut entry.remove());
        }
    }

    /// The start of the first bucket that is not empty.
    pub(crate) fn first(&self) -> Option<Millis> {
        self.buckets.first_key_value().map(|(bucket, _)| bucket * BUCKET_MILLIS)
    }
}

#[cfg(test)]
mod tests;

//! Compares a store with the memberships, user by user, and has its writer repair what differs, while events flow.
//!
//! The memberships run ahead of the store. So what differs is looked at once more after the store has come to where they were,
//! and a repair writes what the user is in at that moment: changes that follow are written after it, in their order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::Stop;
use audience_contract::{ServingError, ServingStore};

use super::status::{Repair, SinkStatus};
use super::upstream::Upstream;
use crate::users::UserPosition;

/// Users that are compared at once.
const AT_ONCE: usize = 100;
/// Between two such parts of a slow sweep, which goes on by itself for ever.
const PACE: Duration = Duration::from_millis(500);
/// Between two looks for an order while the pace is waited for.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long the store may take to come to where the memberships were.
const SETTLING: Duration = Duration::from_secs(5);

/// The store of a sink, compared with the memberships.
pub(super) struct Sweep<'a> {
    pub upstream: &'a Upstream,
    pub status: &'a SinkStatus,
    pub store: &'a dyn ServingStore,
}

impl Sweep<'_> {
    /// Goes through all users again and again: slowly, or at once where that is ordered.
    pub(super) fn run(&self, stop: &Stop) {
        let mut position = UserPosition::default();
        while !stop.is_requested() {
            if self.status.begin_verifying() {
                position = UserPosition::default();
            }
            let is_hurried = self.status.verification().is_running();
            let users = self.upstream.users.next_ids(&mut position, AT_ONCE);
            if users.is_empty() {
                position = UserPosition::default();
                self.status.verified(0, 0, true);
            } else {
                self.look_at(users, stop);
            }
            let begun = Instant::now();
            while !is_hurried
                && begun.elapsed() < PACE
                && !self.status.verification().is_running()
                && !stop.wait(PATIENCE)
            {}
        }
    }

    /// Compares users, and orders the repair of those that differ.
    fn look_at(&self, users: Vec<String>, stop: &Stop) {
        let checked = users.len() as u64;
        let suspects: Vec<String> =
            users.into_iter().filter(|user| !matches!(self.difference(user), Ok(None))).collect();
        let mut wrong = 0;
        if !suspects.is_empty() && self.settle(stop) {
            for user in suspects {
                if let Ok(Some(repair)) = self.difference(&user) {
                    wrong += 1;
                    self.status.order_repair(repair);
                }
            }
        }
        self.status.verified(checked, wrong, false);
        if wrong > 0 {
            self.upstream.metrics.found_wrong(self.status.name(), wrong);
            tracing::warn!(
                sink = self.status.name(),
                wrong,
                "The store of the sink had other records than were written; they are repaired"
            );
        }
    }

    /// Waits until the store is where the memberships are now; returns whether it came to that.
    fn settle(&self, stop: &Stop) -> bool {
        let Ok(tick) = self.upstream.memberships.barrier() else { return false };
        let begun = Instant::now();
        while self.status.reached().is_none_or(|reached| reached < tick) {
            if begun.elapsed() > SETTLING || stop.wait(PATIENCE) {
                return false;
            }
        }
        true
    }

    /// The difference between a user's record and the user's memberships.
    fn difference(&self, user: &str) -> Result<Option<Repair>, ServingError> {
        let held = self.store.segments_of(user)?;
        let expected = self.upstream.memberships.of_user(user);
        let is_held = |segment: &str| held.iter().any(|held| held.segment_id == segment);
        let is_expected = |segment: &str| expected.iter().any(|expected| **expected == *segment);
        let named: Vec<String> = expected.iter().map(|segment| segment.to_string()).collect();
        let listed = self.store.are_listing(user, &named)?;
        let missing = expected.iter().zip(listed).filter(|(segment, is_listed)| !is_listed || !is_held(segment));
        let missing: Vec<Arc<str>> = missing.map(|(segment, _)| segment.clone()).collect();
        let over: Vec<Arc<str>> = held
            .iter()
            .filter(|held| !is_expected(&held.segment_id))
            .map(|held| Arc::from(held.segment_id.as_str()))
            .collect();
        let differs = !missing.is_empty() || !over.is_empty();
        Ok(differs.then(|| Repair { user: Arc::from(user), missing, over }))
    }
}

//! Records that a store has lost, written again by its writer between two pieces of the change log.

use std::sync::Arc;

use audience_contract::{Cause, ChangeKind, MembershipChange, Progress};
use hashbrown::{HashMap, HashSet};

use super::status::Repair;
use super::upstream::Upstream;

/// Users whose records are new in one write that are looked at; where there are more, they are new users most likely, and a
/// sweep finds those that are not.
const MOST_CREATED: usize = 256;

/// Changes that make records whole, as of now.
pub(super) struct Repairs<'a> {
    upstream: &'a Upstream,
    clock: i64,
    versions: Option<HashMap<String, u64>>,
    changes: Vec<MembershipChange>,
}

impl<'a> Repairs<'a> {
    /// No repairs yet; what is written is as of that progress.
    pub(super) fn new(upstream: &'a Upstream, reached: Progress) -> Repairs<'a> {
        Repairs { upstream, clock: reached.clock, versions: None, changes: Vec::new() }
    }

    /// The changes.
    pub(super) fn into_changes(self) -> Vec<MembershipChange> {
        self.changes
    }

    /// Adds what a record lacks, and takes out what is over, as far as that is still so.
    pub(super) fn add(&mut self, repair: Repair) {
        let now: HashSet<Arc<str>> = self.upstream.memberships.of_user(&repair.user).into_iter().collect();
        for segment in repair.missing.into_iter().filter(|segment| now.contains(segment)) {
            self.push(&repair.user, segment, ChangeKind::Entered);
        }
        for segment in repair.over.into_iter().filter(|segment| !now.contains(segment)) {
            self.push(&repair.user, segment, ChangeKind::Left);
        }
    }

    /// Adds the rest of records that a write of these changes has made: somebody may have deleted them.
    pub(super) fn add_created(&mut self, created: &[String], written: &[MembershipChange]) {
        if created.is_empty() || created.len() > MOST_CREATED {
            return;
        }
        let created: HashSet<&str> = created.iter().map(String::as_str).collect();
        let mut of_user: HashMap<Arc<str>, HashSet<Arc<str>>> = HashMap::new();
        for change in written.iter().filter(|change| created.contains(&*change.user_id)) {
            of_user.entry(change.user_id.clone()).or_default().insert(change.segment_id.clone());
        }
        for (user, known) in of_user {
            let now = self.upstream.memberships.of_user(&user);
            let rest: Vec<Arc<str>> = now.into_iter().filter(|segment| !known.contains(segment)).collect();
            for segment in rest {
                self.push(&user, segment, ChangeKind::Entered);
            }
        }
    }

    fn push(&mut self, user: &Arc<str>, segment: Arc<str>, change: ChangeKind) {
        let versions = self.versions.get_or_insert_with(|| self.upstream.segments.versions());
        let version = versions.get(&*segment).copied().unwrap_or_default();
        let (user_id, segment_id, at) = (user.clone(), segment, self.clock);
        self.changes.push(MembershipChange { user_id, segment_id, change, at, version, cause: Cause::Rule });
    }
}

//! All memberships as of one progress, while ticks flow.
//!
//! Memory runs ahead of what is committed. So the memberships are copied, and once everything in the copy is committed, the
//! changes after the progress are taken back: the first change of a membership says what it was before.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use audience_contract::{Cause, ChangeKind, MembershipChange, Progress, StoreError};
use hashbrown::HashMap;

use super::error::FollowError;
use super::upstream::Upstream;
use crate::emitted::Emitted;
use crate::memberships::{Memberships, WorkerMemberships};

/// Between checks whether the engine has stopped.
const PATIENCE: Duration = Duration::from_millis(100);

/// All memberships as of one progress.
pub(super) struct Snapshot {
    progress: Progress,
    workers: Vec<WorkerMemberships>,
    /// Everyone who may be in a segment, in the order of their ids.
    users: Vec<SnapshotUser>,
    changed: Before,
}

/// By user and segment, whether a membership that has changed since was there.
type Before = HashMap<Arc<str>, HashMap<Arc<str>, bool>>;

/// A user who may be in a segment.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct SnapshotUser {
    id: Arc<str>,
    /// The worker and the number there, if the user is in the copy.
    place: Option<(usize, u32)>,
}

impl Snapshot {
    /// Takes a snapshot as of a progress that the change log still goes back to. Costs a copy of all members' ids and bitmaps.
    pub(super) fn take(upstream: &Upstream, progress: Progress) -> Result<Snapshot, FollowError> {
        let Upstream { emitted, memberships, .. } = upstream;
        let workers = memberships.copy();
        let newest = wait_committed(emitted, &**memberships)?;
        let changed = first_changes(emitted, progress.tick, newest)?;
        let mut users: Vec<SnapshotUser> = Vec::new();
        for (worker, copied) in workers.iter().enumerate() {
            let placed = copied.users.iter().map(|(id, slot)| (id.clone(), Some((worker, *slot))));
            users.extend(placed.map(|(id, place)| SnapshotUser { id, place }));
        }
        let present: BTreeSet<&str> = users.iter().map(|user| &*user.id).collect();
        let gone: Vec<Arc<str>> = changed.keys().filter(|id| !present.contains(&***id)).cloned().collect();
        users.extend(gone.into_iter().map(|id| SnapshotUser { id, place: None }));
        users.sort_unstable();
        Ok(Snapshot { progress, workers, users, changed })
    }

    /// The progress that the memberships are as of.
    pub(super) fn progress(&self) -> Progress {
        self.progress
    }

    /// Returns the users after that id.
    pub(super) fn users_after(&self, id: Option<&str>) -> impl Iterator<Item = usize> {
        let first = id.map_or(0, |id| self.users.partition_point(|user| *user.id <= *id));
        first..self.users.len()
    }

    /// Returns the id of a user.
    pub(super) fn id(&self, user: usize) -> &str {
        &self.users[user].id
    }

    /// Appends the user's memberships as entries at the snapshot's clock; `versions` are those of the segments.
    pub(super) fn append_entries(&self, user: usize, versions: &HashMap<String, u64>, out: &mut Vec<MembershipChange>) {
        let SnapshotUser { id, place } = &self.users[user];
        let changed = self.changed.get(id);
        let mut enter = |segment: &Arc<str>| {
            out.push(MembershipChange {
                user_id: id.clone(),
                segment_id: segment.clone(),
                change: ChangeKind::Entered,
                at: self.progress.clock,
                version: versions.get(&**segment).copied().unwrap_or_default(),
                cause: Cause::Rule,
            });
        };
        if let Some((worker, slot)) = place {
            for (segment, bitmap) in &self.workers[*worker].segments {
                let is_changed = changed.is_some_and(|changed| changed.contains_key(segment));
                if !is_changed && bitmap.contains(*slot) {
                    enter(segment);
                }
            }
        }
        changed.into_iter().flatten().filter(|(_, was_member)| **was_member).for_each(|(segment, _)| enter(segment));
    }
}

/// Waits until everything that is in the memberships now is committed; returns the newest tick then.
fn wait_committed(emitted: &Emitted, memberships: &dyn Memberships) -> Result<u64, FollowError> {
    let tick = memberships.barrier()?;
    loop {
        memberships.check()?;
        let newest = emitted.wait_beyond(tick.saturating_sub(1), PATIENCE).tick;
        if newest >= tick {
            return Ok(newest);
        }
    }
}

/// Returns what each membership that changed in the ticks after `from` up to `to` was before.
fn first_changes(emitted: &Emitted, from: u64, to: u64) -> Result<Before, StoreError> {
    let mut before = Before::new();
    emitted.each_change(from + 1..=to, &mut |_, change| {
        let was_member = change.change == ChangeKind::Left;
        let of_user = match before.get_mut(change.user_id) {
            Some(of_user) => of_user,
            None => before.entry(Arc::from(change.user_id)).or_default(),
        };
        of_user.entry(change.segment_id.clone()).or_insert(was_member);
    })?;
    Ok(before)
}

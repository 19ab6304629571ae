//! Every membership as of one progress, while the stream flows.
//!
//! Memory runs ahead of what is committed. So the memberships are copied, and once all that is in the copy is committed,
//! the changes behind the progress are taken back: of each membership the first of them says what was before.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use audience_contract::{Cause, ChangeKind, ChangeLog, MembershipChange, Progress};
use audience_kernel::membership::Membership;
use audience_rules::ast::SegmentId;
use hashbrown::HashMap;
use parking_lot::RwLock;
use roaring::RoaringBitmap;

use super::changes::decode;
use super::{Service, follow};
use crate::engine::EngineError;

/// Between looks at whether the copy is committed.
const LOOK: Duration = Duration::from_millis(100);

/// One worker's memberships.
struct Copied {
    segments: Vec<(SegmentId, RoaringBitmap)>,
    /// Whoever is in any of them, with their number.
    users: Vec<(Arc<str>, u32)>,
}

impl Copied {
    /// Readers and the worker wait for as long as bitmaps and ids are copied.
    fn of(membership: &RwLock<Membership>) -> Copied {
        let membership = membership.read();
        let segments: Vec<(SegmentId, RoaringBitmap)> =
            membership.segments.iter().map(|(id, bitmap)| (id.clone(), membership.bitmap(*bitmap).clone())).collect();
        let mut anywhere = RoaringBitmap::new();
        segments.iter().for_each(|(_, bitmap)| anywhere |= bitmap);
        let users = anywhere.iter().map(|slot| (Arc::from(membership.users.id(slot)), slot)).collect();
        Copied { segments, users }
    }
}

/// Every membership as of one progress.
pub struct Snapshot {
    progress: Progress,
    workers: Vec<Copied>,
    /// Whoever may be in any segment, in the order of their ids.
    users: Vec<User>,
    changed: Before,
}

/// By user, of the memberships that have changed since a tick, whether they were there.
type Before = HashMap<Arc<str>, HashMap<SegmentId, bool>>;

/// Somebody who may be in a segment.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct User {
    id: Arc<str>,
    /// The worker and the number there, if they have one.
    place: Option<(usize, u32)>,
}

impl Snapshot {
    /// As of a progress that the change log still goes back to. Costs a copy of all members' ids and bitmaps.
    pub fn take(service: &Service, progress: Progress) -> Result<Snapshot, EngineError> {
        let workers: Vec<Copied> =
            service.engine.memberships().iter().map(|membership| Copied::of(membership)).collect();
        let newest = service.committed_after_now()?;
        let changed = first_changes(&*service.stores.changes, progress.tick, newest)?;
        let mut users: Vec<User> = Vec::new();
        for (worker, copied) in workers.iter().enumerate() {
            let placed = copied.users.iter().map(|(id, slot)| (id.clone(), Some((worker, *slot))));
            users.extend(placed.map(|(id, place)| User { id, place }));
        }
        let present: BTreeSet<&str> = users.iter().map(|user| &*user.id).collect();
        let gone: Vec<Arc<str>> = changed.keys().filter(|id| !present.contains(&***id)).cloned().collect();
        users.extend(gone.into_iter().map(|id| User { id, place: None }));
        users.sort_unstable();
        Ok(Snapshot { progress, workers, users, changed })
    }

    /// As of when.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The users behind that id.
    pub fn users_behind(&self, id: Option<&str>) -> impl Iterator<Item = usize> {
        let first = id.map_or(0, |id| self.users.partition_point(|user| *user.id <= *id));
        first..self.users.len()
    }

    /// The id of a user.
    pub fn id(&self, user: usize) -> &str {
        &self.users[user].id
    }

    /// What the user is in, as changes of then; versions by segment.
    pub fn changes_of(&self, user: usize, versions: &HashMap<String, u64>, out: &mut Vec<MembershipChange>) {
        let User { id, place } = &self.users[user];
        let changed = self.changed.get(id);
        let mut enter = |segment: &SegmentId| {
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

/// Of each membership that changed in ticks behind `from` up to `to`, what it was before.
fn first_changes(log: &dyn ChangeLog, from: u64, to: u64) -> Result<Before, EngineError> {
    let mut before = Before::new();
    let mut undecoded = None;
    log.read(from + 1, &mut |tick, bytes| {
        if tick > to {
            return ControlFlow::Break(());
        }
        let Some(changes) = decode(bytes) else {
            undecoded = Some(follow::undecoded(tick));
            return ControlFlow::Break(());
        };
        for change in changes {
            let was_member = change.change == ChangeKind::Left;
            before.entry(change.user_id).or_default().entry(change.segment_id).or_insert(was_member);
        }
        ControlFlow::Continue(())
    })?;
    undecoded.map_or(Ok(before), |error| Err(error.into()))
}

impl Service {
    /// Waits until all that is in the memberships now is committed; gives a tick up to which everything is.
    fn committed_after_now(&self) -> Result<u64, EngineError> {
        let tick = self.empty_tick()?;
        self.engine.wait_for(tick)?;
        let number = self.standing.number(tick);
        loop {
            if let Some(failure) = self.failure() {
                return Err(EngineError::Stopped(failure));
            }
            let newest = self.committed.wait_beyond(number.saturating_sub(1), LOOK);
            if newest >= number {
                return Ok(newest);
            }
        }
    }
}

//! A pass over all users, some at a time.

use audience_rules::ast::Millis;

use super::touched::{IDS_AT_A_TIME, ProfileUser};
use crate::users::{UserPosition, Users};

/// A pass over all users.
#[derive(Debug)]
pub(super) struct ProfileSweep {
    /// When it began, milliseconds.
    pub begun: Millis,
    /// The digest of the computed traits that it writes.
    pub traits: u64,
    /// The instant at which the first of the profiles written since changes by time alone, if any does.
    pub due: Option<Millis>,
    /// True if ids that are no users may have a profile too.
    pub is_first: bool,
    /// True if all are written, which is yet to be stored.
    pub is_done: bool,
    position: UserPosition,
}

impl ProfileSweep {
    /// A pass from the first user on.
    pub(super) fn new(begun: Millis, traits: u64, is_first: bool) -> Self {
        ProfileSweep { begun, traits, due: None, is_first, is_done: false, position: UserPosition::default() }
    }

    /// Restarts with other computed traits. The profiles written so far are as of an instant after the first beginning.
    pub(super) fn restart(&mut self, traits: u64) {
        *self = ProfileSweep::new(self.begun, traits, self.is_first);
    }

    /// Its position.
    pub(super) fn position(&self) -> UserPosition {
        self.position
    }

    /// Goes back to a position: the users since then were not written.
    pub(super) fn go_back(&mut self, position: UserPosition) {
        self.position = position;
    }

    /// Returns the next ids, at most `most`; none at the end. Not every id is a user.
    pub(super) fn next_ids(&mut self, users: &dyn Users, most: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while ids.len() < most {
            let some = users.next_ids(&mut self.position, (most - ids.len()).min(IDS_AT_A_TIME));
            if some.is_empty() {
                break;
            }
            ids.extend(some);
        }
        ids
    }

    /// Returns how many ids are left.
    pub(super) fn left(&self, users: &dyn Users) -> u64 {
        users.count_after(self.position)
    }
}

/// Returns the users among the ids: those that are not merged into another.
pub(super) fn users(ids: &[String], known: &dyn Users) -> Vec<ProfileUser> {
    let mut users = Vec::new();
    for ids in ids.chunks(IDS_AT_A_TIME) {
        known.with_identities(&mut |identities| {
            let roots = ids.iter().filter(|id| identities.root(id).is_none());
            users.extend(roots.map(|root| ProfileUser { root: root.clone(), ids: identities.ids_since(root) }));
        });
    }
    users
}

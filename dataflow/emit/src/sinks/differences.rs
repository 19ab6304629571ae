//! The differences between the memberships that a sink holds and those that are.

use std::sync::Arc;

use audience_contract::MembershipChange;
use hashbrown::HashMap;

use super::snapshot::Snapshot;

/// The memberships that a sink holds, as the changes that would end them, by user.
pub(super) struct Differences(HashMap<Arc<str>, Vec<MembershipChange>>);

impl Differences {
    /// Begins with the leaves of everything that the sink holds.
    pub(super) fn new(leaves: Vec<MembershipChange>) -> Differences {
        let mut held: HashMap<Arc<str>, Vec<MembershipChange>> = HashMap::new();
        for leave in leaves {
            held.entry(leave.user_id.clone()).or_default().push(leave);
        }
        Differences(held)
    }

    /// Appends how a user's memberships in the snapshot differ from those held: who left, then who entered.
    pub(super) fn append(
        &mut self,
        snapshot: &Snapshot,
        user: usize,
        versions: &HashMap<String, u64>,
        out: &mut Vec<MembershipChange>,
    ) {
        let mut held = self.0.remove(snapshot.id(user)).unwrap_or_default();
        let mut entries = Vec::new();
        snapshot.append_entries(user, versions, &mut entries);
        entries.retain(|entry| {
            let place = held.iter().position(|leave| leave.segment_id == entry.segment_id);
            place.map(|place| held.swap_remove(place)).is_none()
        });
        out.append(&mut held);
        out.append(&mut entries);
    }

    /// The leaves of users who are in no segment any more.
    pub(super) fn into_rest(self) -> impl Iterator<Item = MembershipChange> {
        self.0.into_values().flatten()
    }
}

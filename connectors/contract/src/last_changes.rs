//! The last one of many changes of each membership, in groups: all that a store needs which keeps what is, and
//! not how it came to that.

use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::MembershipChange;

/// The last change of each membership among some changes in their order.
///
/// Writing these is writing all of them, in any order: no two are of one membership. Costs two look-ups a change.
#[derive(Debug)]
pub struct LastChanges<'a> {
    kept: Vec<KeptChange<'a>>,
}

#[derive(Debug)]
struct KeptChange<'a> {
    user: u32,
    segment: u32,
    change: &'a MembershipChange,
}

/// Numbers for ids, in the order in which they were first seen.
#[derive(Default)]
struct IdNumbers<'a> {
    known: HashMap<&'a str, u32>,
    /// Changes of one user or segment often follow each other.
    latest: Option<(&'a Arc<str>, u32)>,
}

impl<'a> IdNumbers<'a> {
    fn of(&mut self, id: &'a Arc<str>) -> u32 {
        if let Some((latest, number)) = self.latest
            && Arc::ptr_eq(latest, id)
        {
            return number;
        }
        let next = self.known.len() as u32;
        let number = *self.known.entry(id).or_insert(next);
        self.latest = Some((id, number));
        number
    }
}

impl<'a> LastChanges<'a> {
    /// Takes changes in their order; fewer than 2³² of them.
    pub fn of(changes: &'a [MembershipChange]) -> Self {
        let (mut users, mut segments) = (IdNumbers::default(), IdNumbers::default());
        let mut places: HashMap<u64, usize> = HashMap::with_capacity(changes.len());
        let mut kept: Vec<KeptChange<'a>> = Vec::with_capacity(changes.len());
        for change in changes {
            let (user, segment) = (users.of(&change.user_id), segments.of(&change.segment_id));
            match places.entry(u64::from(user) << 32 | u64::from(segment)) {
                Entry::Occupied(place) => kept[*place.get()].change = change,
                Entry::Vacant(place) => {
                    place.insert(kept.len());
                    kept.push(KeptChange { user, segment, change });
                }
            }
        }
        LastChanges { kept }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Group by group, each of one user.
    pub fn by_user(&mut self) -> impl Iterator<Item = Vec<&'a MembershipChange>> {
        self.kept.sort_unstable_by_key(|kept| kept.user);
        self.kept.chunk_by(|one, next| one.user == next.user).map(changes)
    }

    /// Group by group, each of one segment.
    pub fn by_segment(&mut self) -> impl Iterator<Item = Vec<&'a MembershipChange>> {
        self.kept.sort_unstable_by_key(|kept| kept.segment);
        self.kept.chunk_by(|one, next| one.segment == next.segment).map(changes)
    }
}

fn changes<'a>(group: &[KeptChange<'a>]) -> Vec<&'a MembershipChange> {
    group.iter().map(|kept| kept.change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, ChangeKind};

    fn change(user: &str, segment: &str, at: i64) -> MembershipChange {
        let change = if at % 2 == 0 { ChangeKind::Entered } else { ChangeKind::Left };
        let (user_id, segment_id) = (user.into(), segment.into());
        MembershipChange { user_id, segment_id, change, at, version: 1, cause: Cause::Event }
    }

    fn said(groups: impl Iterator<Item = Vec<&'static MembershipChange>>) -> Vec<String> {
        let one = |change: &MembershipChange| format!("{} {} {}", change.user_id, change.segment_id, change.at);
        let mut groups: Vec<String> = groups
            .map(|group| {
                let mut group: Vec<String> = group.into_iter().map(one).collect();
                group.sort();
                group.join(", ")
            })
            .collect();
        groups.sort();
        groups
    }

    #[test]
    fn the_last_of_each_in_groups() {
        let shared: Arc<str> = "ann".into();
        let mut changes = vec![
            change("ann", "s", 2),
            change("bob", "s", 2),
            change("ann", "t", 4),
            change("ann", "s", 5),
            change("ann", "s", 6),
            change("bob", "s", 7),
        ];
        // The same id, be it one text in memory or several.
        changes[2].user_id = shared.clone();
        changes[3].user_id = shared;
        let mut last = LastChanges::of(changes.leak());
        assert_eq!(last.len(), 3);
        assert_eq!(said(last.by_user()), ["ann s 6, ann t 4", "bob s 7"]);
        assert_eq!(said(last.by_segment()), ["ann s 6, bob s 7", "ann t 4"]);
        assert!(LastChanges::of(&[]).is_empty() && LastChanges::of(&[]).by_user().next().is_none());
    }
}

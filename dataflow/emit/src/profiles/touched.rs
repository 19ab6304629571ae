//! The users whose profiles may change with records that were accepted.

use std::collections::{BTreeMap, BTreeSet};

use audience_rules::record::{EventRef, RecordKind};
use hashbrown::HashSet;

use crate::users::{Identities, UserIdSince, Users};

/// Ids that are looked up before the engine may merge users again.
pub(super) const IDS_AT_A_TIME: usize = 1 << 10;

/// A user with all ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProfileUser {
    /// The id that the user goes by.
    pub root: String,
    /// Each id with the sequence number from which its records count.
    pub ids: Vec<UserIdSince>,
}

/// The ids that some records name.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Ids with new events.
    users: HashSet<String>,
    /// Ids that were merged, and those into which they were.
    merged: HashSet<String>,
    /// Ids that were erased, each with the sequence number of the erasure.
    erased: Vec<UserIdSince>,
}

impl Touched {
    /// Adds a record.
    pub(super) fn add(&mut self, record: &EventRef<'_>) {
        match (record.kind(), record.other()) {
            (RecordKind::Erasure, _) => self.erased.push((record.user().to_owned(), record.sequence())),
            (_, Some(other)) => {
                self.merged.get_or_insert_with(other, str::to_owned);
                self.merged.get_or_insert_with(record.user(), str::to_owned);
            }
            (_, None) => {
                self.users.get_or_insert_with(record.user(), str::to_owned);
            }
        }
    }

    /// Returns the users, and the ids that are no users; none if it is not known any more who was one user with somebody who
    /// was erased. The engine knows all records that were added.
    pub(super) fn resolve(self, known: &dyn Users) -> Option<(Vec<ProfileUser>, Vec<String>)> {
        let (mut users, mut gone, mut moved) = (BTreeMap::new(), BTreeSet::new(), None);
        known.with_identities(&mut |identities| moved = erased(&self.erased, identities));
        let moved: Vec<String> = self.merged.into_iter().chain(moved?).collect();
        for ids in moved.chunks(IDS_AT_A_TIME) {
            known.with_identities(&mut |identities| {
                for id in ids {
                    // An id that was merged had a profile, and so may one have that came with it.
                    let user = take(id, identities, &mut users);
                    gone.extend(user.iter().skip(1).map(|(id, _)| id.clone()));
                }
            });
        }
        let plain: Vec<String> = self.users.into_iter().collect();
        for ids in plain.chunks(IDS_AT_A_TIME) {
            known.with_identities(&mut |identities| {
                for id in ids {
                    take(id, identities, &mut users);
                }
            });
        }
        let users = users.into_iter().map(|(root, ids)| ProfileUser { root, ids }).collect();
        Some((users, gone.into_iter().collect()))
    }
}

/// Adds the user that an id stands for; returns all ids of that user, the one that the user goes by first.
fn take<'u>(
    id: &str,
    identities: &dyn Identities,
    users: &'u mut BTreeMap<String, Vec<UserIdSince>>,
) -> &'u [UserIdSince] {
    let root = identities.root(id).unwrap_or(id);
    users.entry(root.to_owned()).or_insert_with(|| identities.ids_since(root))
}

/// Returns every id that was one user with those who were erased: each is a user alone again, and none knows of the others.
fn erased(erased: &[UserIdSince], identities: &dyn Identities) -> Option<Vec<String>> {
    let Some((_, first)) = erased.first() else { return Some(Vec::new()) };
    if erased.iter().any(|(id, place)| identities.counts_from(id) < *place) {
        return None;
    }
    let since = identities.erased().into_iter().filter(|(_, place)| place >= first);
    Some(since.map(|(id, _)| id).collect())
}

#[cfg(test)]
mod tests {
    use audience_kernel::aliases::Aliases;
    use audience_rules::event::{EventDefaults, decode_event};
    use audience_rules::record::{erasure, records, set_sequence};

    use super::*;
    use crate::users::UserPosition;

    struct KnownTouches<'a>(&'a Aliases);

    impl Identities for KnownTouches<'_> {
        fn root(&self, id: &str) -> Option<&str> {
            self.0.root(id).map(|root| &**root)
        }

        fn ids_since(&self, root: &str) -> Vec<UserIdSince> {
            self.0.ids_since(root)
        }

        fn erased(&self) -> Vec<UserIdSince> {
            self.0.erased()
        }

        fn counts_from(&self, id: &str) -> u64 {
            self.0.counts_from(id)
        }
    }

    /// Takes in what is accepted; tells who is touched by what was accepted from a place on.
    #[derive(Default)]
    struct TouchedLog {
        aliases: Aliases,
        records: Vec<Vec<u8>>,
    }

    impl TouchedLog {
        fn accept(&mut self, mut record: Vec<u8>) {
            let sequence = self.records.len() as u64;
            set_sequence(&mut record, sequence);
            for event in records(&record) {
                if let Some(other) = event.other() {
                    self.aliases.merge(other, event.user());
                }
                if event.kind() == RecordKind::Erasure {
                    self.aliases.erase(event.user(), sequence);
                }
            }
            self.records.push(record);
        }

        fn event(&mut self, json: &str) {
            let mut record = Vec::new();
            decode_event(json.as_bytes(), &EventDefaults { accepted_at: 0 }, &mut record).expect("an event");
            self.accept(record);
        }

        fn visit(&mut self, user: &str) {
            self.event(&format!(r#"{{"userId":"{user}","eventType":"v"}}"#));
        }

        fn alias(&mut self, previous: &str, user: &str) {
            self.event(&format!(r#"{{"previousId":"{previous}","userId":"{user}","eventType":"alias"}}"#));
        }

        fn erase(&mut self, user: &str) {
            let mut record = Vec::new();
            erasure(user, 0, &mut record);
            self.accept(record);
        }

        fn touched(&self, from: usize) -> Option<(Vec<String>, Vec<String>)> {
            let mut touched = Touched::default();
            self.records[from..].iter().flat_map(|record| records(record)).for_each(|record| touched.add(&record));
            let (users, gone) = touched.resolve(self)?;
            Some((users.into_iter().map(|user| user.root).collect(), gone))
        }
    }

    impl Users for TouchedLog {
        fn with_identities(&self, look: &mut dyn FnMut(&dyn Identities)) {
            look(&KnownTouches(&self.aliases));
        }

        fn next_ids(&self, _: &mut UserPosition, _: usize) -> Vec<String> {
            Vec::new()
        }

        fn count_after(&self, _: UserPosition) -> u64 {
            0
        }
    }

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn users_are_those_who_they_are_now() {
        let mut log = TouchedLog::default();
        log.alias("a", "b");
        ["a", "b", "c"].into_iter().for_each(|user| log.visit(user));
        assert_eq!(log.touched(1), Some((ids(&["b", "c"]), vec![])), "who was merged before has no profile");
        assert_eq!(log.touched(0), Some((ids(&["b", "c"]), ids(&["a"]))));
    }

    #[test]
    fn a_merge_takes_out_whoever_is_no_user_now_named_or_not() {
        let mut log = TouchedLog::default();
        log.alias("c", "b");
        log.alias("c", "a");
        assert_eq!(log.touched(1), Some((ids(&["a"]), ids(&["b", "c"]))), "`b` is not named, and had a profile");
        log.event(r#"{"userId":"d","anonymousId":"c","eventType":"identify"}"#);
        assert_eq!(log.touched(2), Some((ids(&["d"]), ids(&["a", "b", "c"]))));
    }

    #[test]
    fn an_erasure_touches_all_who_were_one() {
        let mut log = TouchedLog::default();
        log.alias("b", "a");
        log.visit("c");
        log.erase("b");
        assert_eq!(log.touched(2), Some((ids(&["a", "b"]), vec![])));
        log.alias("x", "b");
        assert_eq!(log.touched(2), Some((ids(&["a", "b"]), ids(&["x"]))));
        log.aliases.forget_erased(&log.aliases.erased());
        assert_eq!(log.touched(2), None, "nobody knows of `a` any more");
        assert_eq!(log.touched(3), Some((ids(&["b"]), ids(&["x"]))));
    }
}

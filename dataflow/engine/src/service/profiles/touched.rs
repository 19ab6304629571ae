//! Whose profiles may be others for what was accepted.

use std::collections::{BTreeMap, BTreeSet};

use audience_kernel::aliases::{Aliases, IdSince};
use audience_rules::record::{EventRef, RecordKind};
use hashbrown::HashSet;
use parking_lot::RwLock;

/// Ids that are looked at before whoever merges users may go on.
pub const IDS_AT_A_TIME: usize = 1 << 10;

/// A user, by all ids that are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id that the user goes by.
    pub root: String,
    /// Each with the place from which on its records count.
    pub ids: Vec<IdSince>,
}

/// The ids that a run of records speaks of.
#[derive(Debug, Default)]
pub struct Touched {
    /// Of whom events were accepted.
    users: HashSet<String>,
    /// Who were merged, and into whom.
    merged: HashSet<String>,
    /// Who were erased, each with the place of that.
    erased: Vec<IdSince>,
}

impl Touched {
    /// Takes in a record.
    pub fn add(&mut self, record: &EventRef<'_>) {
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

    /// The users, and the ids that are no users; none where it is not known any more who were one with somebody who was
    /// erased. All that was taken in is known to `aliases`.
    pub fn resolve(self, aliases: &RwLock<Aliases>) -> Option<(Vec<User>, Vec<String>)> {
        let (mut users, mut gone) = (BTreeMap::new(), BTreeSet::new());
        let moved: Vec<String> = self.merged.into_iter().chain(erased(&self.erased, &aliases.read())?).collect();
        for ids in moved.chunks(IDS_AT_A_TIME) {
            let aliases = aliases.read();
            for id in ids {
                // One that was merged into another had a profile, and so may one have that came with it.
                let user = take(id, &aliases, &mut users);
                gone.extend(user.iter().skip(1).map(|(id, _)| id.clone()));
            }
        }
        let plain: Vec<String> = self.users.into_iter().collect();
        for ids in plain.chunks(IDS_AT_A_TIME) {
            let aliases = aliases.read();
            for id in ids {
                take(id, &aliases, &mut users);
            }
        }
        let users = users.into_iter().map(|(root, ids)| User { root, ids }).collect();
        Some((users, gone.into_iter().collect()))
    }
}

/// Adds the user that an id stands for; gives all ids of that user, first the one that the user goes by.
fn take<'u>(id: &str, aliases: &Aliases, users: &'u mut BTreeMap<String, Vec<IdSince>>) -> &'u [IdSince] {
    let root = aliases.root(id).map_or(id, |root| root);
    users.entry(root.to_owned()).or_insert_with(|| aliases.ids_since(root))
}

/// Everybody who was one with those who were erased: each is by itself again, and none knows of the others.
fn erased(erased: &[IdSince], aliases: &Aliases) -> Option<Vec<String>> {
    let Some((_, first)) = erased.first() else { return Some(Vec::new()) };
    if erased.iter().any(|(id, place)| aliases.counts_from(id) < *place) {
        return None;
    }
    let since = aliases.erased().into_iter().filter(|(_, place)| place >= first);
    Some(since.map(|(id, _)| id).collect())
}

#[cfg(test)]
mod tests {
    use audience_rules::event::{EventDefaults, decode_event};
    use audience_rules::record::{erasure, records, set_sequence};

    use super::*;

    /// Takes in what is accepted, from a place on, and gives who is touched by what is behind another.
    #[derive(Default)]
    struct Log {
        aliases: Aliases,
        records: Vec<Vec<u8>>,
    }

    impl Log {
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
            let (users, gone) = touched.resolve(&RwLock::new(self.aliases.clone()))?;
            Some((users.into_iter().map(|user| user.root).collect(), gone))
        }
    }

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn users_are_those_who_they_are_now() {
        let mut log = Log::default();
        log.alias("a", "b");
        ["a", "b", "c"].into_iter().for_each(|user| log.visit(user));
        assert_eq!(log.touched(1), Some((ids(&["b", "c"]), vec![])), "who was merged before has no profile");
        assert_eq!(log.touched(0), Some((ids(&["b", "c"]), ids(&["a"]))));
    }

    #[test]
    fn a_merge_takes_out_whoever_is_no_user_now_named_or_not() {
        let mut log = Log::default();
        log.alias("c", "b");
        log.alias("c", "a");
        assert_eq!(log.touched(1), Some((ids(&["a"]), ids(&["b", "c"]))), "`b` is not named, and had a profile");
        log.event(r#"{"userId":"d","anonymousId":"c","eventType":"identify"}"#);
        assert_eq!(log.touched(2), Some((ids(&["d"]), ids(&["a", "b", "c"]))));
    }

    #[test]
    fn an_erasure_touches_all_who_were_one() {
        let mut log = Log::default();
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

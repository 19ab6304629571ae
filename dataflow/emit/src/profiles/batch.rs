//! The profiles of many users at once: a run of events is read once for all of them.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::thread;

use audience_background::clock;
use audience_contract::{EventLog, Profile, StoreError};
use audience_rules::ast::Millis;
use audience_rules::oracle::EventHistory;
use audience_rules::record::records;
use hashbrown::HashMap;

use super::touched::ProfileUser;
use super::traits::ProfileTraits;
use crate::trait_values;

/// Users for whom one thread is enough.
const FEW: usize = 64;

/// The profiles of some users.
#[derive(Default)]
pub(super) struct Profiles {
    /// The users that have events.
    pub profiles: Vec<Profile>,
    /// The ids of those that have none.
    pub unknown: Vec<String>,
    /// The instant at which the first of the profiles changes by time alone, if any does.
    pub due: Option<Millis>,
}

impl Profiles {
    fn add(&mut self, other: Profiles) {
        self.profiles.extend(other.profiles);
        self.unknown.extend(other.unknown);
        self.due = self.due.into_iter().chain(other.due).min();
    }

    /// Makes the profiles of users whose records those are, on so many threads.
    pub(super) fn of(users: &[ProfileUser], events: &[Vec<u8>], traits: &ProfileTraits, threads: usize) -> Profiles {
        let mut known = Profiles::default();
        if threads < 2 || users.len() < FEW {
            users.iter().zip(events).for_each(|(user, events)| known.look_at(user, events, traits));
            return known;
        }
        let share = users.len().div_ceil(threads);
        thread::scope(|scope| {
            let shares = users.chunks(share).zip(events.chunks(share));
            let looking: Vec<_> =
                shares.map(|(users, events)| scope.spawn(|| Profiles::of(users, events, traits, 1))).collect();
            looking.into_iter().for_each(|share| match share.join() {
                Ok(share) => known.add(share),
                Err(died) => resume_unwind(died),
            });
        });
        known
    }

    fn look_at(&mut self, user: &ProfileUser, events: &[u8], traits: &ProfileTraits) {
        let (mut history, now) = (EventHistory::default(), clock::now());
        records(events).for_each(|record| history.push(record));
        if history.events().is_empty() {
            self.unknown.push(user.root.clone());
            return;
        }
        self.due = self.due.into_iter().chain(traits.due(&history, now)).min();
        self.profiles.push(Profile {
            user_id: user.root.clone(),
            at: now,
            traits: trait_values::traits(&history, now),
            computed: trait_values::computed_traits(&history, traits.by_name(), now),
        });
    }
}

/// Returns the records of each user: of as many of the first users as take `most` bytes, and of one at least. Costs one pass
/// over the parts of the log that name any of them.
pub(super) fn gather(log: &dyn EventLog, users: &[ProfileUser], most: usize) -> Result<Vec<Vec<u8>>, StoreError> {
    let named = users.iter().enumerate().flat_map(|(place, user)| user.ids.iter().map(move |id| (place, id)));
    let by_id: HashMap<&str, (usize, u64)> = named.map(|(place, (id, since))| (&**id, (place, *since))).collect();
    let ids: Vec<&str> = by_id.keys().copied().collect();
    let (mut events, mut bytes) = (vec![Vec::new(); users.len()], 0);
    log.visit_users(&ids, log.end(), &mut |run| {
        for record in records(run) {
            if let Some((place, since)) = by_id.get(record.user())
                && record.sequence() >= *since
                && let Some(own) = events.get_mut(*place)
            {
                own.extend_from_slice(record.bytes());
                bytes += record.bytes().len();
            }
        }
        while bytes > most && events.len() > 1 {
            bytes -= events.drain(events.len() / 2..).map(|events| events.len()).sum::<usize>();
        }
        ControlFlow::Continue(())
    })?;
    Ok(events)
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use audience_contract::{Result, SourcePosition};
    use audience_rules::event::{EventDefaults, decode_event};
    use audience_rules::record::set_sequence;

    use super::*;

    /// A log whose runs are single records.
    struct RecordLog(Vec<Vec<u8>>);

    impl EventLog for RecordLog {
        fn append_from(&self, _: &mut [u8], _: &[SourcePosition]) -> Result<Range<u64>> {
            Ok(0..0)
        }

        fn positions(&self) -> Result<Vec<SourcePosition>> {
            Ok(Vec::new())
        }

        fn end(&self) -> u64 {
            self.0.len() as u64
        }

        fn scan(&self, _: Range<u64>, _: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
            Ok(())
        }

        fn split(&self, _: Range<u64>, _: usize) -> Vec<Range<u64>> {
            Vec::new()
        }

        fn visit_users(&self, _: &[&str], _: u64, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) -> Result<()> {
            self.0.iter().for_each(|record| assert!(visit(record).is_continue()));
            Ok(())
        }

        fn erase(&self, _: &[(String, u64)]) -> Result<()> {
            Ok(())
        }

        fn purge(&self) -> Result<bool> {
            Ok(false)
        }
    }

    /// A hundred events of three users, the second of whom has two ids.
    fn log() -> (RecordLog, Vec<ProfileUser>) {
        let record = |sequence: u64| {
            let (user, mut record) = (["a", "b", "c", "b2"][sequence as usize % 4], Vec::new());
            let json = format!(r#"{{"userId":"{user}","eventType":"p"}}"#);
            decode_event(json.as_bytes(), &EventDefaults { accepted_at: 0 }, &mut record).expect("an event");
            set_sequence(&mut record, sequence);
            record
        };
        let user = |ids: &[(&str, u64)]| ProfileUser {
            root: ids[0].0.to_owned(),
            ids: ids.iter().map(|(id, since)| ((*id).to_owned(), *since)).collect(),
        };
        let users = vec![user(&[("a", 0)]), user(&[("b", 50), ("b2", 0)]), user(&[("c", 1_000)])];
        (RecordLog((0..100).map(record).collect()), users)
    }

    fn counts(events: &[Vec<u8>]) -> Vec<usize> {
        events.iter().map(|events| records(events).count()).collect()
    }

    #[test]
    fn records_go_to_their_users() {
        let (log, users) = log();
        let events = gather(&log, &users, usize::MAX).expect("read");
        assert_eq!(counts(&events), [25, 12 + 25, 0]);
        for threads in [1, 2, 7] {
            let many: Vec<ProfileUser> = (0..FEW).flat_map(|_| users.clone()).collect();
            let of_many: Vec<Vec<u8>> = (0..FEW).flat_map(|_| events.clone()).collect();
            let known = Profiles::of(&many, &of_many, &ProfileTraits::default(), threads);
            let ids: Vec<&str> = known.profiles.iter().map(|profile| &*profile.user_id).collect();
            assert_eq!(ids, ["a", "b"].repeat(FEW));
            assert_eq!(known.unknown, ["c"].repeat(FEW));
        }
    }

    #[test]
    fn what_does_not_fit_is_of_fewer_users_whole() {
        let (log, users) = log();
        let all = gather(&log, &users, usize::MAX).expect("read");
        for most in [all[0].len() * 2, all[0].len(), 1, 0] {
            assert_eq!(gather(&log, &users, most).expect("read"), all[..1], "{most}");
        }
        let many: Vec<ProfileUser> =
            (0..8).map(|place| ProfileUser { root: format!("u{place}"), ids: vec![] }).collect();
        assert_eq!(gather(&log, &many, 0).expect("read"), vec![Vec::<u8>::new(); 8]);
    }
}

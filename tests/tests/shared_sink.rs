//! A sink that several write side by side, in memory and failing often, under another number of writers with each start: each
//! user's changes are given out once and in their order, by whomever.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeMap;
use std::sync::Arc;

use audience_contract::{MembershipChange, Progress, Reach, SharedSink, Sink, SinkError, Writer, Writers};
use audience_engine::service::Service;
use audience_tests::given_out::{folded, given_out};
use audience_tests::ledger::Members;
use audience_tests::platform::{create_rule, members, send, start, stores, wait_until};
use audience_tests::random::Random;
use audience_tests::serve::pause;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// The memberships held, all or nothing by each write.
#[derive(Default)]
struct HeldMemberships {
    /// How many users are dealt over.
    writers: Option<u64>,
    /// The reach of each writer that has any.
    reaches: BTreeMap<u64, Reach>,
    changes: Vec<MembershipChange>,
    /// How often it was opened; only who did it last may deal.
    opened: u64,
    /// How often each writer was opened; only who did it last may write.
    writers_opened: BTreeMap<u64, u64>,
    deals: u64,
    /// Acts that must not be: a panic would only restart the writer.
    violations: Vec<String>,
    /// The chance that a call fails, in percent.
    faults: u64,
}

#[derive(Clone)]
struct SharedMedium {
    held: Arc<Mutex<HeldMemberships>>,
    random: Arc<Mutex<Random>>,
}

impl SharedMedium {
    fn expect(held: &mut HeldMemberships, is_so: bool, what: impl FnOnce() -> String) {
        if !is_so {
            held.violations.push(what());
        }
    }

    fn fault(&self) -> Result<(), SinkError> {
        let percent = self.held.lock().faults;
        if self.random.lock().percent(percent) {
            Err(SinkError::Transient("it does not answer".into()))
        } else {
            Ok(())
        }
    }

    fn writers(&self, of: u64) -> Vec<Writer> {
        let writer = |index| Writer {
            sink: Box::new(OneOf { medium: self.clone(), index, of, opened: None }),
            owns: Arc::new(move |user: &str| owner(user, of) == index),
        };
        (0..of).map(writer).collect()
    }
}

fn owner(user: &str, of: u64) -> u64 {
    user.bytes().map(u64::from).sum::<u64>() % of
}

struct SharedWriter {
    medium: SharedMedium,
    wanted: u64,
    opened: u64,
}

impl SharedSink for SharedWriter {
    fn name(&self) -> &str {
        "shared"
    }

    fn open(&mut self) -> Result<Writers, SinkError> {
        self.medium.fault()?;
        let mut held = self.medium.held.lock();
        held.opened += 1;
        self.opened = held.opened;
        let before = *held.writers.get_or_insert(self.wanted);
        drop(held);
        let writers = self.medium.writers(before);
        Ok(if before == self.wanted { Writers::AsWanted(writers) } else { Writers::AsBefore(writers) })
    }

    fn deal(&mut self, reach: &Reach) -> Result<Vec<Writer>, SinkError> {
        self.medium.fault()?;
        {
            let mut held = self.medium.held.lock();
            let is_last = held.opened == self.opened;
            SharedMedium::expect(&mut held, is_last, || "an earlier opening deals".to_owned());
            let tick = reach.progress().tick;
            for writer in 0..held.writers.unwrap() {
                let found = held.reaches.get(&writer).cloned();
                let is_there = tick == 0 || matches!(found, Some(Reach::All(at)) if at.tick == tick);
                SharedMedium::expect(&mut held, is_there, || {
                    format!("dealt at {tick}, and writer {writer} is at {found:?}")
                });
            }
            held.writers = Some(self.wanted);
            held.reaches = (0..self.wanted).map(|writer| (writer, reach.clone())).collect();
            held.deals += 1;
        }
        // It is done, and nobody hears of it.
        self.medium.fault()?;
        Ok(self.medium.writers(self.wanted))
    }
}

struct OneOf {
    medium: SharedMedium,
    index: u64,
    of: u64,
    opened: Option<u64>,
}

impl Sink for OneOf {
    fn name(&self) -> &str {
        "one of several"
    }

    /// So few that a backlog is many writes.
    fn changes_at_once(&self) -> usize {
        100
    }

    fn is_transactional(&self) -> bool {
        true
    }

    fn open(&mut self) -> Result<Option<Reach>, SinkError> {
        self.medium.fault()?;
        let mut held = self.medium.held.lock();
        let is_asked_for = held.writers == Some(self.of);
        SharedMedium::expect(&mut held, is_asked_for, || format!("one of {} is opened", self.of));
        let opened = held.writers_opened.entry(self.index).or_default();
        *opened += 1;
        self.opened = Some(*opened);
        Ok(held.reaches.get(&self.index).cloned())
    }

    fn write(&mut self, reach: &Reach, changes: &[MembershipChange]) -> Result<(), SinkError> {
        self.medium.fault()?;
        {
            let mut held = self.medium.held.lock();
            let is_last = held.writers_opened.get(&self.index).copied() == self.opened;
            SharedMedium::expect(&mut held, is_last, || format!("writer {} writes who was shut out", self.index));
            let is_own = changes.iter().all(|change| owner(&change.user_id, self.of) == self.index);
            SharedMedium::expect(&mut held, is_own, || {
                format!("writer {} of {} writes of others", self.index, self.of)
            });
            held.reaches.insert(self.index, reach.clone());
            held.changes.extend_from_slice(changes);
        }
        self.medium.fault()
    }

    fn clear(&mut self, _: Progress, owns: &dyn Fn(&str) -> bool) -> Result<(), SinkError> {
        let mut held = self.medium.held.lock();
        held.changes.retain(|change| !owns(&change.user_id));
        held.reaches.remove(&self.index);
        Ok(())
    }
}

fn buy(user: u64) -> Value {
    json!({"userId": format!("u{user:06}"), "eventType": "buy"})
}

fn segments(service: &Service) {
    create_rule(service, "once", &json!({"event": "buy"}));
    create_rule(service, "odd", &json!({"event": "buy", "operator": "in", "value": [1, 3, 5]}));
}

fn memberships(service: &Service) -> Members {
    let of = |id: &str| (id.to_owned(), members(service, id).into_iter().collect());
    ["once", "odd"]
        .map(of)
        .into_iter()
        .filter(|(_, members): &(_, std::collections::BTreeSet<_>)| !members.is_empty())
        .collect()
}

fn by_user(changes: &[MembershipChange]) -> BTreeMap<&str, Vec<&MembershipChange>> {
    let mut users: BTreeMap<&str, Vec<&MembershipChange>> = BTreeMap::new();
    changes.iter().for_each(|change| users.entry(&change.user_id).or_default().push(change));
    users
}

fn medium(seed: u64) -> SharedMedium {
    let held = HeldMemberships { faults: 8, ..HeldMemberships::default() };
    SharedMedium { held: Arc::new(Mutex::new(held)), random: Arc::new(Mutex::new(Random::new(seed))) }
}

fn give_out(service: &Arc<Service>, medium: &SharedMedium, wanted: u64) {
    service.emit_to_shared(Box::new(SharedWriter { medium: medium.clone(), wanted, opened: 0 })).unwrap();
}

#[test]
fn users_are_dealt_over_another_number_of_writers_with_each_start() {
    for seed in 0..4 {
        let directory = tempfile::tempdir().unwrap();
        let stores = stores(directory.path());
        let (medium, mut random) = (medium(seed), Random::new(seed));
        let runs = [1, 4, 3, 3, 1, 2];
        for (run, wanted) in runs.into_iter().enumerate() {
            let service = start(stores.clone(), 2);
            if run == 0 {
                segments(&service);
            }
            if run + 1 == runs.len() {
                medium.held.lock().faults = 0;
            }
            give_out(&service, &medium, wanted);
            for _ in 0..40 {
                send(&service, (0..20).map(|_| buy(random.between(0, 1_000))));
                pause(random.between(0, 10));
            }
            service.stop();
        }
        let held = medium.held.lock();
        assert_eq!(held.violations, [""; 0]);
        assert_eq!(by_user(&held.changes), by_user(&given_out(&stores)), "with seed {seed}");
        let newest = stores.changes.progress().unwrap().unwrap();
        let known = |reach: &Reach| Progress { run: 0, ..reach.progress() };
        let reaches: Vec<(u64, Progress)> =
            held.reaches.iter().map(|(writer, reach)| (*writer, known(reach))).collect();
        assert_eq!(reaches, [(0, newest), (1, newest)], "each tells how far it came");
        assert!(held.reaches.values().all(|reach| matches!(reach, Reach::All(_))), "{:?}", held.reaches);
        assert!(held.deals >= 3 && held.opened > 10, "dealt {} times, opened {} times", held.deals, held.opened);
    }
}

/// Snapshots that several write, that are broken off, and that others go on with.
#[test]
fn writers_that_come_late_give_everybody() {
    for seed in 0..4 {
        let directory = tempfile::tempdir().unwrap();
        let stores = stores(directory.path());
        let (medium, mut random) = (medium(seed), Random::new(seed));
        for (run, wanted) in [3, 3, 2, 4].into_iter().enumerate() {
            let service = start(stores.clone(), 2);
            if run == 0 {
                segments(&service);
                send(&service, (0..20_000).map(buy));
                wait_until("everybody", || memberships(&service).get("once").map_or(0, |users| users.len()) == 20_000);
                pause(1_200);
                let newest = stores.changes.progress().unwrap().unwrap();
                stores.changes.forget(newest.tick + 1).unwrap();
            }
            give_out(&service, &medium, wanted);
            for _ in 0..20 {
                send(&service, (0..20).map(|_| buy(random.between(0, 21_000))));
                pause(random.between(0, 10));
            }
            if run == 3 {
                medium.held.lock().faults = 0;
                wait_until("equality", || {
                    let before = memberships(&service);
                    let found = folded(&medium.held.lock().changes);
                    before == found && before == memberships(&service)
                });
            }
            service.stop();
        }
        assert_eq!(medium.held.lock().violations, [""; 0]);
    }
}

//! A sink that takes a part of a write where it fails, as Redis and Aerospike may: whatever is broken off in the middle of what, it
//! ends with exactly those who are members, also where it goes from one data directory to another and back.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use audience_contract::{ChangeKind, MembershipChange, Progress, Reach, Sink, SinkError};
use audience_engine::service::Service;
use audience_tests::platform::{create_rule, members, send, start, stores, wait_beyond, wait_until};
use audience_tests::random::Random;
use audience_tests::serve::pause;
use parking_lot::Mutex;
use serde_json::{Value, json};

const SEGMENTS: [&str; 2] = ["once", "odd"];

/// User and segment.
type TornMembers = BTreeSet<(String, String)>;

/// The memberships that are there; nobody knows how it came to that.
#[derive(Default)]
struct TornMedium {
    reach: Option<Reach>,
    held: TornMembers,
    /// The chance that a write or a clearing breaks off, in percent.
    faults: u64,
    torn_writes: u64,
    /// A write that changes anything never comes to its end.
    breaks_all: bool,
    torn_clears: u64,
}

struct TornSink {
    medium: Arc<Mutex<TornMedium>>,
    random: Random,
}

impl TornSink {
    fn breaks(&mut self) -> bool {
        let percent = self.medium.lock().faults;
        self.random.percent(percent)
    }
}

fn away() -> SinkError {
    SinkError::Transient("it does not answer".into())
}

fn put(held: &mut TornMembers, change: &MembershipChange) {
    let membership = (change.user_id.to_string(), change.segment_id.to_string());
    match change.change {
        ChangeKind::Entered => held.insert(membership),
        ChangeKind::Left => held.remove(&membership),
    };
}

impl Sink for TornSink {
    fn name(&self) -> &str {
        "torn"
    }

    fn changes_at_once(&self) -> usize {
        200
    }

    fn is_transactional(&self) -> bool {
        false
    }

    fn open(&mut self) -> Result<Option<Reach>, SinkError> {
        Ok(self.medium.lock().reach.clone())
    }

    /// Broken off, some users have their changes, and it reaches no further.
    fn write(&mut self, reach: &Reach, changes: &[MembershipChange]) -> Result<(), SinkError> {
        let is_torn = self.breaks() || (self.medium.lock().breaks_all && !changes.is_empty());
        let salt = self.random.between(0, 1);
        let is_written = |user: &str| !is_torn || user.bytes().map(u64::from).sum::<u64>() % 2 == salt;
        let mut medium = self.medium.lock();
        changes.iter().filter(|change| is_written(&change.user_id)).for_each(|change| put(&mut medium.held, change));
        if is_torn {
            medium.torn_writes += u64::from(!changes.is_empty());
            return Err(away());
        }
        medium.reach = Some(reach.clone());
        Ok(())
    }

    fn clear(&mut self, _: Progress, owns: &dyn Fn(&str) -> bool) -> Result<(), SinkError> {
        let breaks = self.breaks();
        let mut medium = self.medium.lock();
        let is_torn = breaks || medium.breaks_all;
        let mut number = 0;
        medium.held.retain(|(user, _)| {
            number += 1;
            !owns(user) || (is_torn && number % 2 == 0)
        });
        if is_torn {
            medium.torn_clears += 1;
            return Err(away());
        }
        medium.reach = None;
        Ok(())
    }
}

fn buy(user: u64) -> Value {
    json!({"userId": format!("u{user:06}"), "eventType": "buy"})
}

/// Everybody is in the one for good; of the other they leave with every second purchase.
fn segments(service: &Service) {
    create_rule(service, "once", &json!({"event": "buy"}));
    let odd: Vec<u64> = (1..400).step_by(2).collect();
    create_rule(service, "odd", &json!({"event": "buy", "operator": "in", "value": odd}));
}

fn memberships(service: &Service) -> TornMembers {
    let of = |id: &str| members(service, id).into_iter().map(|user| (user, id.to_owned())).collect::<Vec<_>>();
    SEGMENTS.iter().flat_map(|id| of(id)).collect()
}

fn give_out(service: &Arc<Service>, medium: &Arc<Mutex<TornMedium>>, seed: u64) {
    service.emit_to(Box::new(TornSink { medium: medium.clone(), random: Random::new(seed) })).unwrap();
}

fn is_equal(service: &Service, medium: &Mutex<TornMedium>) -> bool {
    let before = memberships(service);
    before == medium.lock().held && before == memberships(service)
}

/// Users leave while pieces of the first fill are broken off: who was half entered and has left is no member.
#[test]
fn what_is_broken_off_in_the_middle_of_a_fill_is_mended() {
    for seed in 0..4 {
        let directory = tempfile::tempdir().unwrap();
        let stores = stores(directory.path());
        let service = start(stores.clone(), 2);
        segments(&service);
        for part in 0..4 {
            send(&service, (part * 1_000..(part + 1) * 1_000).map(buy));
        }
        wait_until("everybody", || members(&service, "once").len() == 4_000);
        // Of some the whole log is there, of others it is a snapshot that they begin with.
        if seed % 2 == 0 {
            pause(1_200);
            let newest = stores.changes.progress().unwrap().unwrap();
            stores.changes.forget(newest.tick + 1).unwrap();
        }
        let medium = Arc::new(Mutex::new(TornMedium { faults: 10, ..TornMedium::default() }));
        give_out(&service, &medium, seed);
        let random = Mutex::new(Random::new(seed));
        wait_until("writes that were torn", || {
            send(&service, (0..20).map(|_| buy(random.lock().between(0, 4_000))));
            medium.lock().torn_writes > 6
        });
        medium.lock().faults = 0;
        wait_until("equality", || is_equal(&service, &medium));
        service.stop();
    }
}

/// Gives a sink to a directory, behind these events of it; until it holds what the directory gives out, or has begun to be cleared.
fn follow_in(data: &Path, medium: &Arc<Mutex<TornMedium>>, users: std::ops::Range<u64>, breaks_clears: bool) {
    let is_new = !data.exists();
    let stores = stores(data);
    let service = start(stores.clone(), 2);
    if is_new {
        segments(&service);
    }
    for user in users {
        send(&service, [buy(user)]);
        wait_until("the user has bought", || members(&service, "once").contains(&format!("u{user:06}")));
    }
    // What is ahead of a directory shows by that.
    let reached = medium.lock().reach.as_ref().map_or(0, |reach| reach.progress().tick);
    if reached < u64::MAX {
        wait_beyond(&stores, reached);
    }
    medium.lock().breaks_all = breaks_clears;
    give_out(&service, medium, 1);
    wait_until("what is waited for", || match breaks_clears {
        true => medium.lock().torn_clears > 0,
        false => is_equal(&service, medium),
    });
    service.stop();
}

/// Given to the wrong directory by mistake, which began to clear it and was stopped, it is whole again with its own.
#[test]
fn a_directory_does_not_go_on_from_what_another_has_half_cleared() {
    let directory = tempfile::tempdir().unwrap();
    let medium = Arc::new(Mutex::new(TornMedium::default()));
    let [one, other] = ["one", "other"].map(|name| directory.path().join(name));
    follow_in(&one, &medium, 0..60, false);
    let held = medium.lock().held.clone();
    follow_in(&other, &medium, 1_000..1_100, true);
    assert!(medium.lock().held.len() < held.len(), "some were cleared");
    follow_in(&one, &medium, 0..0, false);
    assert_eq!(medium.lock().held, held);
}

/// The same where the other one had cleared it, and had written a part of its first piece.
#[test]
fn a_directory_does_not_take_what_another_has_half_filled_for_nothing() {
    for seed in 0..4 {
        let directory = tempfile::tempdir().unwrap();
        let medium = Arc::new(Mutex::new(TornMedium::default()));
        let [one, other] = ["one", "other"].map(|name| directory.path().join(name));
        let service = start(stores(&other), 2);
        segments(&service);
        send(&service, (1_000..2_000).map(buy));
        wait_until("everybody", || members(&service, "once").len() == 1_000);
        medium.lock().breaks_all = true;
        give_out(&service, &medium, seed);
        wait_until("a part of a piece", || medium.lock().torn_writes > 0);
        service.stop();
        follow_in(&one, &medium, 0..60, false);
        assert!(medium.lock().held.iter().all(|(user, _)| &**user < "u001000"), "with seed {seed}");
    }
}

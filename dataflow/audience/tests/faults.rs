//! Two worker processes among a real Kafka, PostgreSQL and Redis, any of which dies, hangs or goes away while events and
//! edits come in. Behind it all, four are the same: the topic `user-segments` folded, Redis, what is served, and what the
//! naive evaluator says; and each membership has entered and left in turn.
//!
//! `AUDIENCE_FAULTS` has so many faults instead of [`FAULTS`], and `AUDIENCE_KILLS` so many `kill -9` after them, which is how
//! `scripts/test --long` has 300; `AUDIENCE_FAULTS_SEED` begins with that seed. The servers must be those of `scripts/services`,
//! which it stops and starts.

mod agreement;
mod between;
mod database;
mod servers;
mod topics;

use std::sync::atomic::{AtomicBool, Ordering};

use audience_tests::crash::setting;
use audience_tests::random::Random;
use audience_tests::serve::{Served, pause, wall_clock};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use agreement::{PATIENCE_MILLISECONDS, expected, put_surely, wait_until_ready};
use between::{PARTITIONS, folded, in_redis, served, settle, setup};
use database::TestDatabase;
use servers::{Paused, StopSending, send, services};
use topics::committed;

/// The number of faults.
const FAULTS: u64 = 9;
const USERS: u64 = 100;

#[derive(Clone, Copy, Debug)]
enum InjectedFault {
    /// A worker process is killed.
    Kill(usize),
    /// A worker process hangs.
    Hang(usize),
    /// A server is stopped and started.
    Restart(&'static str),
    /// A server is killed, and is away for so many milliseconds.
    Away(&'static str, u64),
    /// A server halts for so many milliseconds.
    Pause(&'static str, u64),
}

impl InjectedFault {
    fn any(random: &mut Random) -> InjectedFault {
        let process = random.between(0, 1) as usize;
        match random.weighted(&[40, 10, 15, 25, 10]) {
            0 => InjectedFault::Kill(process),
            1 => InjectedFault::Hang(process),
            2 => InjectedFault::Restart(random.pick::<&str>(&["kafka", "postgres", "redis"])),
            3 => InjectedFault::Away(
                random.pick::<&str>(&["kafka", "postgres", "redis", "redis"]),
                random.between(0, 6_000),
            ),
            _ => InjectedFault::Pause(random.pick::<&str>(&["kafka", "postgres", "redis"]), random.between(0, 6_000)),
        }
    }

    fn happen(self, served: &Served) {
        let signal = |process, signal| {
            // It may just be ending, as both do when the other one has.
            if let Some(worker) = served.worker(process) {
                let _ = kill_process(worker, signal);
            }
        };
        match self {
            InjectedFault::Kill(process) => signal(process, Signal::KILL),
            InjectedFault::Hang(process) => signal(process, Signal::STOP),
            InjectedFault::Restart(service) => services("restart", service),
            InjectedFault::Away(service, milliseconds) => {
                services("kill", service);
                pause(milliseconds);
                services("start", service);
            }
            InjectedFault::Pause(service, milliseconds) => {
                let _paused = Paused::begin(service);
                pause(milliseconds);
            }
        }
    }
}

#[test]
fn whatever_fails_every_place_ends_with_the_same_members() {
    let (seed, faults) = (setting("AUDIENCE_FAULTS_SEED", 5), setting("AUDIENCE_FAULTS", FAULTS));
    let kills = setting("AUDIENCE_KILLS", 0);
    eprintln!("AUDIENCE_FAULTS_SEED={seed} AUDIENCE_FAULTS={faults} AUDIENCE_KILLS={kills}");
    let directory = tempfile::tempdir().unwrap();
    let prefix = format!("faults-test-{}.", wall_clock());
    let database = TestDatabase::create();
    let mut setup = setup(directory.path(), &prefix);
    setup.processes = 2;
    setup.flags.extend(["--postgres".to_owned(), database.url.clone()]);
    let (topic, changes) = (format!("{prefix}user-events"), format!("{prefix}user-segments"));
    let running = setup.start();
    let rich =
        |over: u64| json!({"event": "buy", "measure": {"fn": "sum", "of": "amount"}, "operator": "gt", "value": over});
    let mut rules = [
        ("buyers", json!({"event": "buy", "operator": "gte", "value": 3})),
        ("idle", json!({"logic": "NOT", "conditions": [{"event": "buy", "within": "2s"}]})),
        ("top", json!({"rank": {"by": {"event": "buy", "measure": {"fn": "sum", "of": "amount"}}}, "top": 7})),
        ("rich", rich(100)),
    ];
    rules.iter().for_each(|(id, rules)| put_surely(&running, id, rules));
    let mut random = Random::new(seed);
    let is_stopping = AtomicBool::new(false);
    let events = std::thread::scope(|scope| {
        let _stop = StopSending(&is_stopping);
        let sender = scope.spawn(|| send(&topic, USERS, seed, &is_stopping));
        for number in 0..faults + kills {
            let fault = match number < faults {
                true => InjectedFault::any(&mut random),
                false => InjectedFault::Kill(random.between(0, 1) as usize),
            };
            eprintln!("{number}: {fault:?}");
            fault.happen(&running);
            pause(random.between(0, 3_000));
            if random.percent(60) {
                wait_until_ready(&running);
            }
            rules[3].1 = rich(100 * (number + 1));
            put_surely(&running, "rich", &rules[3].1);
        }
        is_stopping.store(true, Ordering::Release);
        sender.join().unwrap()
    });
    wait_until_ready(&running);
    settle(&running);
    // Whoever bought lately has left again.
    pause(2_500);
    settle(&running);
    let expected = expected(&events, &rules);
    assert!(expected["idle"].len() > 90 && expected["top"].len() == 7, "{expected:?}");
    // A reader whose broker was restarted knows for a while of no lag that it has.
    let ids = rules.each_ref().map(|(id, _)| *id);
    let deadline = wall_clock() + PATIENCE_MILLISECONDS;
    while served(running.client(), &ids) != expected && wall_clock() < deadline {
        pause(200);
    }
    assert_eq!(served(running.client(), &ids), expected, "served");
    running.stop();
    let all = committed(&changes, PARTITIONS);
    let all: Vec<Value> = all.iter().map(|(_, change)| serde_json::from_slice(change).unwrap()).collect();
    assert_eq!(folded(&all), expected, "by the topic");
    assert_eq!(in_redis(&prefix, USERS), expected, "in Redis");
    eprintln!("{} events, {} changes", events.len(), all.len());
}

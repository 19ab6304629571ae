//! A primary and its standby, the real program twice: killed, stopped and cut off, and what is served and given out after that.
//!
//! `AUDIENCE_STANDBY_ROUNDS` takes over so often instead of once, each time from the one that took over before.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use audience_contract::ChangeKind;
use audience_contract::changes;
use audience_embedded::{Options, Stores};
use audience_tests::client::Client;
use audience_tests::crash::setting;
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause};
use parking_lot::Mutex;

/// Users of the events.
const USERS: u64 = 40;
/// Events of one request.
const AT_ONCE: u64 = 10;

/// A process of the pair in a directory of that name, with these flags besides the lease.
fn one(directory: &Path, name: &str, flags: &[&str]) -> Setup {
    let own = directory.join(name);
    std::fs::create_dir_all(&own).unwrap();
    let lease = format!("file://{}", directory.join("lease").display());
    let mut setup = Setup::within(program!(), &own);
    setup.flags =
        ["--lease", &lease, "--lease-seconds", "1", "--standby-patience-seconds", "2"].map(str::to_owned).into();
    setup.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
    setup
}

fn standby_of(primary: &Served, directory: &Path, name: &str, flags: &[&str]) -> Setup {
    let url = format!("http://{}", primary.address);
    one(directory, name, &[&["--standby-of", &url], flags].concat())
}

fn figure(served: &Served, name: &str) -> f64 {
    let text = served.client().get("/metrics").map(|answer| answer.text()).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    line.unwrap_or(-1.0)
}

/// Waits until a figure is that.
fn wait_for(served: &Served, name: &str, value: f64) {
    for _ in 0..600 {
        if figure(served, name) == value {
            return;
        }
        pause(50);
    }
    panic!("{name} is {} and not {value}: {}", figure(served, name), served.said());
}

fn wait_followed(primary: &Served) {
    wait_for(primary, "audience_standby_followed", 1.0);
}

fn promote(standby: &Setup, flags: &[&str]) -> Output {
    Command::new(&standby.program).arg("promote").arg("--data").arg(&standby.data).args(flags).output().unwrap()
}

fn put(client: Client, id: &str, rules: &str) {
    let answer = client.put(&format!("/api/segments/{id}"), &format!(r#"{{"name":"{id}","rules":{rules}}}"#)).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// Sends events of users in turn; gives the status, 0 without an answer.
fn send(client: Client, from: u64, count: u64) -> u16 {
    let event = |number: u64| {
        format!(r#"{{"userId":"u{}","eventType":"buy","messageId":"m{number}"}}"#, number * number % USERS)
    };
    let lines: Vec<String> = (from..from + count).map(event).collect();
    let answer = client.send("POST", "/api/events", "application/x-ndjson", lines.join("\n").as_bytes());
    answer.map_or(0, |answer| answer.status)
}

/// The number of events of each user.
fn counts(client: Client) -> BTreeMap<String, u64> {
    let count = |user: &String| client.get(&format!("/api/users/{user}")).unwrap().json()["eventCount"].as_u64();
    let users = (0..USERS).map(|user| format!("u{user}"));
    users.map(|user| (user.clone(), count(&user).unwrap_or(0))).collect()
}

fn members(client: Client, id: &str) -> BTreeSet<String> {
    client.members(id).unwrap().unwrap().into_iter().collect()
}

/// The members by all changes that a data directory has given out; each must change something.
fn given_out(data: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let stores = Stores::open(data, &Options { cache_bytes: 4 << 20, ..Options::default() }).unwrap();
    let mut members: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let read = stores.changes().read(0, &mut |tick, bytes| {
        for change in changes::decode(bytes).unwrap() {
            let (segment, user) =
                (members.entry(change.segment_id.to_string()).or_default(), change.user_id.to_string());
            let is_new =
                if change.change == ChangeKind::Entered { segment.insert(user) } else { segment.remove(&user) };
            assert!(
                is_new,
                "tick {tick}: {} {:?} {} changes nothing",
                change.user_id, change.change, change.segment_id
            );
        }
        ControlFlow::Continue(())
    });
    read.unwrap();
    members.retain(|_, members| !members.is_empty());
    members
}

/// A writer that sends one request after the other, again where the answer is open; gives the time of the longest gap
/// between two answers of 202.
fn write(to: &Mutex<Client>, sent: &AtomicU64, is_over: &AtomicBool) -> f64 {
    let (mut number, mut last, mut longest) = (0, Instant::now(), 0.0_f64);
    while !is_over.load(Ordering::Relaxed) {
        let client = *to.lock();
        if send(client, number, AT_ONCE) == 202 {
            longest = longest.max(last.elapsed().as_secs_f64());
            last = Instant::now();
            number += AT_ONCE;
            sent.store(number, Ordering::Relaxed);
        } else {
            pause(5);
        }
    }
    longest
}

#[test]
fn a_standby_takes_over_from_a_killed_primary_and_loses_and_repeats_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let rounds = setting("AUDIENCE_STANDBY_ROUNDS", 1);
    let first = one(directory.path(), "0", &["--standby-answers"]);
    let (primary, mut data) = (first.start(), first.data);
    put(primary.client(), "two", r#"{"event":"buy","operator":"gte","value":2}"#);
    put(primary.client(), "top", r#"{"rank":{"by":{"event":"buy"}},"top":5}"#);
    let (to, sent, is_over) = (Mutex::new(primary.client()), AtomicU64::new(0), AtomicBool::new(false));
    let (gap, primary, data) = std::thread::scope(|scope| {
        let mut primary = primary;
        let writer = scope.spawn(|| write(&to, &sent, &is_over));
        for round in 1..=rounds {
            pause(300);
            let flags = ["--standby-answers", "--standby-promotion", "automatic"];
            let setup = standby_of(&primary, directory.path(), &round.to_string(), &flags);
            let mut standby = setup.spawn();
            wait_followed(&primary);
            put(primary.client(), &format!("of{round}"), r#"{"event":"buy","operator":"gte","value":3}"#);
            pause(700);
            primary.kill();
            standby.wait_ready().unwrap();
            *to.lock() = standby.client();
            (primary, data) = (standby, setup.data);
        }
        let before = sent.load(Ordering::Relaxed);
        while sent.load(Ordering::Relaxed) < before + 20 * AT_ONCE {
            pause(5);
        }
        is_over.store(true, Ordering::Relaxed);
        (writer.join().unwrap(), primary, data)
    });
    let mut expected = BTreeMap::new();
    for number in 0..sent.load(Ordering::Relaxed) {
        *expected.entry(format!("u{}", number * number % USERS)).or_insert(0) += 1;
    }
    // The last request may be one without an answer; it was sent again, and counts once.
    pause(500);
    let mut counted = counts(primary.client());
    counted.retain(|_, count| *count > 0);
    assert_eq!(counted, expected, "each event counts once");
    let client = primary.client();
    let of = |least: u64| expected.iter().filter(move |(_, count)| **count >= least).map(|(user, _)| user.clone());
    assert_eq!(members(client, "two"), of(2).collect());
    assert_eq!(members(client, "of1"), of(3).collect(), "an edit went to the standby, too");
    let top = members(client, "top");
    assert_eq!(top.len(), 5);
    let served: BTreeMap<_, _> = (1..=rounds)
        .map(|round| format!("of{round}"))
        .chain(["two", "top"].map(str::to_owned))
        .map(|id| (id.clone(), members(client, &id)))
        .collect();
    eprintln!("the longest time without an answer of 202: {gap:.2} s, {rounds} times taken over");
    primary.stop();
    assert_eq!(given_out(&data), served, "the changes of all of them are one sequence");
}

#[test]
fn a_primary_that_wakes_up_after_the_promotion_neither_accepts_nor_gives_out() {
    let directory = tempfile::tempdir().unwrap();
    let first = one(directory.path(), "first", &[]);
    let mut primary = first.start();
    put(primary.client(), "two", r#"{"event":"buy","operator":"gte","value":2}"#);
    assert_eq!(send(primary.client(), 0, 200), 202);
    let setup = standby_of(&primary, directory.path(), "second", &[]);
    let mut standby = setup.spawn();
    wait_followed(&primary);
    let said = promote(&setup, &[]);
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.status.success() && text.contains("renews its lease"), "{text}");
    primary.suspend();
    let said = promote(&setup, &[]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    standby.wait_ready().unwrap();
    assert_eq!(send(standby.client(), 200, 200), 202);
    primary.resume();
    assert_ne!(send(primary.client(), 400, 10), 202, "another process has the lease");
    let status = primary.wait();
    assert!(!status.success() && primary.said().contains("the lease"), "{}", primary.said());
    // It may come back as a standby alone, and not with what it has.
    let mut again = first.spawn();
    assert!(!again.wait().success() && again.said().contains("may lack what that one accepted"), "{}", again.said());
    let mut diverged =
        Setup { data: first.data.clone(), ..standby_of(&standby, directory.path(), "third", &[]) }.spawn();
    assert!(!diverged.wait().success() && diverged.said().contains("empty one"), "{}", diverged.said());
    let third = standby_of(&standby, directory.path(), "fourth", &[]);
    let _follows = third.spawn();
    wait_followed(&standby);
    let before = given_out(&first.data);
    pause(500);
    let served = members(standby.client(), "two");
    assert!(before["two"].is_subset(&served));
    standby.stop();
    assert_eq!(given_out(&setup.data)["two"], served);
}

#[test]
fn a_primary_goes_on_without_a_standby_that_is_cut_off_and_the_lease_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let primary = one(directory.path(), "first", &["--standby-answers"]).start();
    put(primary.client(), "two", r#"{"event":"buy","operator":"gte","value":2}"#);
    let setup = standby_of(&primary, directory.path(), "second", &["--standby-promotion", "automatic"]);
    let mut standby = setup.spawn();
    wait_followed(&primary);
    standby.suspend();
    let begun = Instant::now();
    assert_eq!(send(primary.client(), 0, 100), 202, "answered once the lease says that it is alone");
    let waited = begun.elapsed().as_secs_f64();
    assert!((0.5..10.0).contains(&waited), "{waited}");
    wait_for(&primary, "audience_standby_followed", 0.0);
    assert_eq!(figure(&primary, "audience_standby_lag_events"), 100.0);
    assert!(figure(&primary, "audience_standby_lag_bytes") > 1_000.0);
    standby.resume();
    wait_followed(&primary);
    assert_eq!(figure(&primary, "audience_standby_lag_events"), 0.0, "it has caught up");
    standby.suspend();
    // The answer to its last question is on its way without them.
    pause(500);
    assert_eq!(send(primary.client(), 100, 100), 202);
    wait_for(&primary, "audience_standby_followed", 0.0);
    primary.kill();
    standby.resume();
    pause(2_500);
    assert_eq!(standby.client().get("/health/ready").unwrap().status, 503, "it does not take over by itself");
    let said = promote(&setup, &[]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("--accept-loss"), "{said:?}");
    assert!(promote(&setup, &["--accept-loss"]).status.success());
    standby.wait_ready().unwrap();
    assert_eq!(counts(standby.client()).values().sum::<u64>(), 100, "what the primary had alone is lost, as was said");
    standby.stop();
}

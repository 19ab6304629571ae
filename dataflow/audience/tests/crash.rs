//! The real program, killed at random moments while events and edits come in: what was acknowledged is there once, the
//! changes given out are never taken back, and who is in what is what the naive evaluator says.
//!
//! `AUDIENCE_CRASH_ROUNDS` kills so often instead of [`ROUNDS`] times; `AUDIENCE_CRASH_SEED` begins with that seed.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::path::{Path, PathBuf};

use audience_tests::client::Client;
use audience_tests::crash::{
    CrashPoint, CrashRun, QUIET_MILLISECONDS, beside_writers, check_documents, served_members, setting,
};
use audience_tests::ledger::{Members, same};
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause};
use audience_tests::traffic::{Account, ProgramAddress};

/// The number of kills of the program.
const ROUNDS: u64 = 22;

fn killed_again_and_again(seed: u64, rounds: u64) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let (link, account) = (ProgramAddress::default(), Account::default());
    let mut run = CrashRun::new(program!(), directory.path(), &link, &account, seed);
    let (served, standings) = beside_writers(&link, &account, seed, || {
        for round in 0..rounds {
            let moment = CrashPoint::any(&mut run.random);
            run.round(moment).map_err(|wrong| format!("round {round}, killed {moment:?}: {wrong}"))?;
            if link.is_given_up() {
                return Err(format!("round {round}, killed {moment:?}: a writer gave up"));
            }
        }
        let served = run.start();
        pause(500);
        Ok(served)
    })?;
    eprintln!("{} events, {} changes so far", account.len(), run.before.changes.len());
    check_documents(served.client(), &standings)?;
    // Stopped while windows are open.
    run.stop(served).map_err(|wrong| format!("stopped: {wrong}"))?;
    let served = run.start();
    pause(QUIET_MILLISECONDS);
    check_documents(served.client(), &standings)?;
    let members = served_members(served.client(), &run.before)?;
    run.stop(served).map_err(|wrong| format!("stopped when quiet: {wrong}"))?;
    same("the changes say", &run.before.folded()?, &members)?;
    let served = run.start();
    let again = served_members(served.client(), &run.before)?;
    same("after a restart it serves", &again, &members)
}

#[test]
fn kills_lose_nothing_and_take_nothing_back() {
    let seed = setting("AUDIENCE_CRASH_SEED", 20_260_101);
    let rounds = setting("AUDIENCE_CRASH_ROUNDS", ROUNDS);
    eprintln!("AUDIENCE_CRASH_SEED={seed} AUDIENCE_CRASH_ROUNDS={rounds}");
    if let Err(wrong) = killed_again_and_again(seed, rounds) {
        panic!("{wrong}");
    }
}

/// A program with some members, and what they are.
fn with_members(setup: &Setup) -> (Served, Members) {
    let served = setup.start();
    let client = served.client();
    let rules = r#"{"name":"two","rules":{"event":"buy","operator":"gte","value":2}}"#;
    assert_eq!(client.put("/api/segments/two", rules).unwrap().status, 201);
    let rules = r#"{"name":"top","rules":{"rank":{"by":{"event":"buy"}},"top":5}}"#;
    assert_eq!(client.put("/api/segments/top", rules).unwrap().status, 201);
    let lines: Vec<String> =
        (0..300).map(|number| format!(r#"{{"userId":"u{}","eventType":"buy"}}"#, number * number % 97)).collect();
    let answer = client.send("POST", "/api/events", "application/x-ndjson", lines.join("\n").as_bytes()).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
    (served, members_once(client, 300))
}

/// The members once so many events are in them.
fn members_once(client: Client, events: u64) -> Members {
    let count =
        |user: &str| client.get(&format!("/api/users/{user}")).unwrap().json()["eventCount"].as_u64().unwrap_or(0);
    let mut known = 0;
    for _ in 0..500 {
        known = (0..97).map(|number| count(&format!("u{number}"))).sum();
        if known == events {
            break;
        }
        pause(20);
    }
    assert_eq!(known, events);
    pause(1_000);
    let members = |id: &str| (id.to_owned(), client.members(id).unwrap().unwrap().into_iter().collect());
    ["top", "two"].map(members).into()
}

/// Waits until there are so many finished checkpoints; gives them, newest last.
fn finished_checkpoints(data: &Path, count: usize) -> Vec<PathBuf> {
    for _ in 0..3_000 {
        let found = fs::read_dir(data.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path());
        let mut finished: Vec<PathBuf> = found.filter(|path| path.join("manifest").exists()).collect();
        finished.sort();
        if finished.len() >= count {
            return finished;
        }
        pause(10);
    }
    panic!("no {count} checkpoints come about");
}

#[test]
fn sigterm_drains_and_nothing_answered_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let (link, account) = (ProgramAddress::default(), Account::default());
    let mut run = CrashRun::new(program!(), directory.path(), &link, &account, 5);
    let outcome = beside_writers(&link, &account, 5, || {
        for milliseconds in [0, 30, 700] {
            let served = run.start();
            pause(milliseconds);
            run.stop(served)?;
        }
        Ok(run.start())
    });
    let (served, standings) = outcome.unwrap();
    check_documents(served.client(), &standings).unwrap();
    run.stop(served).unwrap();
    assert!(!account.is_empty());
}

#[test]
fn a_second_program_on_the_same_data_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let first = setup.start();
    let other = Setup { log: directory.path().join("other-log"), ..setup.clone() };
    let mut second = other.spawn();
    let status = second.wait();
    let said = second.said();
    assert!(!status.success() && said.contains("in use by another process"), "{status}: {said}");
    assert!(said.contains(&*setup.data.to_string_lossy()), "{said}");
    assert_eq!(first.client().get("/health/ready").unwrap().status, 200);
    first.stop();
    setup.start().stop();
}

#[test]
fn damaged_checkpoints_are_passed_over_and_workers_may_be_others() {
    let directory = tempfile::tempdir().unwrap();
    let mut setup = Setup::within(program!(), directory.path());
    let (served, expected) = with_members(&setup);
    assert!(expected["two"].len() > 40 && expected["top"].len() == 5);
    finished_checkpoints(&setup.data, 2);
    served.stop();
    let damage = |checkpoints: &[PathBuf]| {
        for checkpoint in checkpoints {
            let mut shards: Vec<PathBuf> =
                fs::read_dir(checkpoint).unwrap().map(|entry| entry.unwrap().path()).collect();
            shards.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("shard-")));
            shards.sort();
            let mut bytes = fs::read(&shards[0]).unwrap();
            bytes.iter_mut().skip(20).for_each(|byte| *byte = b'x');
            fs::write(&shards[0], bytes).unwrap();
        }
    };
    // The newest; then all of them; then none, with another number of workers each time.
    for (workers, damaged, word) in [(1, 1, "from_checkpoint=true"), (3, 9, "from_checkpoint=false"), (4, 0, "=true")] {
        let finished = finished_checkpoints(&setup.data, 1);
        damage(&finished[finished.len().saturating_sub(damaged)..]);
        setup.workers = workers;
        let served = setup.start();
        let said = served.said();
        assert_eq!(members_once(served.client(), 300), expected, "{said}");
        assert_eq!(damaged > 0, said.contains("is damaged"), "{said}");
        assert!(said.contains(word), "{said}");
        finished_checkpoints(&setup.data, 2);
        served.stop();
    }
}

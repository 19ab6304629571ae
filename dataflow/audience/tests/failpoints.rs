//! The real program, ended at exactly one line while events and edits come in: what was acknowledged is there once, the
//! emitted changes are never taken back, and who is in what is what the naive evaluator says.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use audience_tests::crash::{CrashRun, QUIET_MILLISECONDS, beside_writers, check_documents, served_members};
use audience_tests::ledger::same;
use audience_tests::program;
use audience_tests::serve::pause;
use audience_tests::traffic::{Account, ProgramAddress};

/// The lines, each with the pass at which the program ends. A start passes some of them, too.
const POINTS: [(&str, u64); 10] = [
    // A commit of any store is in its file, and neither marked as durable nor acknowledged.
    ("commit_written", 1),
    ("commit_written", 7),
    ("commit_written", 60),
    // The changes of a tick are committed, and no follower knows of them.
    ("changes_committed", 1),
    ("changes_committed", 9),
    // A checkpoint has some of its parts.
    ("checkpoint_part", 1),
    ("checkpoint_part", 20),
    // A file has its name, and the directory is not synced: a shard, and later a manifest.
    ("file_renamed", 3),
    ("file_renamed", 40),
    // A checkpoint is finished, and nothing older is deleted.
    ("checkpoint_finished", 2),
];

fn ended_at_each_point(seed: u64) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let (link, account) = (ProgramAddress::default(), Account::default());
    let mut run = CrashRun::new(program!(), directory.path(), &link, &account, seed);
    // A data directory with all its files, so that every point is reached by the traffic.
    let (served, standings) = beside_writers(&link, &account, seed, || {
        let first = run.start();
        pause(1_500);
        run.stop(first)?;
        for (name, pass) in POINTS {
            run.end_at(name, pass).map_err(|wrong| format!("{name}, pass {pass}: {wrong}"))?;
            if link.is_given_up() {
                return Err(format!("{name}, pass {pass}: a writer gave up"));
            }
        }
        let served = run.start();
        pause(500);
        Ok(served)
    })?;
    check_documents(served.client(), &standings)?;
    run.stop(served).map_err(|wrong| format!("stopped: {wrong}"))?;
    let served = run.start();
    pause(QUIET_MILLISECONDS);
    check_documents(served.client(), &standings)?;
    let members = served_members(served.client(), &run.before)?;
    run.stop(served).map_err(|wrong| format!("stopped when quiet: {wrong}"))?;
    same("the changes say", &run.before.folded()?, &members)
}

#[test]
fn an_end_at_each_failpoint_loses_nothing_and_takes_nothing_back() {
    if let Err(wrong) = ended_at_each_point(20_260_401) {
        panic!("{wrong}");
    }
}

//! The real program as several worker processes, killed and stopped one by one while events and edits come in: what was
//! acknowledged is there once, the changes given out are never taken back, and who is in what is what the naive evaluator
//! says; with another number of processes too.
//!
//! `AUDIENCE_CLUSTER_FAULTS` has so many faults instead of [`FAULTS`]; `AUDIENCE_CRASH_SEED` begins with that seed.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::sync::Arc;

use audience_tests::crash::{
    CrashPoint, CrashRun, QUIET_MILLISECONDS, beside_writers, check_documents, served_members, setting,
};
use audience_tests::ledger::same;
use audience_tests::network::NetworkNamespace;
use audience_tests::program;
use audience_tests::serve::{Served, Setup, pause, wall_clock};
use audience_tests::traffic::{Account, ProgramAddress};
use rustix::process::{Pid, Signal, kill_process};

/// The number of faults, over all numbers of processes.
const FAULTS: u64 = 21;
/// So many processes there are, one after the other.
const PROCESSES: [usize; 3] = [2, 4, 3];
/// A silent process is noticed within 5 seconds, and everything is back some seconds later, also on a busy machine.
const RECOVERY_MILLISECONDS: i64 = 60_000;

fn is_ready(served: &Served) -> bool {
    served.client().get("/health/ready").is_ok_and(|answer| answer.status == 200)
}

fn wait_until_ready(served: &Served) -> Result<(), String> {
    let deadline = wall_clock() + RECOVERY_MILLISECONDS;
    while !is_ready(served) {
        if wall_clock() > deadline {
            return Err(format!("it does not recover:\n{}", served.said()));
        }
        pause(10);
    }
    Ok(())
}

/// The worker of a process, once it is there.
fn worker(served: &Served, process: usize) -> Result<Pid, String> {
    for _ in 0..1_000 {
        if let Some(pid) = served.worker(process) {
            return Ok(pid);
        }
        pause(10);
    }
    Err(format!("process {process} is not started again:\n{}", served.said()))
}

/// A fault of a worker.
#[derive(Clone, Copy, Debug)]
enum WorkerFault {
    /// SIGKILL.
    Kill,
    /// SIGSTOP: it is there, and silent.
    Stop,
}

fn hit(run: &mut CrashRun<'_>, served: &Served) -> Result<(), String> {
    let process = run.random.between(0, run.setup.processes as u64 - 1) as usize;
    let (fault, moment) = match run.random.percent(12) {
        true => (WorkerFault::Stop, CrashPoint::Running(0)),
        false => (WorkerFault::Kill, CrashPoint::any(&mut run.random)),
    };
    // Else while it still recovers from the one before.
    if run.random.percent(75) {
        wait_until_ready(served)?;
    }
    moment.wait(&run.setup.data, run.link);
    let signal = match fault {
        WorkerFault::Kill => Signal::KILL,
        WorkerFault::Stop => Signal::STOP,
    };
    // It may have ended meanwhile, as all do when another one has.
    let _ = kill_process(worker(served, process)?, signal);
    if matches!(fault, WorkerFault::Stop) {
        // Until it is missed.
        pause(3_000);
    }
    if run.link.is_given_up() {
        Err(format!("process {process}, {fault:?} {moment:?}: a writer gave up"))
    } else {
        Ok(())
    }
}

/// With so many processes: faults, then the end in order or all at once.
fn live(run: &mut CrashRun<'_>, processes: usize, faults: u64) -> Result<(), String> {
    run.setup.processes = processes;
    let served = run.start();
    for fault in 0..faults {
        hit(run, &served).map_err(|wrong| format!("{processes} processes, fault {fault}: {wrong}"))?;
    }
    if run.random.percent(50) {
        // Until the last fault is noticed, and everything is there again.
        pause(2_000);
        wait_until_ready(&served)?;
        return run.stop(served);
    }
    run.link.set(None);
    served.kill();
    run.look()
}

fn killed_one_by_one(seed: u64, faults: u64) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let (link, account) = (ProgramAddress::default(), Account::default());
    link.tolerate_unavailable();
    let mut run = CrashRun::new(program!(), directory.path(), &link, &account, seed);
    let (served, standings) = beside_writers(&link, &account, seed, || {
        for processes in PROCESSES {
            live(&mut run, processes, faults / PROCESSES.len() as u64)?;
        }
        let served = run.start();
        pause(500);
        Ok(served)
    })?;
    eprintln!("{} events, {} changes so far", account.len(), run.before.changes.len());
    check_documents(served.client(), &standings)?;
    pause(QUIET_MILLISECONDS);
    run.stop(served).map_err(|wrong| format!("stopped when quiet: {wrong}"))?;
    let served = run.start();
    let members = served_members(served.client(), &run.before)?;
    same("the changes say", &run.before.folded()?, &members)?;
    run.stop(served)?;
    // And as one process again.
    run.setup.processes = 1;
    let served = run.start();
    let again = served_members(served.client(), &run.before)?;
    same("one process serves", &again, &members)
}

#[test]
fn faults_of_single_processes_lose_nothing_and_take_nothing_back() {
    let seed = setting("AUDIENCE_CRASH_SEED", 20_260_301);
    let faults = setting("AUDIENCE_CLUSTER_FAULTS", FAULTS);
    eprintln!("AUDIENCE_CRASH_SEED={seed} AUDIENCE_CLUSTER_FAULTS={faults}");
    if let Err(wrong) = killed_one_by_one(seed, faults) {
        panic!("{wrong}");
    }
}

/// A wire between two hosts that is cut: what was under way on it is lost, and each side misses the other.
fn cut_off(network: &Arc<NetworkNamespace>, seed: u64) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let (link, account) = (ProgramAddress::default(), Account::default());
    link.tolerate_unavailable();
    let mut run = CrashRun::new(program!(), directory.path(), &link, &account, seed);
    (run.setup.processes, run.setup.network) = (2, Some(network.clone()));
    let (served, standings) = beside_writers(&link, &account, seed, || {
        let served = run.start();
        // Too short to be noticed, just long enough, and longer.
        for milliseconds in [1_500, 4_500, 7_000] {
            pause(1_500);
            network.cut()?;
            pause(milliseconds);
            network.mend()?;
            wait_until_ready(&served)?;
        }
        pause(1_000);
        wait_until_ready(&served)?;
        Ok(served)
    })?;
    pause(QUIET_MILLISECONDS);
    check_documents(served.client(), &standings)?;
    run.stop(served)?;
    let served = run.start();
    let members = served_members(served.client(), &run.before)?;
    same("the changes say", &run.before.folded()?, &members)
}

#[test]
#[ignore = "needs root, and a machine that permits network namespaces"]
fn processes_that_are_cut_off_from_each_other_lose_nothing() {
    let network = Arc::new(NetworkNamespace::create().unwrap_or_else(|fault| panic!("{fault}")));
    if let Err(wrong) = cut_off(&network, setting("AUDIENCE_CRASH_SEED", 20_260_401)) {
        panic!("{wrong}");
    }
}

/// A process that is told to stop lets the run end in order: what was accepted is done, and a checkpoint is there.
#[test]
fn a_process_that_leaves_ends_the_run_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup { processes: 2, checkpoint_seconds: 3_600, ..Setup::within(program!(), directory.path()) };
    let served = setup.start();
    let client = served.client();
    let rules = r#"{"name":"buyers","rules":{"event":"buy"}}"#;
    assert_eq!(client.put("/api/segments/buyers", rules).unwrap().status, 201);
    let events: Vec<String> = (0..500).map(|user| format!(r#"{{"userId":"u{user}","eventType":"buy"}}"#)).collect();
    let answer = client.send("POST", "/api/events", "application/x-ndjson", events.join("\n").as_bytes()).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
    kill_process(worker(&served, 1).unwrap(), Signal::TERM).unwrap();
    let checkpoints = directory.path().join("data/checkpoints");
    let deadline = wall_clock() + RECOVERY_MILLISECONDS;
    while !std::fs::read_dir(&checkpoints).is_ok_and(|found| found.count() > 0) {
        assert!(wall_clock() < deadline, "no checkpoint is taken:\n{}", served.said());
        pause(10);
    }
    wait_until_ready(&served).unwrap();
    let mut members = Vec::new();
    while members.len() < 500 && wall_clock() < deadline {
        members = client.members("buyers").ok().flatten().unwrap_or_default();
        pause(10);
    }
    assert_eq!(members.len(), 500);
    served.stop();
}

//! A disk that is full: what is refused is said, nothing is lost, and there is a way on.
//!
//! Each test mounts a small tmpfs, for which it must be root; else it says so and passes.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::ops::ControlFlow;

use audience_contract::suite::{self, SmallDisk};
use audience_contract::{EventLog, Progress, StoreError};
use audience_embedded::{Options, Stores};
use audience_rules::record::records;

fn open(disk: &SmallDisk, reserve_bytes: u64) -> Stores {
    let options = Options { cache_bytes: 4 << 20, reserve_bytes, buffer_bytes: 256 << 10, ..Options::default() };
    Stores::open(&disk.path().join("data"), &options).unwrap()
}

fn append(log: &dyn EventLog) -> Result<u64, StoreError> {
    let mut bytes = Vec::new();
    for _ in 0..100 {
        suite::record("ann", "", "", &mut bytes);
    }
    log.append(&mut bytes).map(|range| range.end)
}

/// Appends until it fails; gives what was acknowledged and the reason.
fn fill(log: &dyn EventLog) -> (u64, String) {
    let mut end = log.end();
    loop {
        match append(log) {
            Ok(next) => end = next,
            Err(error) => return (end, error.to_string()),
        }
    }
}

fn check(log: &dyn EventLog, acknowledged: u64) {
    assert!(log.end() >= acknowledged);
    let mut next = 0;
    let scanned = log.scan(0..log.end(), &mut |run| {
        for event in records(run) {
            assert_eq!(event.sequence(), next);
            next += 1;
        }
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    assert_eq!(next, log.end());
    assert_eq!(records(&log.of_users(&["ann"], u64::MAX).unwrap()).count() as u64, log.end());
}

#[test]
fn with_a_reserve_writing_goes_on_once_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(directory.path(), "size=16m") else { return };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![0; 6 << 20]).unwrap();
    let stores = open(&disk, 4 << 20);
    let log = stores.events();
    let (end, why) = fill(&*log);
    assert!(end > 0 && why.contains("kept in reserve") && why.contains("once there is room"), "{why}");
    check(&*log, end);
    let commit = |tick| stores.changes().commit(Progress { tick, ..Progress::default() }, b"changes");
    assert!(commit(1).is_err());
    fs::remove_file(&ballast).unwrap();
    assert!(append(&*log).unwrap() == end + 100, "writing goes on by itself, without a gap");
    commit(1).unwrap();
    check(&*log, end + 100);
}

#[test]
fn without_a_reserve_a_restart_is_needed_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(directory.path(), "size=12m") else { return };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![0; 6 << 20]).unwrap();
    let stores = open(&disk, 0);
    let log = stores.events();
    let (end, why) = fill(&*log);
    // The disk refuses the append itself, or the flush of an earlier one just before it.
    let refused = why.contains("may have come to pass") || why.contains("until it is opened again");
    assert!(end > 0 && refused, "{why}");
    check(&*log, end);
    fs::remove_file(&ballast).unwrap();
    let (_, why) = fill(&*log);
    assert!(why.contains("until it is opened again"), "{why}");
    drop((log, stores));
    let log = open(&disk, 0).events();
    check(&*log, end);
    append(&*log).unwrap();
    check(&*log, end + 100);
}

//! A write that a loss of power left with a hole: cut off where nobody was told that it is durable, else an error.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use audience_contract::{Result, StoreError, suite};
use audience_embedded::{Options, Stores};
use audience_rules::record::records;

const FIRST: u64 = 2_000;

fn open(path: &Path) -> Result<Stores> {
    Stores::open(path, &Options { cache_bytes: 4 << 20, reserve_bytes: 0, ..Options::default() })
}

fn append(stores: &Stores, events: u64) {
    let mut bytes = Vec::new();
    for _ in 0..events {
        suite::record("ann", "", "", &mut bytes);
    }
    stores.events().append(&mut bytes).unwrap();
}

/// A log of two appends, the second with a page of zeros inside; gives the mark as it was between them.
fn with_hole(path: &Path) -> (PathBuf, Vec<u8>) {
    let mark = path.join("events/durable.mark");
    let stores = open(path).unwrap();
    append(&stores, FIRST);
    let between = fs::read(&mark).unwrap();
    append(&stores, 4_000);
    drop(stores);
    let journal = path.join("events/0.jnl");
    let mut bytes = fs::read(&journal).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let hole = (end - 50_000) & !4095;
    bytes[hole..hole + 4096].fill(0);
    fs::write(&journal, bytes).unwrap();
    (mark, between)
}

#[test]
fn what_was_not_acknowledged_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let (mark, between) = with_hole(directory.path());
    fs::write(mark, between).unwrap();
    let stores = open(directory.path()).unwrap();
    let log = stores.events();
    assert_eq!(log.end(), FIRST);
    append(&stores, 10);
    let mut found = 0;
    let scanned = log.scan(0..u64::MAX, &mut |run| {
        found += records(run).count() as u64;
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    assert_eq!(found, FIRST + 10);
    drop((log, stores));
    assert_eq!(open(directory.path()).unwrap().events().end(), FIRST + 10);
}

#[test]
fn what_was_acknowledged_is_missed_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    with_hole(directory.path());
    let journal = directory.path().join("events/0.jnl");
    let before = fs::read(&journal).unwrap();
    for _ in 0..2 {
        assert!(matches!(open(directory.path()).err(), Some(StoreError::Corrupt { .. })));
    }
    assert!(fs::read(&journal).unwrap() == before, "what is left may be of use to someone");
}

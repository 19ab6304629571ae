//! A log that has forgotten its oldest events: the others are as they were, and the disk has the space back.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

use audience_contract::{EventLog, StoreError, suite};
use audience_embedded::{Options, Stores};
use audience_rules::record::records;

/// Events of a block of the index by user, before which a log keeps everything.
const BLOCK: u64 = 1 << 16;

fn open(path: &Path) -> Arc<dyn EventLog> {
    let options = Options { cache_bytes: 8 << 20, reserve_bytes: 0, buffer_bytes: 1 << 20, ..Options::default() };
    Stores::open(path, &options).unwrap().events()
}

fn append(log: &dyn EventLog, count: u64) {
    let mut next = log.end();
    let end = next + count;
    while next < end {
        let mut bytes = Vec::new();
        for number in next..end.min(next + 5_000) {
            suite::record(&format!("u{}", number % 1_000), "", &format!("m{number}"), &mut bytes);
        }
        next = log.append(&mut bytes).unwrap().end;
    }
}

fn numbers(log: &dyn EventLog, range: Range<u64>) -> Result<Vec<u64>, StoreError> {
    let mut seen = Vec::new();
    log.scan(range, &mut |run| {
        seen.extend(records(run).map(|event| event.sequence()));
        ControlFlow::Continue(())
    })?;
    Ok(seen)
}

fn disk(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return fs::metadata(path).map_or(0, |file| file.len()) };
    entries.flatten().map(|entry| disk(&entry.path())).sum()
}

#[test]
fn forgotten_events_leave_the_others_and_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    append(&*log, 2 * BLOCK + 10_000);
    let end = log.end();
    assert_eq!((log.floor(), log.forget(0).unwrap()), (0, 0));
    let stored = directory.path().join("events/keyspaces");
    let (bytes, whole) = (log.bytes().unwrap(), disk(&stored));
    assert!(bytes > 5_000_000 && whole > bytes / 2, "{bytes}, of which {whole} are in files");
    let floor = log.forget(end).unwrap();
    assert!((2 * BLOCK - 2_000..=2 * BLOCK).contains(&floor), "whole runs below a full block: {floor}");
    assert_eq!((log.floor(), log.forget(floor).unwrap(), log.forget(5).unwrap()), (floor, floor, floor));
    let check = |log: &dyn EventLog| {
        assert_eq!((log.floor(), log.end()), (floor, end));
        assert_eq!(numbers(log, floor..end).unwrap(), (floor..end).collect::<Vec<_>>());
        for gone in [0..end, floor - 1..floor, 0..1] {
            let error = numbers(log, gone).unwrap_err().to_string();
            assert!(error.contains("stands in the history alone"), "{error}");
        }
        let named = log.naming(&["u7"], end).unwrap();
        assert_eq!(named, (0..end).filter(|number| number % 1_000 == 7).collect::<Vec<_>>(), "of all that ever came");
        let kept: Vec<u64> = named.iter().copied().filter(|number| *number >= floor).collect();
        let mut seen = Vec::new();
        log.visit(&kept, &mut |run| {
            seen.extend(records(run).map(|event| event.sequence()));
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(seen, kept);
        assert!(log.of_users(&["u7"], end).is_err(), "some of them are gone");
        assert!(log.visit(&named, &mut |_| ControlFlow::Continue(())).is_err());
    };
    check(&*log);
    assert!(log.bytes().unwrap() < bytes / 8, "{bytes}");
    drop(log);
    let log = open(directory.path());
    assert!(disk(&stored) < whole / 4, "{} of {whole} bytes", disk(&stored));
    check(&*log);
    // Of those that are gone nothing is to be erased here.
    log.erase(&[("u7".to_owned(), end)]).unwrap();
    assert_eq!(
        numbers(&*log, floor..end).unwrap().len() as u64,
        end - floor - (floor..end).filter(|n| n % 1_000 == 7).count() as u64
    );
}

/// A month of equal days, of which three are kept. Each day is more than a block of the index, so that each night forgets one.
#[test]
fn a_log_that_keeps_three_days_stays_as_large_as_it_is() {
    let days = if std::env::var_os("AUDIENCE_LONG").is_some() { 30 } else { 8 };
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let (day, mut sizes) = (BLOCK + 1_000, Vec::new());
    for _ in 0..days {
        append(&*log, day);
        log.forget(log.end().saturating_sub(3 * day)).unwrap();
        sizes.push(disk(&directory.path().join("events/keyspaces")));
    }
    // The index by user grows: 8 bytes and a little for each event.
    let (early, late, index) = (sizes[4], sizes[days - 1], (days as u64 - 5) * day * 12);
    assert!(early > 5_000_000 && late <= early + early / 4 + index, "{sizes:?}");
    assert!(late >= early / 2, "{sizes:?}");
    assert_eq!(numbers(&*log, log.floor()..log.end()).unwrap().len() as u64, log.end() - log.floor());
    eprintln!("bytes of events and their index by user, day by day: {sizes:?}");
}

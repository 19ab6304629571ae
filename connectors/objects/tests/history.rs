//! Files of the history that are damaged, missing, there twice, or not this process's any more.

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use audience_contract::suite::record;
use audience_contract::{History, StoreError};
use audience_rules::record::set_sequence;

fn records(first: u64, count: u64) -> Vec<u8> {
    let mut all = Vec::new();
    for sequence in first..first + count {
        let start = all.len();
        record("user-to-be-erased", "", &format!("m{sequence}"), &mut all);
        set_sequence(&mut all[start..], sequence);
    }
    all
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(directory.join("history")).expect("a folder");
    let mut found: Vec<PathBuf> = found.map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    found
}

fn scan(history: &dyn History) -> Result<Vec<u8>, StoreError> {
    let mut all = Vec::new();
    history.scan(0..u64::MAX, &mut |run| {
        all.extend_from_slice(run);
        ControlFlow::Continue(())
    })?;
    Ok(all)
}

fn is_corrupt<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Corrupt { .. }))
}

#[test]
fn damage_is_noticed() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    let history = common::in_directory(at).history();
    (0..3).for_each(|file| history.append(&records(file * 10, 10), None).expect("append"));
    let names: Vec<String> =
        files(at).iter().map(|path| path.file_name().unwrap_or_default().display().to_string()).collect();
    assert_eq!(names[1], "00000000000000000010-00000000000000000020.parquet");
    let middle = &files(at)[1];
    let whole = fs::read(middle).expect("a file");
    for damaged in [&whole[..whole.len() / 2], b"", b"PAR1 and something else"] {
        fs::write(middle, damaged).expect("written");
        assert!(is_corrupt(&scan(&*history)), "{} bytes", damaged.len());
        assert!(is_corrupt(&history.erase(&[15], &[])));
    }
    // Another file's records under its name.
    fs::copy(&files(at)[0], middle).expect("copied");
    assert!(is_corrupt(&scan(&*history)));
    fs::remove_file(middle).expect("removed");
    assert!(is_corrupt(&scan(&*history)));
    let again = common::in_directory(at).history();
    let said = again.end().expect_err("there is a gap").to_string();
    assert!(said.contains("event 10 is missing"), "{said}");
}

/// A write that was given up has come about all the same, behind one that went further.
#[test]
fn what_is_there_twice_counts_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let (at, other) = (directory.path(), tempfile::tempdir().expect("a directory"));
    common::in_directory(at).history().append(&records(0, 20), None).expect("append");
    common::in_directory(other.path()).history().append(&records(0, 10), None).expect("append");
    let late = &files(other.path())[0];
    fs::copy(late, at.join("history").join(late.file_name().unwrap_or_default())).expect("copied");
    let history = common::in_directory(at).history();
    assert_eq!(history.end().expect("end"), 20);
    assert!(scan(&*history).expect("scan") == records(0, 20));
    assert_eq!(files(at).len(), 1, "it is deleted");
}

#[test]
fn nothing_is_left_of_what_is_erased() {
    let directory = tempfile::tempdir().expect("a directory");
    let history = common::in_directory(directory.path()).history();
    history.append(&records(0, 50), None).expect("append");
    history.erase(&(0..50).collect::<Vec<_>>(), &[]).expect("erase");
    for path in files(directory.path()) {
        let bytes = fs::read(&path).expect("a file");
        assert!(!bytes.windows(17).any(|window| window == b"user-to-be-erased"), "{}", path.display());
    }
    assert_eq!(history.end().expect("end"), 50);
}

#[test]
fn who_was_the_owner_before_writes_no_more() {
    let directory = tempfile::tempdir().expect("a directory");
    let (before, now) = (common::in_directory(directory.path()), common::in_directory(directory.path()));
    before.own("before").expect("own");
    before.write_as("before");
    let history = before.history();
    history.append(&records(0, 5), None).expect("append");
    now.own("now").expect("own");
    assert!(history.append(&records(5, 5), None).is_err());
    assert!(history.erase(&[1], &[]).is_err() && history.truncate(0).is_err());
    assert_eq!(now.history().end().expect("end"), 5);
}

//! Opening a data directory: one at a time, known formats only.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::sync_channel;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use audience_contract::{Result, StoreError};
use audience_embedded::{Options, Stores};

const HELD: &str = "AUDIENCE_TEST_OPEN";
/// A process that is being started has, for a moment, the locks of all tests of this one.
static STARTING: RwLock<()> = RwLock::new(());

fn open(path: &Path) -> Result<Stores> {
    Stores::open(path, &Options { cache_bytes: 8 << 20, reserve_bytes: 0, ..Options::default() })
}

fn error(path: &Path) -> StoreError {
    open(path).err().expect("it must not open")
}

#[test]
fn a_second_open_is_refused() {
    let _nothing_starts = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let directory = tempfile::tempdir().unwrap();
    let stores = open(directory.path()).unwrap();
    assert!(matches!(error(directory.path()), StoreError::InUse(_)));
    let events = stores.events();
    drop(stores);
    assert!(matches!(error(directory.path()), StoreError::InUse(_)), "a store still uses it");
    drop(events);
    open(directory.path()).unwrap();
}

#[test]
fn a_directory_that_comes_free_is_waited_for() {
    let _nothing_starts = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let directory = tempfile::tempdir().unwrap();
    let stores = open(directory.path()).unwrap();
    let (begun, opening) = sync_channel::<()>(1);
    let holder = std::thread::spawn(move || {
        opening.recv().unwrap();
        std::thread::park_timeout(Duration::from_millis(200));
        drop(stores);
    });
    begun.send(()).unwrap();
    open(directory.path()).unwrap();
    holder.join().unwrap();
}

#[test]
fn another_process_is_refused() {
    let _starting = STARTING.write().unwrap_or_else(PoisonError::into_inner);
    let directory = tempfile::tempdir().unwrap();
    let stores = open(directory.path()).unwrap();
    let run = || {
        let test = std::env::current_exe().unwrap();
        let mut command = Command::new(test);
        command.args(["--exact", "the_other_process", "--ignored"]).env(HELD, directory.path());
        command.output().unwrap().status.success()
    };
    assert!(run(), "the other process must find it in use");
    drop(stores);
    assert!(!run(), "and then not");
}

#[test]
#[ignore = "is run by another_process_is_refused"]
fn the_other_process() {
    let Some(path) = std::env::var_os(HELD) else { return };
    assert!(matches!(error(path.as_ref()), StoreError::InUse(_)));
}

#[test]
fn a_newer_format_is_refused() {
    let _nothing_starts = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()).unwrap());
    fs::write(directory.path().join("FORMAT"), "audience-data 2\n").unwrap();
    let text = error(directory.path()).to_string();
    assert!(text.contains("newer version") && text.contains("format 2"), "{text}");
    fs::write(directory.path().join("FORMAT"), "something\n").unwrap();
    assert!(matches!(error(directory.path()), StoreError::Corrupt { .. }));
}

#[test]
fn a_store_that_is_gone_is_not_made_again() {
    let _nothing_starts = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    for name in ["events", "messages", "ledger"] {
        let directory = tempfile::tempdir().unwrap();
        drop(open(directory.path()).unwrap());
        fs::rename(directory.path().join(name), directory.path().join("elsewhere")).unwrap();
        assert!(matches!(error(directory.path()), StoreError::Corrupt { .. }), "{name}");
    }
}

#[test]
fn making_goes_on_where_it_was_cut_short() {
    let _nothing_starts = STARTING.read().unwrap_or_else(PoisonError::into_inner);
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()).unwrap());
    fs::remove_file(directory.path().join("FORMAT")).unwrap();
    fs::remove_dir_all(directory.path().join("ledger")).unwrap();
    let half_made = directory.path().join("ledger.new");
    fs::create_dir(&half_made).unwrap();
    fs::write(half_made.join("0.jnl"), "half").unwrap();
    let stores = open(directory.path()).unwrap();
    assert_eq!(stores.catalogue().version().unwrap(), 0);
    assert!(directory.path().join("FORMAT").exists());
}

#[test]
fn a_place_that_cannot_be_written_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let text = match error(&file.join("data")) {
        StoreError::Unavailable { detail, .. } => detail,
        other => panic!("{other}"),
    };
    assert!(text.contains("Not a directory"), "the system's words: {text}");
}

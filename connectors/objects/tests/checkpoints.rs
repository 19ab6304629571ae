//! Checkpoints that are damaged, cut off, written by two at once, or whose store is away.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_contract::suite::SmallDisk;
use audience_contract::{CheckpointStore, StoreError};
use audience_objects::Objects;

fn checkpoints(directory: &Path) -> Arc<dyn CheckpointStore> {
    common::in_directory(directory).checkpoints()
}

fn write(store: &dyn CheckpointStore, checkpoint: u64) {
    for shard in 0..20 {
        store.put_shard(checkpoint, shard, format!("shard {shard} of {checkpoint}").as_bytes()).expect("put_shard");
    }
    store.finish(checkpoint, b"manifest").expect("finish");
}

fn files(directory: &Path, checkpoint: u64) -> Vec<PathBuf> {
    let folder = directory.join(format!("checkpoints/{checkpoint:020}"));
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    found.sort();
    found
}

fn is_corrupt<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Corrupt { .. }))
}

#[test]
fn damage_is_noticed_wherever_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    write(&*checkpoints(at), 1);
    write(&*checkpoints(at), 2);
    let found = files(at, 2);
    let (manifest, shard) = (&found[0], &found[3]);
    let whole = fs::read(shard).expect("a shard");
    let mut changed = whole.clone();
    changed[0] ^= 1;
    for damaged in [&changed[..], &whole[..5], b""] {
        fs::write(shard, damaged).expect("written");
        let store = checkpoints(at);
        assert!(is_corrupt(&store.shard(2, 2)) && store.shard(2, 3).is_ok(), "{damaged:?}");
        assert_eq!(store.list().expect("list"), [2, 1], "its manifest is good");
    }
    // The shard of another place.
    fs::copy(&found[4], shard).expect("copied");
    assert!(is_corrupt(&checkpoints(at).shard(2, 2)));
    fs::remove_file(shard).expect("removed");
    assert!(is_corrupt(&checkpoints(at).shard(2, 2)));
    fs::write(manifest, b"audience-checkpoint 9 0\n").expect("written");
    let store = checkpoints(at);
    assert_eq!((store.list().expect("list"), store.found().expect("found")), (vec![1], vec![2, 1]));
    let said = store.manifest(2).expect_err("damaged").to_string();
    assert!(said.contains("format 1") && said.contains("00000000000000000002/manifest"), "{said}");
    write(&*store, 3);
    store.prune(2).expect("prune");
    assert_eq!(store.found().expect("found"), [3, 1], "a damaged one takes no place of a good one");
}

/// Whoever goes on writing an old attempt does not harm what is finished.
#[test]
fn two_who_write_the_same_checkpoint_leave_one_that_is_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let (one, other) = (checkpoints(directory.path()), checkpoints(directory.path()));
    one.put_shard(1, 0, b"one").expect("put_shard");
    other.put_shard(1, 0, b"other").expect("put_shard");
    other.put_shard(1, 1, b"more").expect("put_shard");
    other.finish(1, b"other's").expect("finish");
    // Whether this fails already depends on how far its first shard had come when the other cleared what it took for remains.
    drop(one.put_shard(1, 1, b"late"));
    assert!(one.finish(1, b"one's").is_err(), "it is finished");
    let found = checkpoints(directory.path());
    assert_eq!(found.manifest(1).expect("manifest"), b"other's");
    assert_eq!(found.shard(1, 0).expect("shard").as_deref(), Some(&b"other"[..]));
    assert_eq!(found.shard(1, 1).expect("shard").as_deref(), Some(&b"more"[..]));
}

#[test]
fn who_was_the_owner_before_writes_no_more() {
    let directory = tempfile::tempdir().expect("a directory");
    let (before, now) = (common::in_directory(directory.path()), common::in_directory(directory.path()));
    assert_eq!(before.owner().expect("owner"), None);
    before.own("before").expect("own");
    before.write_as("before");
    write(&*before.checkpoints(), 1);
    now.own("now").expect("own");
    now.write_as("now");
    assert_eq!(before.owner().expect("owner").as_deref(), Some("now"));
    let (old, new) = (before.checkpoints(), now.checkpoints());
    old.put_shard(2, 0, b"x").expect("put_shard");
    let said = old.finish(2, b"").expect_err("taken over").to_string();
    assert!(said.contains("taken over") && old.prune(0).is_err(), "{said}");
    assert_eq!(new.list().expect("list"), [1]);
    write(&*new, 2);
    new.prune(1).expect("prune");
    assert_eq!(new.list().expect("list"), [2]);
}

#[test]
fn a_full_disk_fails_the_checkpoint_and_no_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some(disk) = SmallDisk::mount(directory.path(), "size=4m") else { return };
    let store = checkpoints(disk.path());
    write(&*store, 1);
    let shard = vec![7; 1 << 20];
    let written = (0..8).try_for_each(|number| store.put_shard(2, number, &shard)).and_then(|()| store.finish(2, b""));
    let said = written.expect_err("there is no room").to_string();
    assert!(said.contains("space"), "{said}");
    assert_eq!(store.list().expect("list"), [1]);
    store.prune(3).expect("prune");
    // Nothing but what failed was in the way, and that goes by itself.
    write(&*store, 2);
    assert_eq!(store.list().expect("list"), [2, 1]);
    assert_eq!(store.size(2).expect("size"), Some((0..20).map(|n| format!("shard {n} of 2").len() as u64).sum()));
}

#[test]
fn what_a_killed_process_had_begun_goes_with_the_checkpoint() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = checkpoints(directory.path());
    write(&*store, 1);
    let begun = directory.path().join("checkpoints/00000000000000000001/shard-00001-x#1");
    fs::write(&begun, b"half").expect("written");
    write(&*store, 2);
    store.prune(1).expect("prune");
    assert!(!begun.exists());
}

#[test]
fn a_server_that_is_not_there_is_an_error_in_bounded_time() {
    let variables =
        [("AWS_ENDPOINT_URL", "http://127.0.0.1:9"), ("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "s3cret")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let store = Objects::open("s3://bucket/prefix", &variables).expect("it is not asked yet").checkpoints();
    let begun = Instant::now();
    let said = store.list().expect_err("nobody answers").to_string();
    assert!(begun.elapsed() < Duration::from_secs(60), "it gives up");
    assert!(said.contains("s3://bucket/prefix") && !said.contains("s3cret"), "{said}");
}

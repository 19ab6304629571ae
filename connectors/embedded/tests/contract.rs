//! The embedded stores hold the contract.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::path::Path;
use std::sync::Arc;

use audience_contract::suite;
use audience_embedded::{FileLease, Options, Stores};

fn options() -> Options {
    Options { cache_bytes: 8 << 20, reserve_bytes: 0, ..Options::default() }
}

fn opener<T: ?Sized>(path: &Path, store: impl Fn(Stores) -> Arc<T>) -> impl FnMut() -> Arc<T> {
    move || store(Stores::open(path, &options()).unwrap())
}

#[test]
fn event_log() {
    let directory = tempfile::tempdir().unwrap();
    suite::event_log(&mut opener(directory.path(), |stores| stores.events()));
}

#[test]
fn event_log_of_many_blocks() {
    let directory = tempfile::tempdir().unwrap();
    suite::event_log_of_many_blocks(&mut opener(directory.path(), |stores| stores.events()));
}

#[test]
fn event_log_positions() {
    let directory = tempfile::tempdir().unwrap();
    suite::event_log_positions(&mut opener(directory.path(), |stores| stores.events()));
}

#[test]
fn message_index() {
    let directory = tempfile::tempdir().unwrap();
    suite::message_index(&mut opener(directory.path(), |stores| stores.messages()));
}

#[test]
fn change_log() {
    let directory = tempfile::tempdir().unwrap();
    suite::change_log(&mut opener(directory.path(), |stores| stores.changes()));
}

#[test]
fn catalogue_store() {
    let directory = tempfile::tempdir().unwrap();
    suite::catalogue_store(&mut opener(directory.path(), |stores| stores.catalogue()));
}

#[test]
fn notes() {
    let directory = tempfile::tempdir().unwrap();
    suite::notes(&mut opener(directory.path(), |stores| stores.notes()));
}

#[test]
fn checkpoint_store() {
    let directory = tempfile::tempdir().unwrap();
    suite::checkpoint_store(&mut opener(directory.path(), |stores| stores.checkpoints()));
}

#[test]
fn telling() {
    let directory = tempfile::tempdir().unwrap();
    suite::telling(&mut opener(directory.path(), |stores| stores.catalogue()));
}

#[test]
fn audit_log() {
    let directory = tempfile::tempdir().unwrap();
    suite::audit_log(&mut opener(directory.path(), |stores| stores.catalogue()));
}

#[test]
fn webhook_store() {
    let directory = tempfile::tempdir().unwrap();
    suite::webhook_store(&mut opener(directory.path(), |stores| stores.webhooks()), &|a, b| a == b);
}

#[test]
fn access_store() {
    let directory = tempfile::tempdir().unwrap();
    suite::access_store(&mut opener(directory.path(), |stores| stores.access()), &|a, b| a == b);
}

#[test]
fn copies() {
    let directory = tempfile::tempdir().unwrap();
    let of = |name: &str| directory.path().join(name);
    suite::copied_change_log(&mut opener(&of("changes"), |stores| stores.changes()));
    suite::copied_notes(&mut opener(&of("notes"), |stores| stores.notes()));
    suite::copied_catalogue(&mut opener(&of("catalogue"), |stores| stores.catalogue()));
}

#[test]
fn lease() {
    let directory = tempfile::tempdir().unwrap();
    let open = |writer: &str| FileLease::open(&directory.path().join("lease"), writer).unwrap();
    suite::lease_store(&open("one"), &open("other"));
    assert!(std::fs::read_dir(directory.path().join("lease")).unwrap().count() < 8, "old versions are deleted");
}

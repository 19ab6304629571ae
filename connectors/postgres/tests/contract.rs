//! The catalogue in PostgreSQL holds the contract.

mod common;

use std::sync::Arc;
use std::time::Duration;

use audience_contract::{Audit, AuditEntry, CatalogueStore, suite};
use common::Scratch;

#[test]
fn catalogue_store() {
    let scratch = Scratch::new();
    suite::catalogue_store(&mut || Arc::new(scratch.open()));
}

#[test]
fn audit_log() {
    let scratch = Scratch::new();
    suite::audit_log(&mut || Arc::new(scratch.open()));
}

#[test]
fn webhook_store() {
    let scratch = Scratch::new();
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    suite::webhook_store(&mut || Arc::new(scratch.open()), &|a, b| read(a) == read(b));
}

#[test]
fn access_store() {
    let scratch = Scratch::new();
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    suite::access_store(&mut || Arc::new(scratch.open()), &|a, b| read(a) == read(b));
}

#[test]
fn telling() {
    let scratch = Scratch::new();
    suite::telling(&mut || Arc::new(scratch.open()));
}

/// Rows that one process has taken are kept from the others until they are told or given back, or the time for that is over.
#[test]
fn one_of_several_processes_tells() {
    let scratch = Scratch::new();
    let (one, other) = (scratch.open(), scratch.open());
    let entry = AuditEntry { action: "updated".to_owned(), kind: "segment".to_owned(), ..AuditEntry::default() };
    let audit = Audit { author: "ann".to_owned(), at: 0, entries: vec![entry; 2] };
    assert!(one.put_audited(0, &[], Some(&audit)).expect("put"));
    let (long, over) = (Duration::from_secs(3_600), Duration::ZERO);
    let taken = one.take_unannounced(1, long).expect("taken");
    assert_eq!(taken.len(), 1);
    assert_eq!(other.take_unannounced(1, long).expect("asked"), []);
    one.mark_announced(taken[0].sequence).expect("told");
    assert_eq!(other.take_unannounced(2, over).expect("taken").len(), 1);
    assert_eq!(one.take_unannounced(2, long).expect("taken").len(), 1, "the time of the other is over");
}

/// A change of which no notification tells is found by looking, long before the next poll.
#[test]
fn another_says_that_there_is_a_change() {
    let scratch = Scratch::new();
    let (one, other) = (scratch.open(), scratch.open());
    // Of the rows that this makes, nobody is notified.
    scratch.sql().run("UPDATE audience.catalogue SET version = version + 1");
    let known = one.wait_for_change(0, Duration::ZERO).expect("known");
    other.look().expect("looked");
    assert_eq!((known, other.wait_for_change(0, Duration::ZERO).expect("known")), (0, 1));
}

//! The catalogue in PostgreSQL holds the contract.

mod common;

use std::sync::Arc;

use audience_contract::suite;
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

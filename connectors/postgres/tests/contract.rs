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

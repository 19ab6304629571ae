//! The stores of objects hold the contract, in a directory and on a real S3-speaking server.

mod common;

use audience_contract::suite;

#[test]
fn checkpoints_in_a_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    suite::checkpoint_store(&mut || common::in_directory(directory.path()).checkpoints());
}

#[test]
fn checkpoints_on_s3() {
    let name = common::unique("contract-checkpoints");
    suite::checkpoint_store(&mut || common::on_s3(&name).checkpoints());
}

#[test]
fn history_in_a_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    suite::history(&mut || common::in_directory(directory.path()).history());
}

#[test]
fn history_on_s3() {
    let name = common::unique("contract-history");
    suite::history(&mut || common::on_s3(&name).history());
}

//! The chain of the audit log, from outside: a log that is as it was, and one in which a row is another.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod database;

use std::path::Path;
use std::process::Command;

use audience_tests::program;
use audience_tests::serve::{Setup, metric, wait_until};
use database::{TestDatabase, sql};

/// Makes a segment of each name in a run of its own.
fn run(setup: &Setup, names: &[&str]) {
    let served = setup.start();
    for name in names {
        let rules = r#"{"field": "plan", "operator": "eq", "value": "gold"}"#;
        let body = format!(r#"{{"name": "{name}", "rules": {rules}}}"#);
        let answer = served.client().put(&format!("/api/segments/{name}"), &body).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    served.stop();
}

/// The output of `verify-audit`, and whether all is as it was.
fn verify(setup: &Setup) -> (bool, String) {
    let output = Command::new(&setup.program)
        .args(["admin", "verify-audit", "--data"])
        .arg(&setup.data)
        .args(&setup.flags)
        .output();
    let output = output.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

/// The rows that the newest checkpoint has.
fn rows(said: &str) -> u64 {
    let (_, rest) = said.split_once("its ").unwrap_or_else(|| panic!("{said}"));
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// The metric of the newest fault, once a start has taken its first checkpoint.
fn fault_metric(setup: &Setup) -> f64 {
    let served = setup.start();
    let metric_of = |name| metric(served.client(), name);
    wait_until("a checkpoint", || metric_of("audience_checkpoint_timestamp_seconds") > 0.0);
    let fault = metric_of("audience_audit_fault_timestamp_seconds");
    served.stop();
    fault
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap().success());
}

#[test]
fn the_first_row_that_is_another_is_named_and_never_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    run(&setup, &["a", "b"]);
    let (is_whole, said) = verify(&setup);
    // The shipped traits have rows, too.
    let first = rows(&said);
    assert!(is_whole && first >= 2, "{said}");

    // Two futures of one log: the checkpoints of the one, the rows of the other.
    let other = directory.path().join("other");
    copy(&setup.data, &other);
    run(&setup, &["c", "d"]);
    assert!(verify(&setup).0);
    let forged = Setup { data: other, ..Setup::within(program!(), directory.path()) };
    run(&forged, &["x", "d"]);
    assert!(verify(&forged).0);
    std::fs::remove_dir_all(forged.data.join("checkpoints")).unwrap();
    copy(&setup.data.join("checkpoints"), &forged.data.join("checkpoints"));
    let (is_whole, said) = verify(&forged);
    assert!(
        !is_whole && said.contains(&format!("row {} was changed, or another was put in before it", first + 1)),
        "{said}"
    );

    // The next start finds it, and it is told although its own checkpoint fits the log.
    assert_eq!(fault_metric(&setup), 0.0);
    run(&forged, &["e"]);
    assert!(fault_metric(&forged) > 1.7e9, "a time since 1970, also in a later run");
    let (is_whole, said) = verify(&forged);
    assert!(!is_whole && said.contains("found at the start of"), "{said}");
    assert!(said.contains(&format!("row {} was changed", first + 1)), "{said}");
    assert!(said.contains(&format!("its {} rows are as they were", first + 3)), "{said}");
}

#[test]
fn a_row_that_is_changed_in_sql_is_found() {
    let database = TestDatabase::create();
    let directory = tempfile::tempdir().unwrap();
    let flags = vec!["--postgres".to_owned(), database.url.clone()];
    let setup = Setup { flags, ..Setup::within(program!(), directory.path()) };
    run(&setup, &["a", "b"]);
    let (is_whole, said) = verify(&setup);
    assert!(is_whole && rows(&said) >= 2, "{said}");
    // The table refuses changes, but its owner can lift that.
    sql(&database.url, "ALTER TABLE audience.audit_log DISABLE TRIGGER USER");
    sql(&database.url, "UPDATE audience.audit_log SET actor = 'eve' WHERE document_id = 'a'");
    let (is_whole, said) = verify(&setup);
    assert!(!is_whole && said.contains("was changed"), "{said}");
    assert!(fault_metric(&setup) > 1.7e9);
}

#[test]
fn without_a_checkpoint_nothing_is_verified() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let (is_whole, said) = verify(&setup);
    assert!(!is_whole && said.contains("is no directory"), "{said}");
}

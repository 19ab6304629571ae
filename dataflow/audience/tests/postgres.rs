//! The real program on a real PostgreSQL: what is edited in SQL takes effect, what is faulty there leaves the version before
//! running, and a data directory stays with its catalogue.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod database;

use std::process::Command;

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Setup, pause};
use database::{TestDatabase, sql};

fn wait_for_members(client: Client, expected: &[&str]) {
    let mut members = Vec::new();
    for _ in 0..1_000 {
        members = client.members("s").unwrap().unwrap();
        if members == expected {
            return;
        }
        pause(10);
    }
    panic!("{members:?}, not {expected:?}");
}

#[test]
fn segments_are_edited_in_sql() {
    let database = TestDatabase::create();
    let url = &database.url;
    let directory = tempfile::tempdir().unwrap();
    let embedded = Setup::within(program!(), directory.path());
    let setup = Setup { flags: vec!["--postgres".to_owned(), url.clone()], ..embedded.clone() };

    for expected in ["applied 1 catalogue", "nothing to do"] {
        let migrated = Command::new(&setup.program).args(["migrate", "--postgres", url]).output().unwrap();
        let said = String::from_utf8_lossy(&migrated.stdout).into_owned();
        assert!(migrated.status.success() && said.contains(expected), "{migrated:?}");
    }
    let served = setup.start();
    let client = served.client();
    assert_eq!(client.put("/api/segments/s", r#"{"name":"s","rules":{"event":"buy"}}"#).unwrap().status, 201);
    for event in [r#"{"userId":"ann","eventType":"buy"}"#, r#"{"userId":"bob","eventType":"view"}"#] {
        assert_eq!(client.post("/api/events", event).unwrap().status, 202);
    }
    wait_for_members(client, &["ann"]);
    sql(url, r#"UPDATE audience.segments SET rules = '{"event": "view"}' WHERE id = 's'"#);
    wait_for_members(client, &["bob"]);
    sql(url, r#"UPDATE audience.segments SET rules = '{"event": 5}' WHERE id = 's'"#);
    let mut faulty = String::new();
    for _ in 0..1_000 {
        faulty = client.get("/api/catalogue/faulty").unwrap().text();
        if faulty.contains("/rules/event") {
            break;
        }
        pause(10);
    }
    assert!(faulty.contains("/rules/event"), "{faulty}");
    assert!(client.get("/metrics").unwrap().text().contains("audience_catalogue_faulty_documents 1"));
    wait_for_members(client, &["bob"]);

    served.kill();
    let served = setup.start();
    wait_for_members(served.client(), &["bob"]);
    served.stop();
    let mut other = embedded.spawn();
    let status = other.wait();
    let said = other.said();
    assert!(!status.success() && said.contains("are those of the catalogue `postgres"), "{status}: {said}");
}

#[test]
fn a_table_that_is_gone_is_in_health_and_metrics() {
    let database = TestDatabase::create();
    let directory = tempfile::tempdir().unwrap();
    let flags = vec!["--postgres".to_owned(), database.url.clone()];
    let setup = Setup { flags, ..Setup::within(program!(), directory.path()) };
    let served = setup.start();
    let client = served.client();
    sql(&database.url, "DROP TABLE audience.segments CASCADE");
    // Whoever connects anew looks at once, and not only after its interval.
    let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'audience'";
    sql(&database.url, ended);
    let (mut health, mut metrics) = (String::new(), String::new());
    for _ in 0..2_000 {
        health = client.get("/actuator/health").unwrap().text();
        metrics = client.get("/metrics").unwrap().text();
        if health.contains("are missing: audience.segments") && !metrics.contains("audience_catalogue_errors_total 0") {
            break;
        }
        pause(10);
    }
    assert!(health.contains("are missing: audience.segments"), "{health}");
    let counted = metrics.lines().find(|line| line.starts_with("audience_catalogue_errors_total "));
    assert!(counted.is_some_and(|line| !line.ends_with(" 0")), "{counted:?}");
    let migrated = Command::new(&setup.program).args(["migrate", "--postgres", &database.url]).output().unwrap();
    let said = String::from_utf8_lossy(&migrated.stderr).into_owned();
    assert!(!migrated.status.success() && said.contains("audience.segments"), "{migrated:?}");
    served.kill();
}

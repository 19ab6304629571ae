//! The real program on a real PostgreSQL: what is edited in SQL takes effect, what is faulty there leaves the version before
//! running, and a data directory stays with its catalogue.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::process::Command;

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Setup, pause, wall_clock};
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

/// Runs statements on the server at that address.
fn sql(url: &str, statements: &str) {
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(statements).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    });
}

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
    let server = std::env::var("AUDIENCE_TEST_POSTGRES").unwrap_or_else(|_| {
        panic!("AUDIENCE_TEST_POSTGRES is not set: start the services with: eval \"$(scripts/services start)\"")
    });
    let name = format!("audience_test_{}", wall_clock());
    sql(&server, &format!("CREATE DATABASE {name}"));
    let url = format!("{server}?dbname={name}");
    let directory = tempfile::tempdir().unwrap();
    let embedded = Setup::within(program!(), directory.path());
    let setup = Setup { flags: vec!["--postgres".to_owned(), url.clone()], ..embedded.clone() };

    for expected in ["applied 1 catalogue", "nothing to do"] {
        let migrated = Command::new(&setup.program).args(["migrate", "--postgres", &url]).output().unwrap();
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
    sql(&url, r#"UPDATE audience.segments SET rules = '{"event": "view"}' WHERE id = 's'"#);
    wait_for_members(client, &["bob"]);
    sql(&url, r#"UPDATE audience.segments SET rules = '{"event": 5}' WHERE id = 's'"#);
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
    sql(&server, &format!("DROP DATABASE {name} WITH (FORCE)"));
}

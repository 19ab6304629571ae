//! A server that is away, slow or was restarted.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_contract::{CatalogueStore, Document, DocumentKind, StoreError};
use audience_postgres::{PostgresCatalogue, PostgresError, PostgresSettings};
use common::own_server::OwnServer;
use common::{Scratch, Sql, segment};

/// Long for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn calls_fail_clearly_while_the_server_is_away_and_work_afterwards() {
    let server = OwnServer::start();
    let catalogue = PostgresCatalogue::open(&PostgresSettings::new(server.url())).expect("it opens");
    assert!(catalogue.put(0, &[segment("a", 1, 1)]).expect("put"));

    server.down();
    server.up();
    assert_eq!(catalogue.version().expect("a read over a connection that was closed is tried again"), 1);

    server.down();
    assert_unavailable(catalogue.version());
    assert_unavailable(catalogue.put(1, &[segment("a", 2, 2)]));
    assert_unavailable(catalogue.at(1));
    assert_unavailable(catalogue.history(DocumentKind::Segment, "a"));
    let deadline = Instant::now() + PATIENCE;
    while catalogue.fault().is_none() && Instant::now() < deadline {
        let _ = catalogue.wait_for_change(1, Duration::from_millis(10));
    }
    let fault = catalogue.fault().expect("health names the fault");
    assert!(fault.contains("127.0.0.1"), "{fault}");
    assert_unavailable(catalogue.wait_for_change(1, Duration::from_millis(10)));

    server.up();
    Sql::connect(&server.url()).run("UPDATE audience.segments SET name = 'while nobody listened'");
    let deadline = Instant::now() + PATIENCE;
    while catalogue.wait_for_change(1, Duration::from_secs(1)).ok() != Some(2) {
        assert!(Instant::now() < deadline, "the change is found once the server is back");
    }
    assert_eq!(catalogue.version().expect("version"), 2);
    assert!(catalogue.put(2, &[segment("a", 3, 2)]).expect("put"));
    assert_eq!(catalogue.fault(), None);
}

fn assert_unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    match answer {
        Err(StoreError::Unavailable { detail, .. }) => assert!(detail.contains("PostgreSQL at 127.0.0.1"), "{detail}"),
        other => panic!("{other:?} while the server is away"),
    }
}

#[test]
fn whoever_listens_finds_what_it_was_not_told() {
    let scratch = Scratch::new();
    let settings = PostgresSettings { poll_interval: Duration::from_millis(50), ..scratch.settings() };
    let catalogue = PostgresCatalogue::open(&settings).expect("it opens");
    // Without its triggers the version changes in silence.
    scratch.sql().run("UPDATE audience.catalogue SET version = 5");
    let deadline = Instant::now() + PATIENCE;
    while catalogue.wait_for_change(0, Duration::from_secs(1)).ok() != Some(5) {
        assert!(Instant::now() < deadline, "the poll finds it");
    }
}

#[test]
fn a_statement_that_waits_too_long_is_given_up() {
    let scratch = Scratch::new();
    let settings = PostgresSettings { statement_timeout: Duration::from_millis(300), ..scratch.settings() };
    let catalogue = PostgresCatalogue::open(&settings).expect("it opens");
    let sql = scratch.sql();
    sql.run("BEGIN; INSERT INTO audience.segments (id) VALUES ('held')");
    match catalogue.put(0, &[segment("a", 1, 1)]) {
        Err(StoreError::Unavailable { detail, .. }) => assert!(detail.contains("statement timeout"), "{detail}"),
        other => panic!("{other:?} while someone holds the catalogue"),
    }
    assert_eq!(catalogue.version().expect("reads do not wait"), 0);
    sql.run("ROLLBACK");
    assert!(catalogue.put(0, &[segment("a", 1, 1)]).expect("put"));
}

#[test]
fn every_connection_can_fail_at_once() {
    let scratch = Scratch::new();
    let catalogue = Arc::new(scratch.open());
    let all_at_once = |catalogue: &Arc<PostgresCatalogue>| {
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let catalogue = catalogue.clone();
                std::thread::spawn(move || catalogue.version())
            })
            .collect();
        calls.into_iter().all(|call| call.join().expect("no panic").is_ok())
    };
    assert!(all_at_once(&catalogue));
    scratch.sql().run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'audience'",
    );
    assert!(all_at_once(&catalogue), "reads are tried again on new connections");
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let scratch = Scratch::new();
    let catalogue = scratch.open();
    let bodies = [
        r#"{"document": {"id": "x", "name": "a\u0000b"}}"#,
        r#"{"document": {"id": "x", "rules": {"a\u0000": 1}}}"#,
        r#"{"document": {"id": "y"}}"#,
        "[]",
    ];
    for body in bodies {
        let one = Document { body: Some(body.to_owned()), ..segment("x", 1, 1) };
        let refused = catalogue.put(0, &[segment("good", 1, 1), one]);
        assert!(matches!(refused, Err(StoreError::Refused { .. })), "{body}: {refused:?}");
    }
    assert_eq!(catalogue.version().expect("version"), 0);
    assert_eq!(catalogue.at(9).expect("at"), [], "all or none");
}

#[test]
fn settings_that_lead_nowhere_say_so() {
    let open = |url: &str| PostgresCatalogue::open(&PostgresSettings::new(url)).err().expect("it does not open");
    for url in ["postgresql://", "nonsense", "postgresql://h/?no_such_setting=1"] {
        assert!(matches!(open(url), PostgresError::Settings(_)), "{url}");
    }
    let error = open("postgresql://me:secret@127.0.0.1:1/db").to_string();
    assert!(error.contains("PostgreSQL at 127.0.0.1:1/db") && !error.contains("secret"), "{error}");
    let tls = Scratch::new();
    let error = open(&format!("{}&sslmode=require", tls.url)).to_string();
    assert!(error.contains("TLS"), "a plain server is not enough where TLS is asked for: {error}");
}

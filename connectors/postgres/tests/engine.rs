//! The platform with its catalogue in PostgreSQL: edited by hand, and without the server for a while.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_embedded::{Options, Stores};
use audience_engine::engine::EngineOptions;
use audience_engine::service::{PlatformStores, Service, ServiceOptions, clock};
use audience_engine::standby::Pairing;
use audience_postgres::{PostgresCatalogue, PostgresSettings};
use audience_protocol::{PageLimit, PlatformError, SegmentInput};
use audience_rules::event::{EventDecoder, EventDefaults};
use common::Sql;
use common::own_server::OwnServer;
use serde_json::json;

fn start(data: &Path, server: &OwnServer) -> Arc<Service> {
    let stores = Stores::open(data, &Options { cache_bytes: 4 << 20, ..Options::default() }).expect("the stores open");
    let catalogue = PostgresCatalogue::open(&PostgresSettings::new(server.url())).expect("the catalogue opens");
    let stores = PlatformStores {
        events: stores.events(),
        messages: stores.messages(),
        notes: stores.notes(),
        changes: stores.changes(),
        catalogue: Arc::new(catalogue),
        checkpoints: stores.checkpoints(),
    };
    let options = ServiceOptions {
        engine: EngineOptions::default(),
        cluster: None,
        checkpoint_interval: Duration::from_secs(3600),
        start: Arc::default(),
        placeholders: Arc::default(),
        offsite: None,
        pairing: Pairing::default(),
    };
    Service::start(stores, &options).expect("the platform starts")
}

fn send(service: &Service, user: &str, event_type: &str) {
    let mut record = Vec::new();
    let event = json!({"userId": user, "eventType": event_type}).to_string();
    let defaults = EventDefaults { accepted_at: clock::now() };
    EventDecoder::new().decode(event.as_bytes(), &defaults, &mut record).expect("an event");
    service.platform().events.ingest(record, 1).expect("it is accepted");
}

fn create(service: &Service, id: &str, event_type: &str) -> Result<(), PlatformError> {
    let input = json!({"id": id, "name": id, "rules": {"event": event_type}});
    let input: SegmentInput = serde_json::from_value(input).expect("an input");
    service.platform().segments.create_segment(input, "me").map(drop)
}

fn members(service: &Service, id: &str) -> Vec<String> {
    service.platform().segments.members(id, None, PageLimit::default()).map(|page| page.items).unwrap_or_default()
}

/// Waits for something to hold.
fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn rules_come_from_the_tables_and_events_go_on_without_them() {
    let server = OwnServer::start();
    let directory = tempfile::tempdir().expect("a directory");
    audience_postgres::migrate(&PostgresSettings::new(server.url())).expect("the tables are made");
    let by_hand = r#"INSERT INTO audience.segments (id, name, rules) VALUES
        ('before', 'Before the first start', '{"field": "purchaseCount", "operator": "eq", "value": 0}')"#;
    Sql::connect(&server.url()).run(by_hand);
    let service = start(directory.path(), &server);
    send(&service, "u", "buy");
    send(&service, "v", "see");
    create(&service, "s", "buy").expect("it is created");
    assert_eq!(members(&service, "s"), ["u"]);
    assert_eq!(members(&service, "before"), ["u", "v"], "the traits that are shipped are there too");

    let sql = Sql::connect(&server.url());
    sql.run(r#"UPDATE audience.segments SET rules = '{"event": "see"}' WHERE id = 's'"#);
    wait_for("the rules written by hand", || members(&service, "s") == ["v"]);
    sql.run(r#"UPDATE audience.segments SET rules = '{"event": "see", "odd": 1}' WHERE id = 's'"#);
    wait_for("their fault", || !service.platform().catalogue.faulty_documents().expect("a list").is_empty());
    assert_eq!(service.platform().segments.segment("s").expect("it is there").faults[0].pointer, "/rules/odd");
    drop(sql);

    server.down();
    send(&service, "w", "see");
    wait_for("events without the server", || members(&service, "s") == ["v", "w"]);
    assert!(matches!(create(&service, "t", "buy"), Err(PlatformError::Unavailable(_))));
    assert!(service.platform().segments.segment("t").is_err(), "what was not put is not there");
    let catalogue = || service.platform().operations.health().components["catalogue"].detail.clone();
    wait_for("health to name the fault", || catalogue().is_some_and(|detail| detail.contains("127.0.0.1")));
    assert!(service.platform().operations.health().ready);

    server.up();
    wait_for("the server to be back", || catalogue().is_none());
    create(&service, "t", "buy").expect("it is created");
    assert_eq!(members(&service, "t"), ["u"]);
    service.stop();
    drop(service);
    let service = start(directory.path(), &server);
    let found = (
        members(&service, "s"),
        members(&service, "t"),
        service.platform().catalogue.faulty_documents().expect("a list").len(),
    );
    assert_eq!(found, (vec!["v".to_owned(), "w".to_owned()], vec!["u".to_owned()], 1), "a start comes to the same");
    service.stop();
}

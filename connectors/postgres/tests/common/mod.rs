//! Databases for tests.
#![expect(dead_code, clippy::unwrap_used, reason = "every test takes what it needs, and panics where it has failed")]

pub(crate) mod own_server;

use audience_contract::{Document, DocumentKind};
use audience_postgres::{PostgresCatalogue, PostgresSettings};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls, Row};

/// A database of its own on the server of the tests; gone when it is dropped.
pub(crate) struct Scratch {
    pub url: String,
    name: String,
    server: String,
}

impl Scratch {
    /// On the server that `AUDIENCE_TEST_POSTGRES` names.
    pub(crate) fn new() -> Scratch {
        let server = std::env::var("AUDIENCE_TEST_POSTGRES").expect(
            "set AUDIENCE_TEST_POSTGRES to the URL of a PostgreSQL whose user may create databases, \
             such as postgresql://postgres@127.0.0.1:5432/postgres",
        );
        Scratch::on(&server)
    }

    /// On this server.
    pub(crate) fn on(server: &str) -> Scratch {
        let name = format!("audience_test_{:016x}", fastrand::u64(..));
        Sql::connect(server).run(&format!("CREATE DATABASE {name}"));
        let separator = if server.contains('?') { '&' } else { '?' };
        Scratch { url: format!("{server}{separator}dbname={name}"), name, server: server.to_owned() }
    }

    pub(crate) fn settings(&self) -> PostgresSettings {
        PostgresSettings::new(&self.url)
    }

    pub(crate) fn open(&self) -> PostgresCatalogue {
        PostgresCatalogue::open(&self.settings()).unwrap()
    }

    pub(crate) fn sql(&self) -> Sql {
        Sql::connect(&self.url)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            Sql::connect(&self.server).run(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}

/// Someone who writes SQL by hand.
pub(crate) struct Sql {
    runtime: Runtime,
    client: Client,
}

impl Sql {
    pub(crate) fn connect(url: &str) -> Sql {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let config: Config = url.parse().unwrap();
        let (client, connection) = runtime.block_on(config.connect(NoTls)).unwrap();
        runtime.spawn(connection);
        Sql { runtime, client }
    }

    pub(crate) fn try_run(&self, sql: &str) -> Result<(), String> {
        let done = self.runtime.block_on(self.client.batch_execute(sql));
        done.map_err(|error| error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned()))
    }

    pub(crate) fn run(&self, sql: &str) {
        self.try_run(sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
    }

    pub(crate) fn rows(&self, sql: &str) -> Vec<Row> {
        self.runtime.block_on(self.client.query(sql, &[])).unwrap()
    }

    /// The first column, as text.
    pub(crate) fn texts(&self, sql: &str) -> Vec<String> {
        self.rows(sql).iter().map(|row| row.get(0)).collect()
    }
}

/// A segment as the platform stores it.
pub(crate) fn segment(id: &str, catalogue_version: u64, value: u32) -> Document {
    let body = format!(
        r#"{{"document": {{"id": "{id}", "name": "N", "type": "DYNAMIC", "status": "ACTIVE",
        "rules": {{"field": "x", "operator": "gt", "value": {value}}}, "version": 1,
        "createdAt": "2026-11-21T10:37:16.900Z", "updatedAt": "2026-11-21T10:37:16.900Z"}}, "author": "api-user"}}"#
    );
    Document { kind: DocumentKind::Segment, id: id.to_owned(), catalogue_version, body: Some(body) }
}

/// The content of a body.
pub(crate) fn json(document: &Document) -> serde_json::Value {
    serde_json::from_str(document.body.as_deref().unwrap()).unwrap()
}

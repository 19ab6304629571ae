//! A database of a test's own.
#![allow(dead_code, reason = "each test uses a part")]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::sync::atomic::{AtomicU64, Ordering};

use audience_tests::serve::wall_clock;
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

/// Runs statements on the server at that address.
pub(crate) fn sql(url: &str, statements: &str) {
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(statements).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    });
}

/// A database of a test's own; dropped with it.
pub(crate) struct TestDatabase {
    server: String,
    name: String,
    /// Its address.
    pub url: String,
}

impl TestDatabase {
    /// Creates it.
    pub(crate) fn create() -> TestDatabase {
        let server = std::env::var("AUDIENCE_TEST_POSTGRES").unwrap_or_else(|_| {
            panic!("AUDIENCE_TEST_POSTGRES is not set: start the services with: eval \"$(scripts/services start)\"")
        });
        // Several tests of a process may begin within a millisecond.
        static CREATED: AtomicU64 = AtomicU64::new(0);
        let name = format!("audience_test_{}_{}", wall_clock(), CREATED.fetch_add(1, Ordering::Relaxed));
        sql(&server, &format!("CREATE DATABASE {name}"));
        let url = format!("{server}?dbname={name}");
        TestDatabase { server, name, url }
    }
}

/// A copy of a database as it was at some moment.
pub(crate) struct Backup {
    name: String,
    /// Its address.
    pub url: String,
}

impl TestDatabase {
    /// Copies it. Whoever is connected loses the connection.
    pub(crate) fn back_up(&self) -> Backup {
        let name = format!("{}_backup", self.name);
        self.shut(&self.name, true);
        sql(&self.server, &format!("CREATE DATABASE {name} TEMPLATE {}", self.name));
        self.shut(&self.name, false);
        let url = format!("{}?dbname={name}", self.server);
        Backup { name, url }
    }

    /// Puts a copy in its place, as a failover to a replica that lagged does.
    pub(crate) fn put_back(&self, backup: &Backup) {
        self.shut(&self.name, true);
        sql(&self.server, &format!("DROP DATABASE {}", self.name));
        sql(&self.server, &format!("ALTER DATABASE {} RENAME TO {}", backup.name, self.name));
    }

    /// Lets nobody in, and whoever is in goes; or lets them in again.
    fn shut(&self, name: &str, is_shut: bool) {
        sql(&self.server, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {}", !is_shut));
        let end = format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'");
        if is_shut {
            sql(&self.server, &end);
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // What a test that panics leaves may be looked at.
        if !std::thread::panicking() {
            sql(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}
